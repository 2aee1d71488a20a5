import type { Backend } from '../backends/backend.ts';
import type { BackendManager } from '../backends/backendManager.ts';
import type { Forecaster, ForetoldJob } from '../backends/forecaster.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { adviseGpus } from '../cost/gpuAdvice.ts';
import type { GpuAdviceList } from '../cost/gpuAdvice.ts';
import type { GpuCandidate } from '../fleet/rankGpus.ts';
import { geminiLimits, mapWorkflow } from '../gemini/mapWorkflow.ts';
import { mediaOf } from '../generate/mediaOf.ts';
import type { Clock } from '../kernel/ports.ts';
import type { Database } from '../store/database.ts';
import { readRecentJobs } from '../store/recentJobs.ts';
import type { ScheduleStore } from '../store/scheduleStore.ts';
import { fingerprintOf } from './fingerprint.ts';
import { forecastJob } from './jobForecast.ts';
import type { QueuePrice } from './queueRules.ts';
import type { QueuePolicy, QueueScene } from './queueScene.ts';
import type { RunTimes } from './runTimes.ts';
import { strategyOutlook } from './strategyOutlook.ts';
import type { Outlook, StrategyChoice } from './strategyOutlook.ts';
import { usualJob } from './usualJob.ts';

export interface ChoiceOptions {
  readonly database: Database;
  readonly schedule: Pick<ScheduleStore, 'look'>;
  readonly runTimes: RunTimes;
  readonly backends: BackendManager;
  readonly clock: Clock;
  readonly policy: () => QueuePolicy;
  readonly priceOf: QueueScene['priceOf'];
}

/** The name that a person gave the job that the figures are about; undefined = nothing has run yet: a usual picture. */
interface About {
  readonly about: string | undefined;
}

/** A job that is thought of. */
export interface ImaginedJob {
  readonly label: string;
  readonly workflow: Workflow;
}

/** What measurements say to a person who chooses. */
export interface Choice {
  /** By the workflow that is run most. Faults: 'io'. */
  adviseGpus(candidates: readonly GpuCandidate[]): Promise<GpuAdviceList & About>;
  /** Of this job, else of the next one: the head of the queue, else one like the last. Asks no backend. Faults: 'io'. */
  outlook(choices: readonly StrategyChoice[], job?: ImaginedJob): Promise<Outlook & About>;
  /** Faults: 'io'. */
  forecaster(job: ForetoldJob): Promise<Forecaster>;
}

/** So many of the last jobs, and of the next, tell what is usual. */
const jobsLookedAt = 20;

export function createChoice(options: ChoiceOptions): Choice {
  const { database, schedule, runTimes, backends, clock, policy, priceOf } = options;
  /** With what other windows have measured meanwhile. */
  const freshBook = async (): Promise<RunTimes['book']> => {
    await runTimes.refresh();
    return runTimes.book;
  };
  const priceFor = (backend: Backend | undefined, workflow: Workflow): QueuePrice => {
    if (backend?.billing !== 'job') return priceOf(backend?.id ?? '');
    const job = { id: '', label: '', workflow, media: mediaOf(workflow), localOnly: false };
    return { usdPerHourMicros: 0, microsPerJob: backend.quote(job).micros };
  };
  return {
    async adviseGpus(candidates) {
      const { label: about, fingerprint } = usualJob(await readRecentJobs(database, jobsLookedAt));
      return { ...adviseGpus(candidates, fingerprint.key, await freshBook()), about };
    },
    async outlook(choices, job) {
      const next =
        job === undefined
          ? usualJob(await readRecentJobs(database, 1))
          : { ...job, fingerprint: fingerprintOf(job.workflow) };
      const { label: about, fingerprint, workflow } = next;
      const nowMs = clock.now();
      const { atWork } = await schedule.look(nowMs, 0);
      const scene: QueueScene = {
        ...{ nowMs, atWork, book: await freshBook() },
        statuses: backends.statuses(),
        // A job that is run at once asks for Gemini when nothing else can have it.
        policy: { ...policy(), mayPayGemini: true },
        loadedOn: (backend) => runTimes.loadedOn(backend),
        loadSeconds: (gpu) => runTimes.loadSeconds(gpu),
        priceOf: (id) => priceFor(backends.find(id), workflow),
        resting: new Map(),
        freeSince: new Map(),
      };
      // What Gemini cannot be asked for is told by the graph alone; the usual picture has no words yet.
      const [why] = about === undefined ? [] : mapWorkflow(workflow, geminiLimits).report.refused;
      const excluded = why === undefined ? [] : [{ backend: 'gemini', why, for: 'ever', times: 1 } as const];
      return { ...strategyOutlook(fingerprint, scene, choices, excluded), about };
    },
    async forecaster({ workflow }) {
      const fingerprint = fingerprintOf(workflow);
      if (!runTimes.isRead) await runTimes.refresh();
      const { book } = runTimes;
      return (status) =>
        forecastJob(fingerprint, status, {
          book,
          loadedOn: (backend) => runTimes.loadedOn(backend),
          loadSeconds: (gpu) => runTimes.loadSeconds(gpu),
          price: priceFor(status.backend, workflow),
        });
    },
  };
}
