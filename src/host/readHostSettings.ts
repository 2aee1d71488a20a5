import { tiers } from '../core/backends/backend.ts';
import type { Tier } from '../core/backends/backend.ts';
import { readSettings } from '../core/settings.ts';
import type { ReadSettings } from '../core/settings.ts';
import { acrossFolders } from './acrossFolders.ts';
import type { ReadSetting } from './acrossFolders.ts';

/** Settings as the folders have them and the environment overrides them: `PODRELAY_PRIORITY=cloud,local` sets the order. */
export function readHostSettings(
  folders: readonly [ReadSetting, ...ReadSetting[]],
  environment: NodeJS.ProcessEnv,
): ReadSettings {
  const { settings, problems } = readSettings(acrossFolders(folders));
  const priority = readPriority(environment.PODRELAY_PRIORITY) ?? settings['routing.priority'];
  return { settings: { ...settings, 'routing.priority': priority }, problems };
}

/** Undefined when the text is not there or names nothing that exists. */
function readPriority(text: string | undefined): readonly Tier[] | undefined {
  const named = (text ?? '').split(',').map((part) => part.trim().toLowerCase());
  const order = tiers.filter((tier) => named.includes(tier)).sort((a, b) => named.indexOf(a) - named.indexOf(b));
  return order.length === 0 ? undefined : order;
}
