import assert from 'node:assert/strict';
import type { RecoveredJob } from '../../src/core/jobs/jobOutcome.ts';
import { recoveredText } from '../../src/ui/jobs/recoveredText.ts';

const request = (label: string) => ({ id: label, label, workflow: {}, media: 'image', localOnly: false }) as const;

function done(label: string, ...paths: readonly string[]): RecoveredJob {
  const outputs = paths.map((path) => ({ path, bytes: 1, kind: 'image' }) as const);
  const cost = { micros: 0, costBasis: 'free', basis: 'measured', gpu: undefined } as const;
  const rest = { workflow: {}, attempts: [], dropped: [], warnings: [], startedAt: 0, ms: 1 };
  return {
    request: request(label),
    state: 'done',
    outcome: {
      request: request(label),
      backend: 'local',
      tier: 'local',
      backendLabel: 'Local ComfyUI',
      outputs,
      ...cost,
      ...rest,
    },
  };
}

describe('what is said of earlier jobs', () => {
  it('is one message: what is done can be opened, what is not can be run again', () => {
    const said = recoveredText([
      done('a cat', '/out/cat.png'),
      { request: request('a dog'), state: 'lost', why: 'The server was restarted.', isTold: false },
      { request: request('a cow'), state: 'failed', why: 'Failed in KSampler', isTold: false },
    ]);
    assert.equal(
      said?.text,
      'From an earlier window: a cat is done. a dog was lost: The server was restarted. a cow has failed: Failed in KSampler.',
    );
    assert.equal(said.open, '/out/cat.png');
    assert.deepEqual(
      said.again.map(({ label }) => label),
      ['a dog', 'a cow'],
    );
  });

  it('is nothing while a server is waited for, of what the person has ended, and of a failure that was told', () => {
    const waiting: readonly RecoveredJob[] = [
      { request: request('a'), state: 'later', why: 'No answer', isTold: false },
      { request: request('b'), state: 'cancelled', why: 'Cancelled', isTold: false },
    ];
    assert.equal(recoveredText(waiting), undefined);
    const told: RecoveredJob = { request: request('c'), state: 'lost', why: 'The server was restarted', isTold: true };
    assert.equal(recoveredText([told]), undefined);
  });
});
