import assert from 'node:assert/strict';
import { createHostLog } from '../../src/host/hostLog.ts';
import { rememberLines } from '../../src/host/recentLines.ts';
import { readSettings } from '../../src/core/settings.ts';
import { problemReport } from '../../src/ui/commands/problemReport.ts';

const { settings: defaults } = readSettings(() => undefined);
const report = (more: Partial<Parameters<typeof problemReport>[0]> = {}) =>
  problemReport({
    versions: { PodRelay: '0.1.0' },
    settings: defaults,
    defaults,
    keys: { RunPod: true, Gemini: undefined },
    logLines: [],
    homeFolder: '/home/ada',
    ...more,
  });

describe('problem report', () => {
  it('names the settings that differ, and shows no text of theirs', () => {
    const text = report({
      settings: {
        ...defaults,
        'local.url': 'http://ada:secret@10.0.0.7:8188',
        'cloud.idleMinutes': 3,
        'routing.priority': ['cloud', 'local'],
        'serverless.endpointIds': ['vb3k2jx9'],
      },
    });
    assert.match(text, /- routing\.priority: \["cloud","local"\]/);
    assert.match(text, /- serverless\.endpointIds: \(changed, not shown\)/);
    assert.doesNotMatch(text, /vb3k/);
    assert.match(text, /- local\.url: \(changed, not shown\)/);
    assert.match(text, /- cloud\.idleMinutes: 3/);
    assert.doesNotMatch(text, /secret|10\.0\.0\.7|cloud\.image/);
  });

  it('tells whether keys are set, and unknown from not set', () => {
    assert.match(report(), /- RunPod: set\n- Gemini: unknown/);
  });

  it('takes the home folder out, and cannot be ended by a line of the log', () => {
    const text = report({ logLines: ['/home/ada/x.png was saved', '```', '# Not a heading'] });
    assert.match(text, /~\/x\.png/);
    assert.doesNotMatch(text, /ada/);
    assert.match(text, /````text\n[\s\S]+\n````/);
  });
});

describe('recent lines of the log', () => {
  it('are the last ones, without secrets, and without debugging', () => {
    const written: string[] = [];
    const write = (line: string): void => void written.push(line);
    const recent = rememberLines({ debug: write, info: write, warn: write, error: write }, 2);
    const log = createHostLog(recent.channel);
    log.info('one');
    log.debug('detail');
    log.warn('key rpa_ABCDEFGHIJKLMNOP was refused');
    log.error('three', new Error('boom'));
    assert.equal(written.length, 4);
    const lines = recent.lines();
    assert.equal(lines.length, 2);
    assert.match(lines[0]!, /^\S+Z \[warning\] key rpa_… was refused$/);
    assert.match(lines[1]!, /\[error\] three: Error: boom/);
  });

  it('are cut when they are long', () => {
    const nowhere = (): void => undefined;
    const recent = rememberLines({ debug: nowhere, info: nowhere, warn: nowhere, error: nowhere }, 5);
    recent.channel.info('x'.repeat(10_000));
    assert.ok(recent.lines()[0]!.length < 1_000);
  });
});
