import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** A network cable between the editor and a service: bytes pass both ways until it is pulled. */
export interface Cable {
  /** To be used instead of the service's own origin. Stays the same. */
  readonly origin: string;
  /** Every connection breaks, and new ones are refused. */
  pull(): Promise<void>;
  plug(): Promise<void>;
}

/** @param target the origin of a service on loopback */
export async function startCable(target: string): Promise<Cable> {
  const { hostname, port: targetPort } = new URL(target);
  const sockets = new Set<Socket>();
  let port = 0;
  let server: Server | undefined;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  };
  const plug = async (): Promise<void> => {
    if (server !== undefined) return;
    const own = createServer((near) => {
      const far = connect(Number(targetPort), hostname);
      keep(near);
      keep(far);
      near.pipe(far).pipe(near);
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      own.once('error', reject);
      own.listen(port, '127.0.0.1', resolve);
    });
    port = (own.address() as AddressInfo).port;
    server = own;
  };
  const pull = async (): Promise<void> => {
    const own = server;
    if (own === undefined) return;
    server = undefined;
    const closed = new Promise<void>((resolve) => own.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await plug();
  return { origin: `http://127.0.0.1:${String(port)}`, pull, plug };
}
