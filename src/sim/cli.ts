// The simulator as a process of its own, so that painting never holds up the editor. It speaks JSON lines: the first
// line on standard output tells the addresses; each line on standard input is a request, answered by one line. It ends
// when its standard input ends, so it cannot outlive whoever started it.
import { createInterface } from 'node:readline';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

interface ControlRequest {
  readonly id: number;
  readonly do: 'setLocal' | 'setCloud' | 'setGemini' | 'state';
  readonly on?: boolean;
}

/** The demo's pod: there already, and stopped, so that the first fallback shows a start. */
const demoPod = {
  name: 'podrelay-demo',
  status: 'EXITED',
  mounts: { persistent: { size: 60, path: '/workspace' } },
} as const;

/** Not for jobs before the person says so. A worker comes with the first job, and goes after it. */
const demoEndpoint = {
  name: 'comfy-serverless',
  workers: { min: 0, max: 3, idleTimeout: 10 },
  flashboot: 'FLASHBOOT',
} as const;

async function main(): Promise<void> {
  const scale = Number(process.argv[2] ?? '12');
  const simulator = await startSimulator({ timeScale: scale, seed: 7 });
  const { id: podId } = simulator.runpod.seedPod({ ...demoPod, env: { PODRELAY_POD: demoPod.name } });
  simulator.runpod.seedPod({ name: 'someone-elses-pod', status: 'EXITED' });
  simulator.runpod.serverless.seedEndpoint(demoEndpoint);
  const { addresses, runpodApiKey, geminiApiKey } = simulator;
  print({ addresses, runpodApiKey, geminiApiKey, podId });

  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const request = JSON.parse(line) as ControlRequest;
    control(simulator, request).then(
      (value) => print({ id: request.id, value }),
      (error: unknown) => print({ id: request.id, error: error instanceof Error ? error.message : String(error) }),
    );
  });
  lines.on('close', () => void simulator.dispose().then(() => process.exit(0)));
}

async function control(simulator: Simulator, request: ControlRequest): Promise<unknown> {
  switch (request.do) {
    case 'setLocal':
      await simulator.setLocalOpen(request.on === true);
      return true;
    case 'setCloud':
      simulator.runpod.faults.clear();
      // What a person can still do in such an outage: see the pods, and stop the one that costs money.
      if (request.on !== true) {
        simulator.runpod.faults.set({ failure: { kind: 'status', status: 502, effect: 'before' }, on: ['proxy'] });
        simulator.runpod.faults.set({ failure: { kind: 'hostFull' } });
        simulator.runpod.faults.set({ failure: { kind: 'noCapacity' } });
      }
      return true;
    case 'setGemini':
      simulator.gemini.faults = { ...simulator.gemini.faults, revoked: request.on === true ? 'nothing' : 'everything' };
      return true;
    case 'state':
      return {
        pods: simulator.runpod.state().pods,
        invoice: simulator.runpod.invoice(),
        bill: simulator.gemini.bill(),
      };
  }
}

function print(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`The simulator could not start: ${String(error)}\n`);
  process.exit(1);
});
