import assert from 'node:assert/strict';
import type { Attempt } from '../../src/core/backends/backendManager.ts';
import type { JobOutcome } from '../../src/core/jobs/jobOutcome.ts';
import { outcomeText } from '../../src/ui/jobs/outcomeText.ts';

const done: Attempt = { backend: 'cloud', label: 'cloud', outcome: 'done', ms: 9_000 };

function outcome(change: Partial<JobOutcome> = {}): JobOutcome {
  return {
    request: { id: '1', label: 'a cat', workflow: {}, media: 'image', localOnly: false },
    backend: 'cloud',
    tier: 'cloud',
    backendLabel: 'RunPod pod podrelay-x',
    outputs: [{ path: '/out/cat.png', bytes: 1, kind: 'image' }],
    micros: 2_000,
    costBasis: 'measured',
    basis: 'measured',
    gpu: 'RTX 4090',
    workflow: {},
    attempts: [done],
    dropped: [],
    warnings: [],
    startedAt: 0,
    ms: 9_000,
    ...change,
  };
}

describe('what a finished job says', () => {
  it('is where it was made, how long that took and what it cost', () => {
    assert.equal(
      outcomeText(outcome()).text,
      'a cat: 1 file · made on RunPod pod podrelay-x (RTX 4090) · 9.0 s · $0.002.',
    );
  });

  it('names the tier where that says all', () => {
    const local = { backend: 'local', tier: 'local', backendLabel: 'Local ComfyUI', micros: 0 } as const;
    const said = outcomeText(outcome({ ...local, attempts: [] }));
    assert.match(said.text, /made on local \(RTX 4090\) · 9.0 s · free/);
    assert.equal(said.notable, false);
  });

  it('is told at length when it was paid for, and not when it was free', () => {
    assert.equal(outcomeText(outcome()).notable, true);
    assert.equal(outcomeText(outcome({ micros: 0 })).notable, false);
  });

  it('never calls a cost nothing that is not known, and tells it at length', () => {
    const { text, notable } = outcomeText(outcome({ micros: 0, basis: 'unknown' }));
    assert.match(text, /9\.0 s · cost not known\.$/);
    assert.equal(notable, true);
  });

  it('is what was tried before, by name', () => {
    const attempts: readonly Attempt[] = [
      { backend: 'local', label: 'local', outcome: 'refused', why: 'Connection refused', ms: 0 },
      {
        backend: 'pod:a',
        label: 'RunPod pod podrelay-a',
        outcome: 'failed',
        why: 'The pod was terminated while it ran the job',
        ms: 5,
      },
      done,
    ];
    const { text, notable } = outcomeText(outcome({ attempts }));
    assert.ok(notable);
    assert.match(text, /local was skipped: Connection refused\. RunPod pod podrelay-a failed: The pod was terminated/);
  });

  it('leaves out what the person has not set up', () => {
    const unset: Attempt = { backend: 'cloud', label: 'cloud', outcome: 'refused', why: 'No pod is configured', ms: 0 };
    assert.doesNotMatch(outcomeText(outcome({ attempts: [unset, done] })).text, /No pod/);
  });
});
