import * as vscode from 'vscode';
import { contextKeys } from '../../contract.ts';
import type { PodService } from '../../core/fleet/podService.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock } from '../../core/kernel/ports.ts';
import type { Pod } from '../../core/runpod/pod.ts';
import type { PodLogLine } from '../../core/runpod/podLogs.ts';
import { setContext } from '../setContext.ts';
import { logLineText } from './podLogsText.ts';

export interface PodLogsServices {
  readonly pods: PodService;
  readonly clock: Clock;
  /** Takes keys out of a text. */
  readonly redact: (text: string) => string;
}

interface Follower {
  readonly channel: vscode.OutputChannel;
  /** Undefined while the log is not followed. */
  following: Lifetime | undefined;
}

/** Past lines that a log begins with. */
const tail = 500;
/** Lines that come together are shown together: a pod that starts writes thousands. */
const showEveryMs = 100;

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
    void this.#follow(pod, follower.channel, following.signal).finally(() => {
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

  async #follow(pod: Pod, channel: vscode.OutputChannel, signal: AbortSignal): Promise<void> {
    const { pods, clock, redact } = this.#services;
    const waiting: string[] = [];
    let drawing: Promise<void> | undefined;
    const draw = async (): Promise<void> => {
      try {
        await clock.sleep(showEveryMs, signal);
      } finally {
        channel.append(waiting.splice(0).join(''));
        drawing = undefined;
      }
    };
    const add = (line: string): void => {
      waiting.push(`${line}\n`);
      // An end of the wait is the end of the log, which is told below.
      drawing ??= draw().catch(() => undefined);
    };
    const note = (text: string): void => add(`── ${text} ──`);
    const write = (line: PodLogLine): void => add(redact(logLineText(line)));
    note(vscode.l10n.t('Log of {0} ({1})', pod.name, pod.id));
    try {
      for await (const line of pods.logs(pod.id, { tail }, signal)) write(line);
      note(vscode.l10n.t('The log has ended: the pod is gone, or its log no longer answers'));
    } catch (error) {
      const { kind, message } = toFault(error);
      if (this.#life.signal.aborted) return;
      if (kind === 'cancelled') note(vscode.l10n.t('No longer followed'));
      else note(vscode.l10n.t('The log broke off: {0}', redact(message)));
    }
    await drawing;
    channel.append(waiting.splice(0).join(''));
  }
}
