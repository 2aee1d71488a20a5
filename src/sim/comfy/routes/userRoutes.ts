import { normalizeInside, splitPath } from '../files/fileStore.ts';
import { mimeOf } from '../files/mime.ts';
import { ServerTrouble } from '../graph/promptError.ts';
import { route, type Call, type Route } from '../http/route.ts';
import { isObject, type JsonObject } from '../pyJson.ts';
import type { ServerState, UserFile } from '../serverState.ts';

/** `/users`, `/settings`, `/userdata`: what the front-end keeps on the server (comfyui.md 1.6). */
export function userRoutes(state: ServerState): Route[] {
  return [...settingRoutes(state), ...userdataRoutes(state)];
}

function settingRoutes(state: ServerState): Route[] {
  return [
    route('GET', '/users', (call) => call.reply.json({ storage: 'server', migrated: true })),
    route('GET', '/settings', (call) => call.reply.json(Object.fromEntries(state.settings))),
    route('POST', '/settings', async (call) => {
      const body = await call.json();
      if (!isObject(body)) throw new ServerTrouble('settings are an object');
      for (const [key, value] of Object.entries(body)) state.settings.set(key, value ?? null);
      call.reply.empty();
    }),
    route('GET', '/settings/*', (call) => call.reply.json(state.settings.get(call.param(0)) ?? null)),
    route('POST', '/settings/*', async (call) => {
      state.settings.set(call.param(0), await call.json());
      call.reply.empty();
    }),
  ];
}

function userdataRoutes(state: ServerState): Route[] {
  const { userdata } = state;
  return [
    route('GET', '/userdata', (call) => list(call, state)),
    route('GET', '/v2/userdata', (call) => {
      const path = normalizeInside(call.query.get('path') ?? '');
      if (path === undefined) return call.reply.empty(403);
      const under = filesUnder(userdata, path);
      call.reply.json(under.map(([name, file]) => treeEntry(name, file)));
    }),
    route('GET', '/userdata/*', (call) => {
      const path = normalizeInside(call.param(0));
      if (path === undefined) return call.reply.empty(403);
      const file = userdata.get(path);
      if (file === undefined) return call.reply.empty(404);
      const attachment = state.traits.attachesUserdata ? { 'Content-Disposition': 'attachment' } : undefined;
      call.reply.bytes(200, mimeOf(path), file.bytes, { 'Accept-Ranges': 'bytes', ...attachment });
    }),
    route('POST', '/userdata/*', async (call) => {
      const path = normalizeInside(call.param(0));
      if (path === undefined) return call.reply.empty(403);
      const known = userdata.get(path);
      if (known && call.query.get('overwrite') === 'false') return call.reply.text(409, 'File already exists');
      const now = state.time.now();
      const file = { bytes: await call.body(), modifiedMs: now, createdMs: known?.createdMs ?? now };
      userdata.set(path, file);
      call.reply.json(call.query.get('full_info') === 'true' ? fullInfo(path, file, state) : path);
    }),
    route('DELETE', '/userdata/*', (call) => {
      const path = normalizeInside(call.param(0));
      if (path === undefined) return call.reply.empty(403);
      if (!userdata.delete(path)) return call.reply.empty(404);
      call.reply.noContent();
    }),
    route('POST', '/userdata/*/move/*', (call) => {
      const from = normalizeInside(call.param(0));
      const to = normalizeInside(call.param(1));
      if (from === undefined || to === undefined) return call.reply.empty(403);
      const file = userdata.get(from);
      if (file === undefined) return call.reply.empty(404);
      if (userdata.has(to) && call.query.get('overwrite') === 'false')
        return call.reply.text(409, 'File already exists');
      userdata.delete(from);
      userdata.set(to, file);
      call.reply.json(call.query.get('full_info') === 'true' ? fullInfo(to, file, state) : to);
    }),
  ];
}

function list(call: Call, state: ServerState): void {
  const given = call.query.get('dir') ?? '';
  if (given === '') return call.reply.text(400, 'Directory not provided');
  const dir = normalizeInside(given);
  if (dir === undefined) return call.reply.empty(403);
  const all = filesUnder(state.userdata, dir);
  if (all.length === 0) return call.reply.text(404, 'Directory not found');
  const isDeep = call.query.get('recurse') === 'true';
  const found = all
    .map(([path, file]): [string, UserFile] => [dir === '' ? path : path.slice(dir.length + 1), file])
    .filter(([path]) => isDeep || !path.includes('/'));
  if (call.query.get('full_info') === 'true') {
    return call.reply.json(found.map(([path, file]) => fullInfo(path, file, state)));
  }
  call.reply.json(found.map(([path]) => (call.query.get('split') === 'true' ? [path, ...path.split('/')] : path)));
}

function filesUnder(userdata: ReadonlyMap<string, UserFile>, dir: string): [string, UserFile][] {
  return [...userdata].filter(([path]) => dir === '' || path.startsWith(`${dir}/`));
}

/** Seconds up to 0.8.0, milliseconds in 0.33.0. */
function fullInfo(path: string, file: UserFile, state: ServerState): JsonObject {
  const unit = state.traits.userdataTimesInMs ? 1 : 1000;
  return { path, size: file.bytes.length, modified: file.modifiedMs / unit, created: file.createdMs / unit };
}

function treeEntry(path: string, file: UserFile): JsonObject {
  return { name: splitPath(path).name, path, type: 'file', size: file.bytes.length, modified: file.modifiedMs / 1000 };
}
