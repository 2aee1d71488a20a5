import { Fault } from '../kernel/fault.ts';
import type { Pod } from '../runpod/pod.ts';
import { newPodToken, tokenHash } from './agentToken.ts';
import type { PodTokens } from './agentToken.ts';
import { comfyPort } from './proxyAddress.ts';

export interface PodDoorsOptions {
  readonly tokens: PodTokens;
  /** Where RunPod's proxy shows pods; see proxyAddress.ts. */
  readonly proxyTemplate: string;
  /** The name under which the pod was deployed, if we did that. */
  readonly nameOf: (podId: string) => Promise<string | undefined>;
}

/** The doors of the pods that we deployed, and what opens them: a token goes to its own pod's address and nowhere else. */
export class PodDoors {
  readonly #options: PodDoorsOptions;
  readonly #known = new Map<string, string>();

  constructor(options: PodDoorsOptions) {
    this.#options = options;
  }

  /** Makes the token of a pod that is to be created. It is stored when this resolves; the hash is for RunPod to see. */
  async make(name: string): Promise<string> {
    const token = newPodToken();
    await this.#options.tokens.set(name, token);
    return tokenHash(token);
  }

  /** The pod of that name was never made, or is gone. */
  forget(name: string): Promise<void> {
    return this.#options.tokens.remove(name);
  }

  /** Undefined for a pod that has no door of ours, or whose door another computer has the token for. */
  async tokenOf(podId: string): Promise<string | undefined> {
    const known = this.#known.get(podId);
    if (known !== undefined) return known;
    const name = await this.#options.nameOf(podId);
    const token = name === undefined ? undefined : await this.#options.tokens.get(name);
    if (token !== undefined) this.#known.set(podId, token);
    return token;
  }

  /** Before a pod is started and paid for: @throws Fault 'unauthorized' when its door would not open for us. */
  async assertKnown(pod: Pod): Promise<void> {
    if (!(await this.#fits(pod))) throw tokenUnknown(pod.name);
  }

  /** False: another computer may be using the pod, of which nothing can be known here. */
  opens(pod: Pod): Promise<boolean> {
    return this.#fits(pod).catch(() => false);
  }

  /** The token for a ComfyUI's address; undefined when that is no pod's. */
  async tokenFor(address: string): Promise<string | undefined> {
    const podId = podAt(this.#options.proxyTemplate, address);
    return podId === undefined ? undefined : this.tokenOf(podId);
  }

  /** For a browser, which keeps the token as a cookie: the address of a pod's ComfyUI with the token in it. */
  async link(podId: string, address: string): Promise<string> {
    if (podAt(this.#options.proxyTemplate, address) !== podId) return address;
    const token = await this.tokenOf(podId);
    return token === undefined ? address : `${address}/?token=${token}`;
  }

  async #fits(pod: Pod): Promise<boolean> {
    if (pod.tokenSha256 === undefined) return true;
    const token = await this.tokenOf(pod.id);
    return token !== undefined && tokenHash(token) === pod.tokenSha256;
  }
}

export function tokenUnknown(podName: string): Fault {
  return new Fault('unauthorized', `The pod ${podName} is private, and its token is not on this computer`, {
    delivered: 'no',
    nextStep: 'Use it on the computer that deployed it, or deploy another pod.',
  });
}

/** The pod whose ComfyUI has this address. */
export function podAt(template: string, address: string): string | undefined {
  const pattern = template.replace(/\/+$/, '').replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&');
  const exact = pattern.replaceAll('{podId}', '([A-Za-z0-9_-]+)').replaceAll('{port}', String(comfyPort));
  return new RegExp(`^${exact}/*$`).exec(address)?.[1];
}
