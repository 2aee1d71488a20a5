import * as vscode from 'vscode';
import { contextKeys } from '../../contract.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Pod } from '../../core/runpod/pod.ts';
import { setContext } from '../setContext.ts';
import { followPodLog } from './podLogsFollow.ts';
import type { PodLogsServices } from './podLogsFollow.ts';

interface Follower {
  readonly channel: vscode.OutputChannel;
  /** Undefined while the log is not followed. */
  following: Lifetime | undefined;
}

/** The logs of pods, each in an output channel of its own, followed until the session ends or a command says so. */
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
  show(pod: Pod): void {
    const follower = this.#followers.get(pod.id) ?? this.#open(pod);
    follower.channel.show(true);
    if (follower.following !== undefined) return;
    const following = this.#life.child();
    follower.following = following;
    this.#tell();
    const append = (text: string): void => {
      // A closed session has closed its channels.
      if (!this.#life.signal.aborted) follower.channel.append(text);
    };
    void followPodLog(this.#services, pod, append, following.signal).finally(() => {
      following.dispose();
      if (follower.following === following) follower.following = undefined;
      this.#tell();
    });
  }

  /** Ends all; the channels stay, to be read. */
  end(): void {
    for (const { following } of this.#followers.values()) following?.dispose();
  }

  #open({ id, name }: Pod): Follower {
    const channel = this.#life.own(vscode.window.createOutputChannel(`PodRelay pod: ${name}`, 'log'));
    const follower = { channel, following: undefined };
    this.#followers.set(id, follower);
    return follower;
  }

  #tell(): void {
    const isFollowing = [...this.#followers.values()].some(({ following }) => following !== undefined);
    setContext(contextKeys.podLogs, isFollowing);
  }
}
