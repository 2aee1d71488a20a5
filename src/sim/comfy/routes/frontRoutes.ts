import { route, type Route } from '../http/route.ts';
import type { Json, JsonObject } from '../pyJson.ts';
import type { ServerState } from '../serverState.ts';

const INDEX = Buffer.from('<!DOCTYPE html>\n<html lang="en"><title>ComfyUI (simulated)</title></html>\n', 'utf8');

/** The script of each pack that ships one */
const PACK_SCRIPTS: Record<string, readonly string[]> = {
  'ComfyUI-AnimateDiff-Evolved': ['gif_preview.js', 'autosize.js', 'documentation.js', 'deprecate_nodes.js'],
  'ComfyUI-VideoHelperSuite': ['videoinfo.js', 'VHS.core.js'],
};

/** What the web front-end asks for, and what is only there to say no (comfyui.md 1.6, 1.8). */
export function frontRoutes(state: ServerState): Route[] {
  const { traits } = state;
  const routes = [
    route('GET', '/', (call) => call.reply.bytes(200, 'text/html', INDEX, { 'Accept-Ranges': 'bytes' })),
    route('GET', '/extensions', (call) => call.reply.json(scripts(state.packs))),
    route('GET', '/workflow_templates', (call) => call.reply.json(templates(state.packs))),
    route('GET', '/i18n', (call) => call.reply.json({})),
    route('GET', '/ws', (call) => {
      call.reply.text(400, 'No WebSocket UPGRADE hdr: None\n Can "Upgrade" only to "WebSocket".');
    }),
  ];
  if (traits.hasGlobalSubgraphs) routes.push(route('GET', '/global_subgraphs', (call) => call.reply.json({})));
  if (traits.hasNodeReplacements) {
    routes.push(route('GET', '/node_replacements', (call) => call.reply.json(REPLACEMENTS)));
  }
  if (traits.hasAssetsRoutes) {
    const disabled: JsonObject = {
      error: {
        code: 'SERVICE_DISABLED',
        message: 'Assets system is disabled. Start the server with --enable-assets to use this feature.',
        details: {},
      },
    };
    for (const path of ['/assets', '/assets/*', '/tags']) {
      routes.push(route('GET', path, (call) => call.reply.json(disabled, 503), 'api'));
    }
  }
  return routes;
}

function scripts(packs: readonly string[]): Json {
  return packs.flatMap((pack) => (PACK_SCRIPTS[pack] ?? []).map((script) => `/extensions/${pack}/js/${script}`));
}

function templates(packs: readonly string[]): Json {
  return packs.includes('ComfyUI_IPAdapter_plus') ? { ComfyUI_IPAdapter_plus: ['ipadapter_simple'] } : {};
}

/** Classes that may be missing because another one took their place */
const REPLACEMENTS: JsonObject = {
  ImageBatch: [
    {
      new_node_id: 'BatchImagesNode',
      old_node_id: 'ImageBatch',
      old_widget_ids: null,
      input_mapping: [
        { new_id: 'images.image0', old_id: 'image1' },
        { new_id: 'images.image1', old_id: 'image2' },
      ],
      output_mapping: null,
    },
  ],
};
