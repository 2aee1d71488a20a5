import type { Route } from '../http/route.ts';
import type { ServerState } from '../serverState.ts';
import { frontRoutes } from './frontRoutes.ts';
import { internalRoutes } from './internalRoutes.ts';
import { jobsRoutes } from './jobsRoutes.ts';
import { modelRoutes } from './modelRoutes.ts';
import { promptRoutes } from './promptRoutes.ts';
import { queueRoutes } from './queueRoutes.ts';
import { systemRoutes } from './systemRoutes.ts';
import { uploadRoutes } from './uploadRoutes.ts';
import { userRoutes } from './userRoutes.ts';
import { viewRoutes } from './viewRoutes.ts';

/** Every route of one server; what its version lacks is not among them. */
export function allRoutes(state: ServerState): Route[] {
  return [
    ...promptRoutes(state),
    ...queueRoutes(state),
    ...viewRoutes(state),
    ...uploadRoutes(state),
    ...systemRoutes(state),
    ...modelRoutes(state),
    ...jobsRoutes(state),
    ...userRoutes(state),
    ...internalRoutes(state),
    ...frontRoutes(state),
  ];
}
