import type { Mounted, SimTime } from '../mount.ts';
import { ComfyServer, type LoggedRequest } from './comfyServer.ts';
import { FaultBox, type ComfyFaults } from './faults.ts';
import { FileStore } from './files/fileStore.ts';
import { ModelShelf } from './files/modelShelf.ts';
import { MAX_BODY_BYTES } from './http/body.ts';
import { nodeTypes } from './nodes/catalog.ts';
import type { Hardware, Lists } from './nodes/nodeType.ts';
import type { NodePack } from './nodes/packs.ts';
import { traitsOf, type ComfyProfile, type ProfileTraits } from './profile.ts';
import type { JsonObject } from './pyJson.ts';
import { seededRandom } from './media/noise.ts';
import { PromptQueue } from './run/promptQueue.ts';
import { Worker } from './run/worker.ts';
import { allRoutes } from './routes/allRoutes.ts';
import type { ServerProcess, ServerState } from './serverState.ts';
import { SocketHub } from './sockets/socketHub.ts';

export interface ComfySimOptions {
  profile: ComfyProfile;
  time: SimTime;
  seed: number;
  /** Absent: a CPU server. `speed` 1 makes 20 steps of SD 1.5 at 512 x 512 in 4 s. */
  gpu?: { name: string; vramBytes: number; speed: number };
  /** Folder key to file names; absent: one SD 1.5 checkpoint and what a bare server has. */
  models?: Record<string, string[]>;
  /** Installed node packs, by folder name; absent: none */
  nodePacks?: readonly NodePack[];
  /** Files in the input folder; a small `example.png` is always there */
  inputs?: Record<string, Uint8Array>;
  /** Whether the server was started with previews on; default true */
  previews?: boolean;
}

/** What a test or the demo may know about the server without asking it. */
export interface ComfySimState {
  running: string | undefined;
  /** In heap order */
  pending: string[];
  history: string[];
  workerAlive: boolean;
  isDown: boolean;
  openSockets: number;
  /** Client ids that the server would send to */
  registeredClients: string[];
  /** Every node that ran, not counting cached ones, since the last restart */
  executedNodes: { promptId: string; nodeId: string; classType: string }[];
  /** `type/sub/name` of every file */
  files: string[];
}

export interface ComfySim extends Mounted {
  control: { faults: ComfyFaults };
  state(): ComfySimState;
  /** Kills the process and starts a new one: sockets break, queue, history and caches are gone, disks stay. */
  restart(): void;
  /** All requests and upgrades so far, oldest first */
  readonly requests: readonly LoggedRequest[];
  /** Bytes of a file that the server holds; undefined when there is none */
  file(type: 'output' | 'input' | 'temp', subfolder: string, name: string): Uint8Array | undefined;
}

/** A ComfyUI server without a port of its own: real routes, real sockets, real pixels; the models are painted. */
export function createComfySim(options: ComfySimOptions): ComfySim {
  const traits = traitsOf(options.profile);
  const faults = new FaultBox();
  const files = new FileStore(() => options.time.now());
  const shelf = new ModelShelf(traits, options.nodePacks ?? [], options.models, files);
  shelf.stockInputs(options.inputs ?? {});
  const random = seededRandom(options.seed);
  const hardware: Hardware = {
    speed: options.gpu?.speed ?? 0.04,
    vramBytes: options.gpu?.vramBytes ?? 0,
    isCpu: options.gpu === undefined,
    loaded: new Map(),
  };
  const types = nodeTypes(traits, options.nodePacks ?? []);
  const lists: Lists = shelf.lists();
  const features = (): JsonObject => featuresOf(traits);
  const hub = new SocketHub(faults, {
    queueRemaining: () => state.process.queue.remaining,
    features,
    nodeRunningFor: (clientId) => state.process.worker.nodeRunningFor(clientId),
  });

  const startProcess = (): ServerProcess => {
    const queue = new PromptQueue(() => hub.broadcastStatus());
    const previews = options.previews ?? true;
    const worker = new Worker({
      time: options.time,
      types,
      lists,
      files,
      faults,
      hub,
      queue,
      hardware,
      random,
      previews,
    });
    return { queue, worker, counter: 0 };
  };

  const state: ServerState = {
    time: options.time,
    traits,
    types,
    lists,
    files,
    faults,
    hub,
    hardware,
    gpuName: options.gpu?.name,
    process: undefined as unknown as ServerProcess,
    packs: options.nodePacks ?? [],
    shelf,
    userdata: new Map(),
    settings: new Map(),
    features,
    die: (downMs) => {
      kill();
      server.isDown = true;
      options.time.after(downMs, boot);
    },
    newUuid: () => uuidFrom(random),
  };
  state.process = startProcess();
  const server = new ComfyServer(state, allRoutes(state));

  const kill = (): void => {
    state.process.worker.kill();
    hub.destroyAll();
    server.cutConnections();
  };
  const boot = (): void => {
    hardware.loaded.clear();
    files.clearTemp();
    state.process = startProcess();
    server.isDown = false;
  };

  return {
    control: {
      get faults() {
        return faults.current;
      },
      set faults(value: ComfyFaults) {
        faults.set(value);
      },
    },
    requests: server.requests,
    handle: (request, response) => server.handle(request, response),
    upgrade: (request, socket, head) => server.upgrade(request, socket, head),
    restart: () => {
      kill();
      boot();
    },
    dispose: () => {
      kill();
      server.isDown = true;
    },
    file: (type, subfolder, name) => files.get(type, subfolder, name)?.bytes,
    state: () => ({
      running: state.process.queue.running?.promptId,
      pending: state.process.queue.pending.map((item) => item.promptId),
      history: [...state.process.queue.history.keys()],
      workerAlive: state.process.worker.isAlive,
      isDown: server.isDown,
      openSockets: hub.openSockets,
      registeredClients: hub.registeredIds,
      executedNodes: [...state.process.worker.executedNodes],
      files: (['output', 'input', 'temp'] as const).flatMap((type) =>
        files.paths(type).map((path) => `${type}/${path}`),
      ),
    }),
  };
}

function featuresOf(traits: ProfileTraits): JsonObject {
  const common = { supports_preview_metadata: true };
  const size = { max_upload_size: MAX_BODY_BYTES };
  const manager = { extension: { manager: { supports_v4: true } } };
  if (traits.featureKeys === 2) return { ...common, ...size };
  if (traits.featureKeys === 3) return { ...common, ...size, ...manager };
  return { ...common, supports_model_type_tags: true, ...size, ...manager, node_replacements: true, assets: false };
}

function uuidFrom(random: () => number): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
  hex[12] = '4';
  hex[16] = '8';
  const text = hex.join('');
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
}
