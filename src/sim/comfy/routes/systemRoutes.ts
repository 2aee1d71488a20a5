import { objectInfoOf } from '../nodes/objectInfo.ts';
import { route, type Route } from '../http/route.ts';
import type { JsonObject } from '../pyJson.ts';
import type { ServerState } from '../serverState.ts';

const RAM_TOTAL = 32 * 1024 ** 3;

/** `/system_stats`, `/features`, `/object_info` (comfyui.md 1.6). */
export function systemRoutes(state: ServerState): Route[] {
  return [
    route('GET', '/system_stats', (call) => call.reply.json(systemStats(state))),
    route('GET', '/features', (call) => call.reply.json(state.features())),
    route('GET', '/object_info', (call) => {
      const all: JsonObject = {};
      for (const type of state.types.values()) all[type.name] = objectInfoOf(type, state.lists);
      call.reply.json(all);
    }),
    route('GET', '/object_info/*', (call) => {
      const type = state.types.get(call.param(0));
      call.reply.json(type ? { [type.name]: objectInfoOf(type, state.lists) } : {});
    }),
  ];
}

function systemStats(state: ServerState): JsonObject {
  const { traits, hardware, gpuName } = state;
  const used = [...hardware.loaded.values()].reduce((sum, bytes) => sum + bytes, 0);
  const ramFree = RAM_TOTAL - 2 * 1024 ** 3 - (hardware.isCpu ? used : used / 4);
  const total = hardware.isCpu ? RAM_TOTAL : hardware.vramBytes;
  const free = Math.max(0, hardware.isCpu ? ramFree : total - 400 * 1024 ** 2 - used);
  const torchTotal = hardware.isCpu ? total : Math.round(used * 1.1);
  return {
    system: {
      os: traits.systemOs,
      ram_total: RAM_TOTAL,
      ram_free: Math.round(ramFree),
      comfyui_version: traits.profile,
      required_frontend_version: traits.packages.frontend,
      installed_templates_version: traits.packages.templates,
      required_templates_version: traits.packages.templates,
      ...(traits.profile === '0.33.0' && {
        comfy_package_versions: [
          { name: 'comfyui-frontend-package', installed: traits.packages.frontend, required: traits.packages.frontend },
          {
            name: 'comfyui-workflow-templates',
            installed: traits.packages.templates,
            required: traits.packages.templates,
          },
        ],
      }),
      python_version: '3.12.11 (main, Jun  4 2025, 08:56:18) [GCC 13.3.0]',
      pytorch_version: hardware.isCpu ? '2.9.1+cpu' : '2.9.1+cu128',
      embedded_python: false,
      argv: hardware.isCpu ? ['main.py', '--cpu'] : ['main.py', '--listen', '0.0.0.0'],
      ...(traits.profile === '0.33.0' && { deploy_environment: 'local-git' }),
    },
    devices: [
      {
        name: gpuName === undefined ? 'cpu' : `cuda:0 ${gpuName} : cudaMallocAsync`,
        type: hardware.isCpu ? 'cpu' : 'cuda',
        index: hardware.isCpu ? null : 0,
        vram_total: total,
        vram_free: Math.round(free),
        torch_vram_total: torchTotal,
        torch_vram_free: hardware.isCpu ? Math.round(free) : Math.max(0, Math.round(torchTotal - used)),
      },
    ],
  };
}
