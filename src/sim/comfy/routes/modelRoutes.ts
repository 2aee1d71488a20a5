import { route, type Route } from '../http/route.ts';
import type { Json } from '../pyJson.ts';
import type { ServerState } from '../serverState.ts';

/** When the models were put in place, seconds since the epoch */
const INSTALLED_AT = 1_795_351_326.05;

/** Model folders, embeddings and model metadata (comfyui.md 1.6). */
export function modelRoutes(state: ServerState): Route[] {
  const { shelf } = state;
  return [
    route('GET', '/models', (call) => call.reply.json([...shelf.folders])),
    route('GET', '/models/*', (call) => {
      const names = shelf.models(call.param(0));
      if (names === undefined) return call.reply.empty(404);
      call.reply.json(names);
    }),
    route('GET', '/embeddings', (call) => {
      call.reply.json((shelf.models('embeddings') ?? []).map((name) => name.replace(/\.[^.]*$/, '')));
    }),
    route('GET', '/experiment/models', (call) => {
      const shown = shelf.folders.filter((folder) => folder !== 'configs' && folder !== 'custom_nodes');
      call.reply.json(shown.map((name) => ({ name, folders: shelf.paths(name) })));
    }),
    route('GET', '/experiment/models/*', (call) => {
      const names = shelf.models(call.param(0));
      if (names === undefined) return call.reply.empty(404);
      call.reply.json(names.map((name) => modelFile(name)));
    }),
    // The simulated model files carry no metadata.
    route('GET', '/view_metadata/*', (call) => call.reply.empty(404)),
  ];
}

function modelFile(name: string): Json {
  return { name, pathIndex: 0, modified: INSTALLED_AT, created: INSTALLED_AT, size: sizeOf(name) };
}

/** Bytes that a file of this kind usually has */
function sizeOf(name: string): number {
  if (/xl_base|xl/i.test(name)) return 6_938_078_334;
  if (/lora|adapter|zoom/i.test(name)) return 134_621_556;
  if (/wan|ltx|t5xxl|umt5/i.test(name)) return 5_676_070_424;
  return 2_132_625_150;
}
