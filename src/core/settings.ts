import { tiers } from './backends/backend.ts';
import { flag, limit, limits, listOf, number, oneOf, text, texts, whole } from './settingRule.ts';
import type { SettingRule } from './settingRule.ts';

const url = (fallback: string): SettingRule<string> => text(fallback, isHttpUrl, 'not an http(s) address');

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

/** A tier, or one pod or endpoint. */
function isBackendName(value: string): boolean {
  return value === 'none' || (tiers as readonly string[]).includes(value) || /^(pod|endpoint):[\w-]+$/.test(value);
}

/**
 * Every setting, with its default. Keys are the manifest's names without the prefix `podrelay.`; the manifest test holds
 * both to each other.
 */
export const settingRules = {
  'local.enabled': flag(true),
  'local.url': text('http://127.0.0.1:8188', (value) => value === '' || isHttpUrl(value), 'not an http(s) address'),
  'routing.priority': listOf(tiers),
  'routing.forced': text('none', isBackendName, 'no backend'),
  'routing.preferred': text('none', isBackendName, 'no backend'),
  'routing.strategy': oneOf(['priority', 'cheapest', 'fastest', 'balanced'], 'priority'),
  'routing.secondsPerUsd': number(1_000, { atLeast: 0 }),
  'queue.secondRuns': flag(false),
  'queue.secondRunMaxUsd': { ...number(0.05, { atLeast: 0 }), refused: 0 },
  'cloud.enabled': flag(true),
  'cloud.podId': text('', (value) => /^[a-z0-9]*$/i.test(value), 'not a pod id'),
  'cloud.autoStart': flag(true),
  'cloud.useAllPods': flag(true),
  'cloud.image': text('runpod/comfyui:latest'),
  'cloud.tier': oneOf(['secure', 'community'], 'secure'),
  'cloud.minVramGb': number(16, { atLeast: 0 }),
  'cloud.maxUsdPerHour': number(1, { atLeast: 0 }),
  'cloud.diskGb': whole(30, { atLeast: 1 }),
  'cloud.volumeGb': whole(60, { atLeast: 10 }),
  'cloud.idleMinutes': whole(15, { atLeast: 1 }),
  'cloud.readyTimeoutMinutes': number(20, { atLeast: 0.1 }),
  'fleet.maxPods': whole(0, { atLeast: 0 }),
  'fleet.maxUsdPerHour': { ...number(2, { atLeast: 0 }), refused: 0 },
  'fleet.warmPods': whole(0, { atLeast: 0 }),
  'fleet.rule': oneOf(['drainTime', 'queueLength'], 'drainTime'),
  'serverless.endpointIds': texts((value) => /^[a-z0-9]+$/i.test(value), 'no list of endpoint ids'),
  'runpod.apiUrl': url('https://api.runpod.io/v2'),
  'runpod.proxyUrl': text('https://{podId}-{port}.proxy.runpod.net'),
  'runpod.serverlessUrl': url('https://api.runpod.ai/v2'),
  'gemini.enabled': flag(true),
  'gemini.fallback': oneOf(['ask', 'always', 'never'], 'ask'),
  'gemini.imageModel': text('gemini-nano-banana-2.1'),
  'gemini.videoModel': text('gemini-omni-1.1-flash'),
  'gemini.apiUrl': url('https://generativelanguage.googleapis.com'),
  'budget.sessionUsd': limit(),
  'budget.dayUsd': limit(),
  'budget.monthUsd': limit(),
  'budget.perBackendUsd': limits(['cloud', 'gemini']),
  'privacy.localOnly': flag(false),
  outputFolder: text('generated'),
  'workflow.checkpoint': text('', () => true),
};
export type Settings = { readonly [Key in keyof typeof settingRules]: (typeof settingRules)[Key]['fallback'] };
export type SettingKey = keyof Settings;

export const settingKeys = Object.keys(settingRules) as readonly SettingKey[];

export interface ReadSettings {
  readonly settings: Settings;
  /** Values that were refused; the default stands in for each, and 0 for a limit that cannot be read. */
  readonly problems: readonly { readonly key: SettingKey; readonly why: string }[];
}

/** A bad value never stops the rest: it is reported and its default is used, or what is safer. */
export function readSettings(get: (key: SettingKey) => unknown): ReadSettings {
  const problems: { key: SettingKey; why: string }[] = [];
  const values = settingKeys.map((key) => {
    const { fallback, refused = fallback, accepts, why }: SettingRule<unknown> = settingRules[key];
    const value = get(key);
    if (value === undefined || accepts(value)) return [key, value ?? fallback];
    problems.push({ key, why });
    return [key, refused];
  });
  return { settings: Object.fromEntries(values) as Settings, problems };
}
