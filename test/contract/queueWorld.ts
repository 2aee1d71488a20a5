import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { JobRequest } from '../../src/core/backends/backend.ts';
import type { QueueJob, QueueView } from '../../src/core/queue/queueView.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import type { JobWindow } from './jobWindow.ts';
import { smallWorkflow } from './world.ts';

export type QueueRequest = JobRequest & { readonly priority?: number };

let asked = 0;

/** Each with a colour of its own: no server has it in its cache. */
export function request(change: Partial<QueueRequest> = {}): QueueRequest {
  asked += 1;
  const workflow = smallWorkflow((asked * 7_919 + process.pid) % 0xffffff, 'queued');
  return { id: randomUUID(), label: `job ${asked}`, workflow, media: 'image', localOnly: false, ...change };
}

export function requests(count: number, change: Partial<QueueRequest> = {}): readonly QueueRequest[] {
  return Array.from({ length: count }, () => request(change));
}

export async function viewOf({ core }: JobWindow): Promise<QueueView> {
  await core.queue.refresh();
  const { view } = core.queue;
  assert.ok(view.known, view.known ? '' : view.why?.message);
  return view.value;
}

export function rowOf(view: QueueView, id: string): QueueJob {
  const row = view.jobs.find((job) => job.id === id);
  assert.ok(row, `job ${id} is not in the view`);
  return row;
}

export async function untilState(window: JobWindow, id: string, state: QueueJob['state']): Promise<QueueJob> {
  for (const deadline = Date.now() + 30_000; ;) {
    const row = rowOf(await viewOf(window), id);
    if (row.state === state) return row;
    if (Date.now() > deadline) assert.fail(`not ${state}: ${JSON.stringify(row)}\n${window.log.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Until so many have ended, however. */
export async function untilEnded(window: JobWindow, count: number, withinMs = 30_000): Promise<QueueView> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const view = await viewOf(window);
    const { done, failed, cancelled, lost } = view.counts;
    if (done + failed + cancelled + lost >= count) return view;
    if (Date.now() > deadline) {
      const rows = view.jobs.map((row) => `${row.label} ${row.state} ${row.backend ?? ''} ${row.waitsFor ?? ''}`);
      assert.fail(
        `Only ${JSON.stringify(view.counts)} after ${withinMs} ms:\n${rows.join('\n')}\n${window.log.join('\n')}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Prompts that a server has run to the file, in order. */
export function runsOf(comfy: Simulator['local'] | undefined): readonly string[] {
  const nodes = comfy?.state().executedNodes ?? [];
  return nodes.filter(({ classType }) => classType === 'SaveImage').map(({ promptId }) => promptId);
}

export function sentTo(comfy: Simulator['local'] | undefined): number {
  const posts = comfy?.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/prompt'));
  return posts?.length ?? 0;
}

/** Its output is named after it, so that whoever looks at a server's disk sees which jobs it has run. */
export function namedRequest(): QueueRequest {
  const made = request();
  return { ...made, workflow: smallWorkflow(Number.parseInt(made.id.slice(0, 6), 16) % 0xffffff, made.id) };
}

/** Job id → how often a server has made its file, by the names on its disk. */
export function madeBy(...comfies: readonly (Simulator['local'] | undefined)[]): ReadonlyMap<string, number> {
  const made = new Map<string, number>();
  for (const file of comfies.flatMap((comfy) => comfy?.state().files ?? [])) {
    const id = /^output\/+([0-9a-f-]{36})_/.exec(file)?.[1];
    if (id !== undefined) made.set(id, (made.get(id) ?? 0) + 1);
  }
  return made;
}
