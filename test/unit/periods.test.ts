import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

/** The times that the functions give on a machine in that zone, for arguments in UTC. */
async function inZone(
  zone: string,
  asked: readonly (readonly [name: string, at: string, days?: number])[],
): Promise<string[]> {
  const module = JSON.stringify(path.join(import.meta.dirname, '../../src/core/cost/periods.ts'));
  const script = `
    import * as periods from ${module};
    for (const [name, at, days] of JSON.parse(process.argv[1])) {
      console.log(new Date(periods[name](Date.parse(at), days)).toISOString());
    }`;
  const args = ['--input-type=module', '-e', script, JSON.stringify(asked)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, TZ: zone } });
  return stdout.trim().split('\n');
}

describe('a day and a month of spending', () => {
  it('begin at midnight where the person is, also on the days when the clocks change', async () => {
    const found = await inZone('America/New_York', [
      ['startOfDay', '2026-03-09T02:30:00Z'],
      ['startOfDay', '2026-03-09T02:30:00Z', 1],
      ['startOfDay', '2026-03-09T02:30:00Z', -1],
      ['startOfDay', '2026-11-02T04:59:59Z'],
      ['startOfDay', '2026-11-02T04:59:59Z', 1],
      ['startOfDay', '2026-11-02T05:00:00Z'],
      ['startOfMonth', '2026-03-31T12:00:00Z'],
      ['startOfMonth', '2026-12-01T04:59:59Z'],
    ]);
    assert.deepEqual(found, [
      // The 8th of March has 23 hours there, the 1st of November 25.
      '2026-03-08T05:00:00.000Z',
      '2026-03-09T04:00:00.000Z',
      '2026-03-07T05:00:00.000Z',
      '2026-11-01T04:00:00.000Z',
      '2026-11-02T05:00:00.000Z',
      '2026-11-02T05:00:00.000Z',
      '2026-03-01T05:00:00.000Z',
      '2026-11-01T04:00:00.000Z',
    ]);
  });

  it('begin on the next date already where that has begun', async () => {
    const found = await inZone('Asia/Kolkata', [
      ['startOfDay', '2026-05-31T18:29:59Z'],
      ['startOfDay', '2026-05-31T18:30:00Z'],
      ['startOfMonth', '2026-05-31T18:30:00Z'],
    ]);
    assert.deepEqual(found, ['2026-05-30T18:30:00.000Z', '2026-05-31T18:30:00.000Z', '2026-05-31T18:30:00.000Z']);
  });
});
