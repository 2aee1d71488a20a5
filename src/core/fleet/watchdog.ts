import { idleSecondsVariable } from '../runpod/pod.ts';

export interface WatchdogSettings {
  /** The pod stops itself when ComfyUI's queue has been empty for this long. */
  readonly idleSeconds: number;
  /** Time for ComfyUI to answer first: an image may install for half an hour (RunPod docs, tutorials/pods/comfyui). */
  readonly bootSeconds: number;
  /** What the image itself would run; RunPod's ComfyUI image has the entrypoint '/start.sh'. */
  readonly startCommand: string;
}

export const defaultWatchdog: WatchdogSettings = { idleSeconds: 900, bootSeconds: 2_700, startCommand: '/start.sh' };

/**
 * A POSIX shell script that runs inside the pod beside ComfyUI and stops the pod when nobody uses it. It needs nothing
 * but what RunPod's image has: curl or python3, and the pod-scoped key that RunPod puts into the environment. One that
 * is there and does not work (no certificates, a tool that hangs) is followed by the next.
 *
 * Environment: RUNPOD_POD_ID, RUNPOD_API_KEY (RunPod's own), PODRELAY_IDLE_SECONDS, PODRELAY_BOOT_SECONDS;
 * for tests and other set-ups PODRELAY_COMFY_URL, PODRELAY_POLL_SECONDS, PODRELAY_RETRY_SECONDS, PODRELAY_TOOL_SECONDS and
 * RUNPOD_API_BASE_URL.
 *
 * Busy is a queue with something in it, or a GPU under load (training, another program). Silence of a ComfyUI that has
 * answered before counts as idle: a crashed server must not hold a GPU. Time is the machine's up-time, which no clock
 * correction moves. The stop is repeated until the container dies of it.
 */
export const watchdogScript = `trap '' HUP
comfy=\${PODRELAY_COMFY_URL:-http://127.0.0.1:8188}
idle=\${PODRELAY_IDLE_SECONDS:-900}
boot=\${PODRELAY_BOOT_SECONDS:-2700}
poll=\${PODRELAY_POLL_SECONDS:-15}
base=\${RUNPOD_API_BASE_URL:-https://api.runpod.io}
base=\${base%/}
base=\${base%/v2}
[ "$boot" -ge "$idle" ] || boot=$idle

say() { echo "PodRelay watchdog: $*"; }

now() {
  if [ -r /proc/uptime ]; then
    IFS='. ' read -r seconds _ < /proc/uptime
    echo "$seconds"
  else
    date +%s
  fi
}

queue() {
  curl -fsS -m 10 "$comfy/queue" 2> /dev/null ||
    python3 -c 'import sys, urllib.request as u
sys.stdout.write(u.urlopen(sys.argv[1], timeout=10).read().decode())' "$comfy/queue" 2> /dev/null
}

gpu_busy() {
  command -v nvidia-smi > /dev/null 2>&1 || return 1
  load=$(nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2> /dev/null | sort -nr | head -n 1 | tr -cd 0-9)
  [ -n "$load" ] && [ "$load" -ge 20 ]
}

post_stop() {
  url="$base/v2/pods/$RUNPOD_POD_ID/action"
  printf 'header = "Authorization: Bearer %s"\\n' "$RUNPOD_API_KEY" |
    curl -fsS -m 30 -K - -A podrelay-watchdog -H 'Content-Type: application/json' -d '{"action":"stop"}' "$url" > /dev/null ||
    python3 -c 'import os, sys, urllib.request as u
u.urlopen(u.Request(sys.argv[1], b"{\\"action\\":\\"stop\\"}", {
  "Authorization": "Bearer " + os.environ["RUNPOD_API_KEY"],
  "Content-Type": "application/json", "User-Agent": "podrelay-watchdog"}), timeout=30)' "$url"
}

limited() {
  "$@" &
  tool=$!
  (sleep "\${PODRELAY_TOOL_SECONDS:-60}"; kill -9 "$tool") &
  wait "$tool"
  result=$?
  kill $! 2> /dev/null
  return "$result"
}

stop_pod() {
  wait=\${PODRELAY_RETRY_SECONDS:-5}
  while :; do
    if command -v runpodctl > /dev/null 2>&1; then
      if limited runpodctl stop pod "$RUNPOD_POD_ID" || limited runpodctl pod stop "$RUNPOD_POD_ID"; then
        sleep "$wait"
      fi
    fi
    if post_stop; then say "stop accepted"; else say "stop failed; again in $wait s"; fi
    sleep "$wait"
    [ "$wait" -ge 60 ] || wait=$((wait * 2))
  done
}

began=$(now)
busy_at=$began
answered=
while :; do
  sleep "$poll"
  at=$(now)
  seen=$(queue | tr -d ' \\t\\r\\n')
  case $seen in
    '{'*'"queue_running":[]'*'"queue_pending":[]'* | '{'*'"queue_pending":[]'*'"queue_running":[]'*)
      [ -n "$answered" ] || { answered=1; busy_at=$at; } ;;
    '{'*'"queue_running":'*) answered=1; busy_at=$at ;;
  esac
  if gpu_busy; then busy_at=$at; fi
  limit=$idle
  [ -n "$answered" ] || limit=$boot
  if [ $((at - busy_at)) -ge "$limit" ]; then
    say "idle for $((at - busy_at)) s; stopping the pod"
    stop_pod
  fi
done
`;

/** The fields of a create request that carry the watchdog: it runs beside the image's own start command. */
export function watchdogFields(settings: WatchdogSettings): {
  readonly env: Readonly<Record<string, string>>;
  readonly args: string;
} {
  const start = `(\n${watchdogScript}) &\nexec ${settings.startCommand}\n`;
  return {
    env: {
      [idleSecondsVariable]: String(Math.ceil(settings.idleSeconds)),
      PODRELAY_BOOT_SECONDS: String(Math.ceil(settings.bootSeconds)),
    },
    // The image has an entrypoint of its own, which would swallow a plain command: so the entrypoint is replaced.
    args: JSON.stringify({ entrypoint: ['sh', '-c'], cmd: [start] }),
  };
}
