import { isFolderType } from '../files/fileStore.ts';
import { route, type Route } from '../http/route.ts';
import type { ServerState } from '../serverState.ts';

/** `/internal/*`: private to the front-end, without an `/api` twin (comfyui.md 1.6). */
export function internalRoutes(state: ServerState): Route[] {
  const { shelf, files, traits } = state;
  return [
    route(
      'GET',
      '/internal/folder_paths',
      (call) => call.reply.json(Object.fromEntries(shelf.folders.map((name) => [name, shelf.paths(name)]))),
      'bare',
    ),
    route(
      'GET',
      '/internal/files/*',
      (call) => {
        const type = call.param(0);
        if (!isFolderType(type)) return call.reply.json({ error: 'Invalid directory type' }, 400);
        const suffix = traits.annotatesInternalFiles ? ` [${type}]` : '';
        const newestFirst = files
          .names(type, '')
          .sort((a, b) => (files.get(type, '', b)?.serial ?? 0) - (files.get(type, '', a)?.serial ?? 0));
        call.reply.json(newestFirst.map((name) => name + suffix));
      },
      'bare',
    ),
    route('GET', '/internal/logs', (call) => call.reply.json(''), 'bare'),
    route(
      'GET',
      '/internal/logs/raw',
      (call) => call.reply.json({ entries: [], size: { cols: 80, rows: 24 } }),
      'bare',
    ),
    route(
      'PATCH',
      '/internal/logs/subscribe',
      async (call) => {
        await call.json();
        call.reply.empty();
      },
      'bare',
    ),
  ];
}
