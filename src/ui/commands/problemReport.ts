import { settingKeys } from '../../core/settings.ts';
import type { Settings } from '../../core/settings.ts';

export interface ReportFacts {
  /** By name, as they are to be read: 'PodRelay' → '0.1.0'. */
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Settings;
  readonly defaults: Settings;
  /** Which keys are set; undefined = not known. Never the keys. */
  readonly keys: Readonly<Record<string, boolean | undefined>>;
  /** Secrets are taken out already. */
  readonly logLines: readonly string[];
  /** Taken out of the lines: it names the person. */
  readonly homeFolder: string;
}

/** A text for an issue, for the person to read and change first: nothing of it is sent anywhere. */
export function problemReport({ versions, settings, defaults, keys, logLines, homeFolder }: ReportFacts): string {
  const changed = settingKeys.filter((key) => JSON.stringify(settings[key]) !== JSON.stringify(defaults[key]));
  const named = (entries: readonly (readonly [string, string])[], none: string): string =>
    entries.length === 0 ? none : entries.map(([name, value]) => `- ${name}: ${value}`).join('\n');
  const log = logLines.map((line) => withoutHome(line, homeFolder)).join('\n');
  const fence = '`'.repeat(Math.max(3, ...[...log.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)));
  return [
    '# PodRelay: problem report',
    '<!-- Nothing was sent. Read this, delete what you do not want to share, then copy it. -->',
    '## What happened',
    'What did you do, what did you expect, and what came instead?',
    '## Versions',
    named(Object.entries(versions), 'unknown'),
    '## Settings that differ from their defaults',
    named(
      changed.map((key) => [key, settingText(settings[key])]),
      'None',
    ),
    '## Keys',
    named(
      Object.entries(keys).map(([name, set]) => [name, set === undefined ? 'unknown' : set ? 'set' : 'not set']),
      'unknown',
    ),
    '## Log: the last lines',
    logLines.length === 0 ? 'None' : `${fence}text\n${log}\n${fence}`,
    '',
  ].join('\n\n');
}

/** Texts are addresses, names and folders of the person: that they differ is all that is told. */
function settingText(value: Settings[keyof Settings]): string {
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isOwn = (text: unknown): boolean =>
    typeof text === 'string' && !/^(none|local|cloud|gemini|ask|always|never|secure|community)$/.test(text);
  return texts.some(isOwn) ? '(changed, not shown)' : JSON.stringify(value);
}

function withoutHome(line: string, homeFolder: string): string {
  return homeFolder.length > 1 ? line.replaceAll(homeFolder, '~') : line;
}
