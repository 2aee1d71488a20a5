import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { holdPort } from './heldPort.ts';
import type { HeldPort } from './heldPort.ts';
import type { Mounted } from './mount.ts';

/** A port of the loopback that serves one mounted service, and can be shut and opened again like a program that ends. */
export interface Listener {
  /** Stays the same over shut and open. */
  readonly origin: string;
  readonly open: boolean;
  /** Connections are refused from now on, and those there are break. No other program gets the port meanwhile. */
  shut(): Promise<void>;
  reopen(): Promise<void>;
  dispose(): Promise<void>;
}

export async function listen(service: Mounted): Promise<Listener> {
  let port = 0;
  let server: Server | undefined;
  let held: HeldPort | undefined;
  const sockets = new Set<Socket>();

  const letGo = async (): Promise<void> => {
    await held?.release();
    held = undefined;
  };
  const open = async (): Promise<void> => {
    if (server !== undefined) return;
    await letGo();
    const own = createServer((req, res) => service.handle(req, res));
    // A simulated generation may keep a reply waiting for longer than Node's default allows.
    own.requestTimeout = 0;
    own.on('upgrade', (req, socket, head) => service.upgrade(req, socket, head));
    own.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      own.once('error', reject);
      own.listen(port, '127.0.0.1', resolve);
    });
    port = (own.address() as AddressInfo).port;
    server = own;
  };
  const close = async (): Promise<void> => {
    const own = server;
    if (own === undefined) return;
    server = undefined;
    const closed = new Promise<void>((resolve) => own.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };

  await open();
  return {
    origin: `http://127.0.0.1:${port}`,
    get open() {
      return server !== undefined;
    },
    shut: async () => {
      if (server === undefined) return;
      await close();
      held = await holdPort(port);
    },
    reopen: open,
    dispose: async () => {
      await close();
      await letGo();
      service.dispose();
    },
  };
}
