import type { ServerResponse } from 'node:http';
import type { SimTime } from '../mount.ts';
import { idOf, integerQuery, timeQuery, wordsQuery, type Call, type Route } from './call.ts';
import type { FaultBook, Operation, StrangeLog } from './faults.ts';
import type { LogLine } from './logs.ts';
import { statusAt } from './podMachine.ts';
import { timeStamp } from './podRecord.ts';
import type { Pods } from './pods.ts';
import { invalid, Refusal } from './problem.ts';

/** Silence after which a comment keeps the connection awake, simulated ms. */
const keepAliveMs = 15_000;

/** Whatever writes a log: a pod, or a serverless worker. */
export interface LogSource {
  readonly id: string;
  /** Lines that lie ahead too. */
  readonly log: readonly LogLine[];
  /** Nothing more will come. */
  isOver(): boolean;
  /** Calls back when there may be more, or it is over; gives the end of that. */
  onChange(listener: () => void): () => void;
  write(lines: readonly string[]): void;
}

/**
 * Logs of pods and of serverless workers as Server-Sent Events: a backfill, then live until the machine is gone (RunPod
 * OpenAPI v2, getPodLogs and getWorkerLogs).
 */
export function logsRoutes(deps: {
  readonly pods: Pods;
  /** Undefined = there is no such worker. */
  worker(endpointId: string, workerId: string): LogSource | undefined;
  readonly time: SimTime;
  readonly faults: FaultBook;
  skewMs(): number;
}): { routes: Route[]; dispose(): void } {
  const open = new Set<() => void>();

  const stream = (call: Call, operation: Operation, machine: LogSource) => {
    const source = wordsQuery(call.query, 'source', ['container', 'system'])?.[0];
    const tail = integerQuery(call.query, 'tail', { least: 0, most: 5000, otherwise: 100 });
    const since = timeQuery(call.query, 'since');
    const resume = readEventId(call.req.headers['last-event-id']);
    const strange = deps.faults.strike(['strangeLog'], [operation], machine.id)?.with;
    const cut = deps.faults.strike(['cutLog'], [operation], machine.id);
    const skewMs = deps.skewMs();
    const wanted = (line: LogLine): boolean => source === undefined || line.source === source;
    const past = machine.log.filter((line) => line.at <= deps.time.now() && wanted(line));
    const first = ((): LogLine | undefined => {
      if (resume) {
        const isAfter = (line: LogLine): boolean =>
          resume.serial === undefined ? line.at + skewMs > resume.at : line.serial > resume.serial;
        const index = past.findIndex(isAfter);
        const next = index < 0 ? past.length : index;
        // A resume may be inclusive: the last event comes once more.
        return past[strange === 'repeatOnResume' ? Math.max(0, next - 1) : next];
      }
      if (since !== undefined) return past.find((line) => line.at + skewMs >= since);
      return tail === 0 ? undefined : (past.at(-tail) ?? past[0]);
    })();

    return (res: ServerResponse): void => {
      res.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-cache',
        connection: 'keep-alive',
        'x-accel-buffering': 'no',
      });
      res.flushHeaders();
      if (strange === 'silent') return;
      let sent = first === undefined ? (past.at(-1)?.serial ?? -1) : first.serial - 1;
      let count = 0;
      let timer: { cancel(): void } | undefined;
      const end = (): void => {
        timer?.cancel();
        stopListening();
        open.delete(end);
      };
      const write = (line: LogLine): boolean => {
        const frame = frameOf(line, skewMs, count === 0 || strange !== 'hugeEvent' ? strange : undefined);
        if (cut && count >= cut.afterLines) {
          const bytes = Buffer.from(frame);
          if (cut.how === 'midFrame') res.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
          // One byte into the two bytes of 'é', so that the cut falls inside a character.
          if (cut.how === 'midCharacter')
            res.write(Buffer.concat([Buffer.from('data: {"line":"caf'), Buffer.from([0xc3])]));
          end();
          // What was written still leaves; the stream just ends.
          if (cut.how === 'event') res.end();
          else setImmediate(() => res.socket?.destroy());
          return false;
        }
        count++;
        sent = line.serial;
        res.write(frame);
        return true;
      };
      const pump = (): void => {
        timer?.cancel();
        const now = deps.time.now();
        for (const line of machine.log) {
          if (line.at > now || line.serial <= sent || !wanted(line)) continue;
          if (!write(line)) return;
        }
        if (machine.isOver()) {
          end();
          res.end();
          return;
        }
        const next = machine.log.find((line) => line.at > now && wanted(line));
        const wait = Math.min(next ? next.at - now : Infinity, keepAliveMs);
        timer = deps.time.after(wait, () => {
          if (wait === keepAliveMs) res.write(': keep-alive\n\n');
          pump();
        });
      };
      const stopListening = machine.onChange(pump);
      open.add(end);
      res.on('close', end);
      if (strange === 'burst') machine.write(burst);
      pump();
    };
  };

  const podSource = (call: Call): LogSource => {
    const pod = deps.pods.visible(idOf(call));
    return {
      id: pod.id,
      get log() {
        return pod.log;
      },
      isOver: () => statusAt(pod.phases, deps.time.now()) === 'TERMINATED',
      onChange: (listener) =>
        deps.pods.onReplan((changed) => {
          if (changed === pod) listener();
        }),
      write: (lines) => deps.pods.writeLog(pod, 'container', lines),
    };
  };

  return {
    routes: [
      {
        method: 'GET',
        path: '/v2/pods/:id/logs',
        operation: 'getPodLogs',
        run: (call) => ({ stream: stream(call, 'getPodLogs', podSource(call)) }),
      },
      {
        method: 'GET',
        path: '/v2/serverless/:id/workers/:workerId/logs',
        operation: 'getWorkerLogs',
        run: (call) => {
          const worker = deps.worker(idOf(call), call.params['workerId'] ?? '');
          if (worker === undefined) throw new Refusal(404, 'worker not found');
          return { stream: stream(call, 'getWorkerLogs', worker) };
        },
      },
    ],
    dispose: () => {
      for (const end of [...open]) end();
    },
  };
}

const burst = Array.from({ length: 5000 }, (_, index) => `burst line ${index + 1}`);

const eventId = (line: LogLine, skewMs: number): string =>
  `${timeStamp(line.at + skewMs)}/${String(line.serial).padStart(12, '0')}`;

function frameOf(line: LogLine, skewMs: number, strange: StrangeLog | undefined): string {
  const ts = timeStamp(line.at + skewMs);
  const text = strange === 'hugeEvent' ? line.line.padEnd(1.1 * 2 ** 20, '#') : line.line;
  const data =
    strange === 'notJson' || strange === 'bare' ? line.line : JSON.stringify({ ts, source: line.source, line: text });
  const id = strange === 'noIds' || strange === 'bare' ? '' : `id: ${eventId(line, skewMs)}\n`;
  const frame = `${id}data: ${data}\n\n`;
  return strange === 'crlf' ? frame.replaceAll('\n', '\r\n') : frame;
}

/** `<time>/<serial>`, or the time alone, which an older specification sent. @throws Refusal 422 */
function readEventId(header: string | string[] | undefined): { at: number; serial?: number } | undefined {
  if (typeof header !== 'string' || header === '') return undefined;
  const [stamp = '', serial] = header.split('/');
  const at = Date.parse(stamp);
  if (Number.isNaN(at)) throw invalid([`header 'Last-Event-ID': '${header}' is not a cursor of this stream`]);
  return serial === undefined ? { at } : { at, serial: Number(serial) };
}
