import type { Settings } from '../settings.ts';
import type { RoutePolicy } from './route.ts';
import { secondsPerUsdOf } from './strategy.ts';

/** What the settings say of the order. */
export function routePolicy(settings: Settings): Omit<RoutePolicy, 'localOnly'> {
  const forced = settings['routing.forced'];
  const preferred = settings['routing.preferred'];
  const waitPerUsd = secondsPerUsdOf(settings['routing.strategy'], settings['routing.secondsPerUsd']);
  return {
    priority: settings['routing.priority'],
    ...(forced === 'none' ? {} : { forced }),
    ...(preferred === 'none' ? {} : { preferred }),
    ...(waitPerUsd === undefined ? {} : { waitPerUsd }),
  };
}
