import assert from 'node:assert/strict';
import { readSettings, settingKeys, settingRules } from '../../src/core/settings.ts';
import type { SettingKey } from '../../src/core/settings.ts';

const read = (values: Partial<Record<SettingKey, unknown>>) => readSettings((key) => values[key]);

describe('settings', () => {
  it('are the defaults where nothing is set', () => {
    const { settings, problems } = read({});
    assert.deepEqual(problems, []);
    for (const key of settingKeys) assert.equal(settings[key], settingRules[key].fallback, key);
  });

  it('take good values', () => {
    const given = {
      'local.url': '',
      'routing.priority': ['cloud', 'local'],
      'routing.forced': 'gemini',
      'cloud.maxUsdPerHour': 0,
      'cloud.readyTimeoutMinutes': 0.5,
      'runpod.apiUrl': 'http://127.0.0.1:4010/v2',
      'workflow.checkpoint': 'sd15.safetensors',
    } as const;
    const { settings, problems } = read(given);
    assert.deepEqual(problems, []);
    for (const key of Object.keys(given) as (keyof typeof given)[]) assert.equal(settings[key], given[key], key);
  });

  const bad: readonly [SettingKey, unknown][] = [
    ['local.enabled', 'yes'],
    ['local.url', 'file:///etc/passwd'],
    ['local.url', 'not an address'],
    ['local.url', null],
    ['routing.priority', []],
    ['routing.priority', ['local', 'moon']],
    ['routing.priority', 'local'],
    ['routing.forced', 'moon'],
    ['cloud.podId', '../pods'],
    ['cloud.image', ''],
    ['cloud.maxUsdPerHour', -1],
    ['cloud.maxUsdPerHour', Number.NaN],
    ['cloud.maxUsdPerHour', '1'],
    ['cloud.diskGb', 2.5],
    ['cloud.diskGb', Infinity],
    ['cloud.volumeGb', 9],
    ['runpod.apiUrl', ''],
  ];
  for (const [key, value] of bad) {
    it(`report ${key} = ${JSON.stringify(value)} and use its default, and only its`, () => {
      const { settings, problems } = read({ [key]: value, outputFolder: 'pictures' });
      assert.deepEqual(
        problems.map((problem) => problem.key),
        [key],
      );
      assert.ok((problems[0]?.why.length ?? 0) > 5);
      assert.deepEqual(settings[key], settingRules[key].fallback);
      assert.equal(settings.outputFolder, 'pictures');
    });
  }
});
