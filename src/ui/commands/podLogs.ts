import * as vscode from 'vscode';
import { contextKeys } from '../../contract.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { EndpointService } from '../../core/serverless/endpointService.ts';
import { setContext } from '../setContext.ts';
import { followPodLog } from './podLogsFollow.ts';
import type { PodLogsServices } from './podLogsFollow.ts';

interface Follower {
  readonly channel: vscode.OutputChannel;
  /** Undefined while the log is not followed. */
  following: Lifetime | undefined;
}

/** A pod, or a serverless worker. */
export interface Machine {
  readonly id: string;
  readonly name: string;
}

/** Logs of machines, each in an output channel of its own, followed until the session ends or a command says so. */
export class PodLogs {
  readonly #services: PodLogsServices;
  readonly #life: Lifetime;
  readonly #followers = new Map<string, Follower>();

  constructor(services: PodLogsServices, life: Lifetime) {
    this.#services = services;
    this.#life = life;
    life.own({ dispose: () => setContext(contextKeys.podLogs, false) });
  }

  /** Shows the channel of a pod, and follows the log unless that is done already. */
  show(pod: Machine): void {
    this.#show(pod, `PodRelay pod: ${pod.name}`, this.#services);
  }

  /** The same of a worker of an endpoint. */
  showWorker(workerId: string, endpoint: Machine, endpoints: Pick<EndpointService, 'workerLogs'>): void {
    const name = `${endpoint.name}, worker ${workerId}`;
    const logs: PodLogsServices['pods']['logs'] = (...call) => endpoints.workerLogs(endpoint.id, ...call);
    this.#show({ id: workerId, name }, `PodRelay worker: ${workerId} of ${endpoint.name}`, {
      ...this.#services,
      pods: { logs },
    });
  }

  #show(pod: Machine, title: string, services: PodLogsServices): void {
    const follower = this.#followers.get(pod.id) ?? this.#open(pod.id, title);
    follower.channel.show(true);
    if (follower.following !== undefined) return;
    const following = this.#life.child();
    follower.following = following;
    this.#tell();
    const append = (text: string): void => {
      // A closed session has closed its channels.
      if (!this.#life.signal.aborted) follower.channel.append(text);
    };
    void followPodLog(services, pod, append, following.signal).finally(() => {
      following.dispose();
      if (follower.following === following) follower.following = undefined;
      this.#tell();
    });
  }

  /** Ends all; the channels stay, to be read. */
  end(): void {
    for (const { following } of this.#followers.values()) following?.dispose();
  }

  #open(id: string, title: string): Follower {
    const channel = this.#life.own(vscode.window.createOutputChannel(title, 'log'));
    const follower = { channel, following: undefined };
    this.#followers.set(id, follower);
    return follower;
  }

  #tell(): void {
    const isFollowing = [...this.#followers.values()].some(({ following }) => following !== undefined);
    setContext(contextKeys.podLogs, isFollowing);
  }
}
