import type { SimTime } from '../mount.ts';
import type { FaultBox } from './faults.ts';
import type { FileStore } from './files/fileStore.ts';
import type { ModelShelf } from './files/modelShelf.ts';
import type { ValidationWorld } from './graph/validatePrompt.ts';
import type { Hardware, Lists, NodeType } from './nodes/nodeType.ts';
import type { ProfileTraits } from './profile.ts';
import type { Json, JsonObject } from './pyJson.ts';
import type { PromptQueue } from './run/promptQueue.ts';
import type { Worker } from './run/worker.ts';
import type { SocketHub } from './sockets/socketHub.ts';

/** What one server process has; a restart replaces it. */
export interface ServerProcess {
  queue: PromptQueue;
  worker: Worker;
  /** The next default `number` */
  counter: number;
}

/** A file of the front-end's own storage. Times are simulated ms since the epoch. */
export interface UserFile {
  bytes: Buffer;
  modifiedMs: number;
  createdMs: number;
}

/** Everything that routes need. `process` changes when the server restarts; disks and settings stay. */
export interface ServerState extends ValidationWorld {
  time: SimTime;
  traits: ProfileTraits;
  types: ReadonlyMap<string, NodeType>;
  lists: Lists;
  files: FileStore;
  faults: FaultBox;
  hub: SocketHub;
  hardware: Hardware;
  gpuName: string | undefined;
  process: ServerProcess;
  packs: readonly string[];
  shelf: ModelShelf;
  userdata: Map<string, UserFile>;
  settings: Map<string, Json>;
  features(): JsonObject;
  /** The process dies and comes back (the `acceptThenDie` fault). */
  die(downMs: number): void;
  newUuid(): string;
}
