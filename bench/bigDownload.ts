import { spawn } from 'node:child_process';
import path from 'node:path';
import { startSimulator } from '../src/sim/simulator.ts';
import type { Bench } from './measurement.ts';

const bytes = 2 * 1024 ** 3;

/** A job whose file has 2 GB, in a process of its own, whose memory is watched meanwhile. */
export const bigDownload: Bench = {
  name: 'bigDownload',
  async measure() {
    const sim = await startSimulator({ timeScale: 100, seed: 1 });
    try {
      const { grownBytes, seconds } = await inChild(sim.addresses.localComfyUrl, () => {
        sim.local.control.faults = { bigOutputBytes: bytes };
      });
      return [
        {
          what: 'a 2 GB result: memory held over that of a small one',
          judge: 'max',
          under: 64,
          unit: 'MB',
          samples: [grownBytes / 1e6],
        },
        { what: 'a 2 GB result: time to save it', judge: 'max', under: 60, unit: 's', samples: [seconds] },
      ];
    } finally {
      await sim.dispose();
    }
  },
};

interface Grown {
  readonly grownBytes: number;
  readonly seconds: number;
}

/** The child makes a small file first, says so, and makes the big one when it is told to. */
function inChild(localComfyUrl: string, enlarge: () => void): Promise<Grown> {
  const program = path.join(import.meta.dirname, 'bigDownloadChild.ts');
  const child = spawn(process.execPath, ['--expose-gc', program, localComfyUrl, String(bytes)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.on('message', (message: 'ready' | Grown) => {
      if (message !== 'ready') return resolve(message);
      enlarge();
      child.send('go');
    });
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`The download ended with ${String(code)}`)));
  });
}
