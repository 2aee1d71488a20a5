import type { LogLine } from './logs.ts';
import type { LogSource } from './logsRoutes.ts';
import type { WorkerRecord } from './serverlessEndpoint.ts';

/** What the host or the container of a worker writes. `at`: simulated ms since the epoch. */
export function writeWorkerLog(
  worker: WorkerRecord,
  at: number,
  source: LogLine['source'],
  ...lines: readonly string[]
): void {
  for (const line of lines) worker.log.push({ at, source, line, serial: worker.log.length + 1 });
  tellReaders(worker);
}

/** There are lines, or the worker is gone. */
export function tellReaders(worker: WorkerRecord): void {
  for (const listener of [...worker.readers]) listener();
}

export function workerLogSource(worker: WorkerRecord, now: () => number): LogSource {
  return {
    id: worker.id,
    log: worker.log,
    isOver: () => worker.state === 'GONE',
    onChange: (listener) => {
      worker.readers.add(listener);
      return () => void worker.readers.delete(listener);
    },
    write: (lines) => writeWorkerLog(worker, now(), 'container', ...lines),
  };
}

/** As runpod-python and worker-comfyui write them while a worker begins. */
export const readyLines = [
  'worker-comfyui: Starting ComfyUI',
  'Total VRAM and RAM checked, starting server',
  'To see the GUI go to: http://0.0.0.0:8188',
  'worker-comfyui: Starting RunPod Handler',
  '--- Starting Serverless Worker ---',
] as const;

export function jobLine(jobId: string, message: string): string {
  return JSON.stringify({ requestId: jobId, message, level: 'INFO' });
}
