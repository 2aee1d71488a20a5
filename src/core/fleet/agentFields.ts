import { deflateSync } from 'node:zlib';
import { idleSecondsVariable, tokenHashVariable } from '../runpod/pod.ts';
import { agentProgram } from './agentProgram.ts';
import { comfyPort } from './proxyAddress.ts';
import { watchdogScript } from './watchdog.ts';
import type { WatchdogSettings } from './watchdog.ts';

/** Where ComfyUI listens on the pod's loopback, behind the agent. */
const hiddenPort = 18_188;

/**
 * The fields of a create request that carry the pod agent: it takes ComfyUI's port before the image's own start command
 * runs, and is started again when it ends. Should it never come up, ComfyUI is not started: unusable, but not open.
 * Where the image has no Python, there is the watchdog alone, and the pod's log says that the door is open.
 */
export function agentFields(
  settings: WatchdogSettings,
  tokenSha256: string,
): { readonly env: Readonly<Record<string, string>>; readonly args: string } {
  return {
    env: {
      [idleSecondsVariable]: String(Math.ceil(settings.idleSeconds)),
      PODRELAY_BOOT_SECONDS: String(Math.ceil(settings.bootSeconds)),
      PODRELAY_DOOR_PORT: String(comfyPort),
      PODRELAY_COMFY_PORT: String(hiddenPort),
      [tokenHashVariable]: tokenSha256,
    },
    args: JSON.stringify({ entrypoint: ['sh', '-c'], cmd: [startScript(settings.startCommand)] }),
  };
}

function startScript(startCommand: string): string {
  const packed = deflateSync(JSON.stringify(agentProgram), { level: 9 }).toString('base64');
  return `say() { echo "PodRelay: $*"; }

watchdog() (
${watchdogScript}
)

for python in python3 python ''; do
  [ -n "$python" ] || break
  "$python" -I -c 'import asyncio, sys, zlib; sys.exit(sys.version_info < (3, 8))' 2> /dev/null && break
done

if [ -z "$python" ]; then
  say 'this image has no Python 3.8 for the agent: its ComfyUI is open to whoever knows the address of this pod'
  watchdog &
  exec ${startCommand}
fi

dir=$(mktemp -d)
"$python" -I -c 'import base64, json, os, sys, zlib
for name, text in json.loads(zlib.decompress(base64.b64decode(sys.argv[2]))).items():
    path = os.path.join(sys.argv[1], name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)' "$dir" '${packed}'

(
  trap '' HUP
  runs=0
  while [ "$runs" -lt 20 ]; do
    PODRELAY_AGENT_DIR=$dir "$python" -I -B "$dir/agent.py"
    say "the agent has ended ($?); it is started again"
    runs=$((runs + 1))
    sleep 3
  done
  say 'the agent does not stay up: the pod cannot be reached, and is stopped when it is idle'
  PODRELAY_COMFY_URL=http://127.0.0.1:\${PODRELAY_COMFY_PORT:-${hiddenPort}}
  watchdog
) &

waited=0
until [ -e "$dir/ready" ] || [ "$waited" -ge "\${PODRELAY_READY_SECONDS:-30}" ]; do
  sleep 1
  waited=$((waited + 1))
done
if [ ! -e "$dir/ready" ]; then
  say 'the agent does not come up: ComfyUI is not started, or it would be open to everyone'
  PODRELAY_BOOT_SECONDS=$PODRELAY_IDLE_SECONDS
  watchdog
fi
export PYTHONPATH="$dir/site\${PYTHONPATH:+:$PYTHONPATH}"
exec ${startCommand}
`;
}
