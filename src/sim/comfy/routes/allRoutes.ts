import type { Route } from '../http/route.ts';
import type { ServerState } from '../serverState.ts';
import { promptRoutes } from './promptRoutes.ts';
import { queueRoutes } from './queueRoutes.ts';
import { systemRoutes } from './systemRoutes.ts';
import { viewRoutes } from './viewRoutes.ts';

export function allRoutes(state: ServerState): Route[] {
  return [...promptRoutes(state), ...queueRoutes(state), ...systemRoutes(state), ...viewRoutes(state)];
}
