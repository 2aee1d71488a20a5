import type { SimTime } from '../mount.ts';
import type { FaultBook } from './faults.ts';
import type { Seeded } from './seeded.ts';
import type { ServerlessBehaviour } from './serverlessBehaviour.ts';
import type { Bucket } from './serverlessBucket.ts';
import type { EndpointRecord, WorkerRecord } from './serverlessEndpoint.ts';
import type { Fleet } from './serverlessFleet.ts';
import { hasEnded, type Job, type JobPolicy, type JobStatus } from './serverlessJob.ts';
import { runHandler, type HandlerReply } from './serverlessHandler.ts';
import { jobLine, writeWorkerLog } from './serverlessWorkerLog.ts';

export interface Queue {
  submit(
    endpoint: EndpointRecord,
    request: { readonly input: unknown; readonly policy: JobPolicy; readonly sync: boolean; readonly origin: string },
  ): Job;
  cancel(endpoint: EndpointRecord, job: Job): void;
  /** Back into the queue under the same id. */
  retry(endpoint: EndpointRecord, job: Job): void;
  /** How many waiting jobs were taken out. */
  purge(endpoint: EndpointRecord): number;
  /** Gives waiting jobs to idle workers. */
  dispatch(endpoint: EndpointRecord): void;
  dispose(): void;
}

/** What a worker that dies twice under a job leaves behind (reported in RunPod's own plugin docs). */
const gaveUp = 'job timed out after 1 retries';
const defaultTimeoutMs = 600_000;

/** Jobs of all endpoints: their wait, their run on a worker, their end, and their expiry. */
export function createQueue(deps: {
  readonly time: SimTime;
  readonly chance: Seeded;
  readonly behaviour: ServerlessBehaviour;
  readonly faults: FaultBook;
  readonly bucket: Bucket;
  fleet(): Fleet;
}): Queue {
  const { time, behaviour, faults } = deps;
  const timers = new Set<{ cancel(): void }>();
  const live = new Set<Job>();
  const later = (ms: number, work: () => void): void => {
    const timer = time.after(ms, () => {
      timers.delete(timer);
      work();
    });
    timers.add(timer);
  };

  const end = (endpoint: EndpointRecord, job: Job, status: JobStatus, output?: unknown, error?: string): void => {
    if (hasEnded(job)) return;
    job.status = status;
    job.endedAt = time.now();
    job.output = output;
    job.error = error;
    if (status === 'COMPLETED') endpoint.counts.completed++;
    if (status === 'FAILED' || status === 'TIMED_OUT') endpoint.counts.failed++;
    live.delete(job);
    const at = job.endedAt;
    later(job.sync ? behaviour.retentionMs.runsync : behaviour.retentionMs.run, () => {
      // A retry has begun a new life in the meantime.
      if (job.endedAt === at) endpoint.jobs.delete(job.id);
    });
    job.stop.abort();
    for (const tell of [...job.onEnd]) tell();
    job.onEnd.clear();
    for (const tell of [...job.onNews]) tell();
  };

  const finish = (endpoint: EndpointRecord, job: Job, reply: HandlerReply): void => {
    const { error, ...rest } = reply;
    if (Buffer.byteLength(JSON.stringify(reply)) > behaviour.resultLimitBytes) {
      // 'Failed to return job results': only the worker's log says so, the job ends without output.
      return end(endpoint, job, 'FAILED');
    }
    if (error !== undefined) {
      const text = textOf(reply);
      return end(endpoint, job, 'FAILED', Object.keys(rest).length > 0 ? rest : undefined, text);
    }
    job.chunks.push(reply);
    end(endpoint, job, 'COMPLETED', reply);
  };

  async function work(endpoint: EndpointRecord, worker: WorkerRecord, job: Job): Promise<void> {
    const stop = new AbortController();
    job.stop = stop;
    job.status = 'IN_PROGRESS';
    job.pickedUpAt = time.now();
    job.workerId = worker.id;
    worker.state = 'RUNNING';
    worker.job = job;
    writeWorkerLog(worker, time.now(), 'container', jobLine(job.id, 'Started.'));
    worker.timer?.cancel();
    const isMine = (): boolean => !stop.signal.aborted && !hasEnded(job);
    const limitMs = job.policy.executionTimeout ?? (endpoint.spec.timeout || defaultTimeoutMs);
    later(limitMs, () => {
      if (isMine()) end(endpoint, job, 'TIMED_OUT', undefined, 'job timed out');
    });
    const dies = faults.strike(['workerDies'], ['workJob'], endpoint.id);
    if (dies) {
      later(dies.afterMs, () => {
        if (isMine()) bury(endpoint, worker, job);
      });
    }
    const yields = faults.strike(['yields'], ['workJob'], endpoint.id);
    yields?.outputs.forEach((output, at) => {
      later(yields.everyMs * (at + 1), () => {
        if (!isMine()) return;
        job.progress = output;
        job.chunks.push(output);
        for (const tell of [...job.onNews]) tell();
      });
    });
    const canned = faults.strike(['handlerReply', 'handlerRaises', 'lateProgress'], ['workJob'], endpoint.id);
    let reply: HandlerReply;
    if (canned?.kind === 'handlerReply') reply = canned.reply as HandlerReply;
    else if (canned?.kind === 'handlerRaises') reply = { error: traceback(canned.message, worker) };
    else {
      job.frozen = canned?.kind === 'lateProgress';
      const { env } = endpoint.spec;
      const place = { origin: worker.comfyOrigin ?? '', jobId: job.id, env };
      const store = (name: string, bytes: Buffer): string => deps.bucket.put(job, name, bytes);
      reply = await runHandler({ ...place, store }, job.input, stop.signal);
    }
    if (isMine()) {
      if (reply.error !== undefined)
        writeWorkerLog(worker, time.now(), 'container', `worker-comfyui - ${textOf(reply)}`);
      finish(endpoint, job, reply);
    }
    writeWorkerLog(worker, time.now(), 'container', jobLine(job.id, 'Finished.'));
    if (worker.job === job) deps.fleet().release(worker);
  }

  /** The worker is gone in the middle of a job: the job gets one more chance. */
  const bury = (endpoint: EndpointRecord, worker: WorkerRecord, job: Job): void => {
    deps.fleet().stop(worker);
    job.stop.abort();
    job.deaths++;
    if (job.deaths > 1) end(endpoint, job, 'FAILED', undefined, gaveUp);
    else enqueue(endpoint, job);
  };

  const enqueue = (endpoint: EndpointRecord, job: Job): void => {
    job.status = 'IN_QUEUE';
    job.pickedUpAt = undefined;
    job.workerId = undefined;
    live.add(job);
    endpoint.counts.retried += job.deaths > 0 ? 1 : 0;
    dispatch(endpoint);
    deps.fleet().scale(endpoint);
    const { scaling } = endpoint.spec;
    if (scaling.type === 'QUEUE_DELAY') later(scaling.queueDelay * 1000, () => deps.fleet().scale(endpoint));
  };

  function dispatch(endpoint: EndpointRecord): void {
    for (const worker of endpoint.workers.filter(({ state }) => state === 'IDLE')) {
      const waiting = [...endpoint.jobs.values()].filter(({ status }) => status === 'IN_QUEUE');
      const job = waiting.find(({ policy }) => !policy.lowPriority) ?? waiting[0];
      if (!job) return;
      void work(endpoint, worker, job);
    }
  }

  return {
    submit: (endpoint, { input, policy, sync, origin }) => {
      const job: Job = {
        id: `${sync ? 'sync-' : ''}${uuid(deps.chance)}-e1`,
        endpointId: endpoint.id,
        sync,
        input,
        origin,
        policy,
        submittedAt: time.now(),
        status: 'IN_QUEUE',
        pickedUpAt: undefined,
        endedAt: undefined,
        workerId: undefined,
        output: undefined,
        error: undefined,
        deaths: 0,
        chunks: [],
        progress: undefined,
        onNews: new Set(),
        stop: new AbortController(),
        onEnd: new Set(),
        frozen: false,
      };
      endpoint.jobs.set(job.id, job);
      // Whatever its state is then: the job is gone.
      later(policy.ttl, () => {
        end(endpoint, job, 'CANCELLED');
        endpoint.jobs.delete(job.id);
      });
      enqueue(endpoint, job);
      return job;
    },
    cancel: (endpoint, job) => end(endpoint, job, 'CANCELLED'),
    retry: (endpoint, job) => {
      Object.assign(job, {
        output: undefined,
        error: undefined,
        endedAt: undefined,
        chunks: [],
        progress: undefined,
        frozen: false,
      });
      job.submittedAt = time.now();
      job.stop = new AbortController();
      enqueue(endpoint, job);
    },
    purge: (endpoint) => {
      const waiting = [...endpoint.jobs.values()].filter(({ status }) => status === 'IN_QUEUE');
      for (const job of waiting) end(endpoint, job, 'CANCELLED');
      return waiting.length;
    },
    dispatch,
    dispose: () => {
      for (const timer of timers) timer.cancel();
      timers.clear();
      for (const job of live) {
        job.stop.abort();
        for (const tell of [...job.onEnd]) tell();
      }
    },
  };
}

/** What RunPod's SDK makes of an exception in the handler: a JSON text in `error`. */
function traceback(message: string, worker: WorkerRecord): string {
  return JSON.stringify({
    error_type: "<class 'RuntimeError'>",
    error_message: message,
    error_traceback: `Traceback (most recent call last):\n  File "/handler.py", line 1\nRuntimeError: ${message}\n`,
    hostname: `${worker.id}-64410f21`,
    worker_id: worker.id,
    runpod_version: '1.10.1',
  });
}

function uuid(chance: Seeded): string {
  const hex = (length: number): string =>
    Array.from({ length }, () => Math.floor(chance.fraction() * 16).toString(16)).join('');
  return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
}

function textOf({ error }: HandlerReply): string {
  return typeof error === 'string' ? error : JSON.stringify(error);
}
