import * as z from 'zod/mini';
import { tiers } from './backends/backend.ts';
import type { Tier } from './backends/backend.ts';

const tier = z.enum(tiers);
const url = z.string().check(z.refine(isHttpUrl, 'not an http(s) address'));

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/**
 * Every setting, with its default. Keys are the manifest's names without the prefix `podrelay.`; the manifest test holds
 * both to each other.
 */
export const settingsSchema = z.object({
  'local.enabled': z._default(z.boolean(), true),
  'local.url': z._default(z.union([url, z.literal('')]), 'http://127.0.0.1:8188'),
  'routing.priority': z._default(z.array(tier).check(z.minLength(1)), [...tiers]),
  'routing.forced': z._default(z.enum(['none', ...tiers]), 'none'),
  'routing.preferred': z._default(z.enum(['none', ...tiers]), 'none'),
  'cloud.enabled': z._default(z.boolean(), true),
  'cloud.podId': z._default(z.string().check(z.regex(/^[a-z0-9]*$/i, 'not a pod id')), ''),
  'cloud.autoStart': z._default(z.boolean(), true),
  'cloud.image': z._default(z.string().check(z.minLength(1)), 'runpod/comfyui:latest'),
  'cloud.tier': z._default(z.enum(['secure', 'community']), 'secure'),
  'cloud.minVramGb': z._default(z.number().check(z.minimum(0)), 16),
  'cloud.maxUsdPerHour': z._default(z.number().check(z.minimum(0)), 1),
  'cloud.diskGb': z._default(z.int().check(z.minimum(1)), 30),
  'cloud.volumeGb': z._default(z.int().check(z.minimum(10)), 60),
  'cloud.idleMinutes': z._default(z.int().check(z.minimum(1)), 15),
  'cloud.readyTimeoutMinutes': z._default(z.number().check(z.minimum(0.1)), 20),
  'runpod.apiUrl': z._default(url, 'https://api.runpod.io/v2'),
  'runpod.proxyUrl': z._default(z.string().check(z.minLength(1)), 'https://{podId}-{port}.proxy.runpod.net'),
  'gemini.enabled': z._default(z.boolean(), true),
  'gemini.fallback': z._default(z.enum(['ask', 'always', 'never']), 'ask'),
  'gemini.imageModel': z._default(z.string().check(z.minLength(1)), 'gemini-nano-banana-2.1'),
  'gemini.videoModel': z._default(z.string().check(z.minLength(1)), 'gemini-omni-1.1-flash'),
  'gemini.apiUrl': z._default(url, 'https://generativelanguage.googleapis.com'),
  'privacy.localOnly': z._default(z.boolean(), false),
  outputFolder: z._default(z.string().check(z.minLength(1)), 'generated'),
  'workflow.checkpoint': z._default(z.string(), ''),
});
export type Settings = Readonly<Omit<z.infer<typeof settingsSchema>, 'routing.priority'>> & {
  readonly 'routing.priority': readonly Tier[];
};
export type SettingKey = keyof Settings;

export const settingKeys = Object.keys(settingsSchema.shape) as readonly SettingKey[];

export interface ReadSettings {
  readonly settings: Settings;
  /** Values that were refused; the default stands in for each. */
  readonly problems: readonly { readonly key: SettingKey; readonly why: string }[];
}

/** A bad value never stops the rest: it is reported and its default is used. */
export function readSettings(get: (key: SettingKey) => unknown): ReadSettings {
  const problems: { key: SettingKey; why: string }[] = [];
  const values = Object.fromEntries(
    settingKeys.map((key) => {
      const schema = settingsSchema.shape[key];
      const parsed = schema.safeParse(get(key));
      if (parsed.success) return [key, parsed.data];
      problems.push({ key, why: parsed.error.issues[0]?.message ?? 'not valid' });
      return [key, schema.parse(undefined)];
    }),
  );
  return { settings: settingsSchema.parse(values), problems };
}
