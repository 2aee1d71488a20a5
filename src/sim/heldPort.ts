import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface HeldPort {
  /** It can be listened on again. */
  release(): Promise<void>;
}

/**
 * Keeps a loopback port from being given to another program while nobody listens on it, so that connections to it are
 * refused: it becomes the near end of a connection of ours. Where the system does not allow that, the port is free.
 */
export async function holdPort(port: number): Promise<HeldPort> {
  const far = new Set<Socket>();
  const server = createServer((socket) => {
    far.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port: farPort } = server.address() as AddressInfo;
  const near = connect({ host: '127.0.0.1', port: farPort, localAddress: '127.0.0.1', localPort: port });
  await new Promise<void>((resolve) => {
    near.once('connect', resolve);
    near.on('error', () => resolve());
  });
  return {
    release: async () => {
      // A reset leaves no trace of the connection: the port is free at once.
      const gone = near.destroyed ? undefined : new Promise((resolve) => near.once('close', resolve));
      near.resetAndDestroy();
      for (const socket of far) socket.destroy();
      await Promise.all([gone, new Promise((resolve) => server.close(resolve))]);
    },
  };
}
