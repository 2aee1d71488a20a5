import type { Settings } from '../settings.ts';
import type { RoutePolicy } from './route.ts';

/** What the settings say of the order. */
export function routePolicy(settings: Settings): Omit<RoutePolicy, 'localOnly'> {
  const forced = settings['routing.forced'];
  const preferred = settings['routing.preferred'];
  return {
    priority: settings['routing.priority'],
    ...(forced === 'none' ? {} : { forced }),
    ...(preferred === 'none' ? {} : { preferred }),
  };
}
