import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { agentFields } from '../../src/core/fleet/agentFields.ts';
import { newPodToken, tokenHash } from '../../src/core/fleet/agentToken.ts';

/** Of a container: what the create request asks it to run, run here by a real shell. */
export interface Container {
  readonly token: string;
  readonly log: () => string;
  readonly child: ChildProcess;
  end(): Promise<void>;
}

export interface Agent extends Container {
  readonly port: number;
  readonly base: string;
  readonly bearer: { readonly authorization: string };
  /** kB of memory of the agent's own process, now and at the most; undefined where the system does not tell. */
  memory(): { readonly now: number; readonly peak: number } | undefined;
  /** Kills the program, but not what has started it; false where the system does not show processes. */
  kill(): boolean;
}

export interface ContainerOptions {
  readonly idleSeconds?: number;
  readonly bootSeconds?: number;
  readonly startCommand?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function hasPython(): boolean {
  const check = 'import sys, asyncio; sys.exit(sys.version_info < (3, 8))';
  return spawnSync('sh', ['-c', 'exit 0']).status === 0 && spawnSync('python3', ['-I', '-c', check]).status === 0;
}

export function startContainer(comfyPort: number, options: ContainerOptions = {}): Container {
  const token = newPodToken();
  const { idleSeconds = 600, bootSeconds = 600, startCommand = 'sleep 600' } = options;
  const fields = agentFields({ idleSeconds, bootSeconds, startCommand }, tokenHash(token));
  const { entrypoint, cmd } = JSON.parse(fields.args) as { entrypoint: string[]; cmd: string[] };
  const [program = '', ...args] = [...entrypoint, ...cmd];
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      ...fields.env,
      PODRELAY_DOOR_HOST: '127.0.0.1',
      PODRELAY_DOOR_PORT: '0',
      PODRELAY_COMFY_PORT: String(comfyPort),
      PODRELAY_POLL_SECONDS: '0.2',
      PODRELAY_RETRY_SECONDS: '0.3',
      ...options.env,
    },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    token,
    log: () => text,
    child,
    end: async () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
      await ended;
    },
  };
}

/** The agent in front of whatever listens on that port of the loopback. */
export async function startAgent(comfyPort: number, options: ContainerOptions = {}): Promise<Agent> {
  const container = startContainer(comfyPort, options);
  const port = await eventually(() => {
    const found = /the door is on port (\d+)/.exec(container.log())?.[1];
    return found === undefined ? undefined : Number(found);
  }, container.log);
  return {
    ...container,
    port,
    base: `http://127.0.0.1:${port}`,
    bearer: { authorization: `Bearer ${container.token}` },
    memory: () => {
      const status = readProc(agentPid(container.child.pid), 'status');
      const kb = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]);
      return status === '' ? undefined : { now: kb('VmRSS'), peak: kb('VmHWM') };
    },
    kill: () => {
      const pid = agentPid(container.child.pid);
      return pid !== undefined && process.kill(pid, 'SIGKILL');
    },
  };
}

export async function eventually<T>(look: () => T | undefined | false, why: () => string, ms = 15_000): Promise<T> {
  for (const end = Date.now() + ms; Date.now() < end; await pause(20)) {
    const found = look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`It did not come: ${why()}`);
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The agent among the processes of the container. */
function agentPid(group: number | undefined): number | undefined {
  if (!existsSync('/proc/self/stat')) return undefined;
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).find((pid) => {
    const stat = readProc(pid, 'stat');
    const args = readProc(pid, 'cmdline').split('\0');
    // The shell has the whole script as its argument.
    const isAgent = args.some((arg) => arg.endsWith('/agent.py') && !arg.includes('\n'));
    return isAgent && Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group;
  });
}

function readProc(pid: number | undefined, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

export interface Served {
  readonly port: number;
  close(): Promise<void>;
}

/** A server on a port of the loopback that the system chooses. */
export async function serve(server: http.Server | net.Server): Promise<Served> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** What a server sends on a connection of its own after these bytes, until it closes or `ms` have passed. */
export function raw(
  port: number,
  bytes: string | Buffer,
  options: { ms?: number; end?: boolean } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    const timer = setTimeout(() => socket.destroy(), options.ms ?? 3_000);
    socket.on('data', (data) => (text += data.toString('latin1')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.write(bytes);
    if (options.end) socket.end();
  });
}
