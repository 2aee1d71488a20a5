import { toFault } from '../kernel/fault.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Log } from '../kernel/ports.ts';
import type { JobForecast } from '../routing/route.ts';
import type { Backend, Health, JobRequest } from './backend.ts';

/** What of a job decides how long it takes. */
export type ForetoldJob = Pick<JobRequest, 'workflow' | 'media'>;

/** Of one job, as the backends stand; undefined = nothing can be said of that backend. */
export type Forecaster = (status: {
  readonly backend: Backend;
  readonly health: Observed<Health>;
}) => JobForecast | undefined;

/** By what was measured; asked once for a job. Faults: 'io'. */
export type MakeForecaster = (job: ForetoldJob) => Promise<Forecaster>;

/** What cannot be read foretells nothing, and holds no job up. */
export async function forecasterOf(
  make: MakeForecaster | undefined,
  { workflow, media }: Partial<ForetoldJob>,
  log: Log,
): Promise<Forecaster | undefined> {
  if (make === undefined || workflow === undefined || media === undefined) return undefined;
  try {
    return await make({ workflow, media });
  } catch (error) {
    log.debug(`Nothing can be foretold of a job: ${toFault(error).message}`);
    return undefined;
  }
}
