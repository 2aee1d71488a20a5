import { tiers } from '../core/backends/backend.ts';
import type { Tier } from '../core/backends/backend.ts';
import type { Settings } from '../core/settings.ts';

/** Settings as the environment overrides them: `PODRELAY_PRIORITY=cloud,local` sets the order of the backends. */
export function withEnvironment(settings: Settings, environment: NodeJS.ProcessEnv): Settings {
  const priority = readPriority(environment.PODRELAY_PRIORITY);
  return priority === undefined ? settings : { ...settings, 'routing.priority': priority };
}

/** Undefined when the text is not there or names nothing that exists. */
function readPriority(text: string | undefined): readonly Tier[] | undefined {
  const named = (text ?? '').split(',').map((part) => part.trim().toLowerCase());
  const order = tiers.filter((tier) => named.includes(tier)).sort((a, b) => named.indexOf(a) - named.indexOf(b));
  return order.length === 0 ? undefined : order;
}
