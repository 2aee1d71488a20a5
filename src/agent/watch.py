"""The watch: since when nobody has used the pod, and how it is stopped."""

import asyncio
import http.client
import json
import os
import subprocess
import time
import urllib.request

VERSION = 1
LONGEST_LEASE_SECONDS = 3600
MOST_HOLDERS = 64
BUSY_GPU_PERCENT = 20


def say(text):
    print('PodRelay agent: ' + text, flush=True)


class Watch:
    """Knows since when nobody has used the pod. All times are seconds of the monotonic clock."""

    def __init__(self, idle_seconds, boot_seconds, memory):
        self.idle_seconds = idle_seconds
        self.boot_seconds = max(boot_seconds, idle_seconds)
        self.memory = memory
        self.began = time.monotonic()
        self.worked = self.used = self.began
        self.answered = False
        self.leases = {}
        self.queue = None
        self.gpu_percent = None
        self.stopping = False
        self.recall()

    def use(self):
        self.used = time.monotonic()

    def lease(self, holder, seconds):
        """An editor uses the pod for the next seconds; 0 ends that. Both are a sign of use now."""
        self.use()
        self.leases = {one: end for one, end in self.leases.items() if end > self.used and one != holder}
        if seconds > 0 and len(self.leases) < MOST_HOLDERS:
            self.leases[holder] = self.used + min(seconds, LONGEST_LEASE_SECONDS)

    def saw(self, queue, gpu_percent):
        """The length of ComfyUI's queue (None: no answer) and the load of the busiest GPU (None: not known)."""
        now = time.monotonic()
        self.queue = queue
        self.gpu_percent = gpu_percent
        if queue is not None and not self.answered:
            self.answered = True
            self.worked = now
        # Silence counts as idle: a crashed server must not hold a GPU.
        if (queue or 0) > 0 or (gpu_percent or 0) >= BUSY_GPU_PERCENT:
            self.worked = now
        self.remember()

    def leased_seconds(self):
        return max([0.0] + [end - time.monotonic() for end in self.leases.values()])

    def quiet_seconds(self):
        return time.monotonic() - max(self.worked, self.used)

    def due(self):
        if not self.answered:
            # No lease holds a pod whose ComfyUI never comes up.
            return time.monotonic() - self.worked >= self.boot_seconds
        return self.leased_seconds() <= 0 and self.quiet_seconds() >= self.idle_seconds

    def state(self):
        comfy = 'starting' if not self.answered else 'silent' if self.queue is None else 'answers'
        return {
            'agent': VERSION,
            'uptimeSeconds': round(time.monotonic() - self.began, 1),
            'idleSeconds': round(max(0.0, self.quiet_seconds()), 1),
            'idleStopSeconds': self.idle_seconds,
            'leaseSeconds': round(self.leased_seconds(), 1),
            'comfyui': comfy,
            'queue': self.queue,
            'gpuPercent': self.gpu_percent,
            'stopping': self.stopping,
        }

    def remember(self):
        """An agent that was restarted goes on counting, or one that crashes often would never stop its pod."""
        if self.memory is None:
            return
        try:
            with open(self.memory + '.new', 'w') as file:
                json.dump([self.began, self.worked, self.used, self.answered], file)
            os.replace(self.memory + '.new', self.memory)
        except OSError:
            pass

    def recall(self):
        try:
            with open(self.memory or '') as file:
                self.began, self.worked, self.used, self.answered = json.load(file)
        except (OSError, ValueError, TypeError):
            pass


def queue_length(port):
    """Prompts that run or wait at ComfyUI; None when it does not answer."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    try:
        connection.request('GET', '/prompt')
        answer = connection.getresponse()
        length = json.loads(answer.read(65536))['exec_info']['queue_remaining'] if answer.status == 200 else None
        return length if isinstance(length, int) else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def gpu_load():
    try:
        command = ['nvidia-smi', '--query-gpu=utilization.gpu', '--format=csv,noheader,nounits']
        lines = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20).stdout.split()
        return max((int(one) for one in lines if one.isdigit()), default=None)
    except (OSError, subprocess.SubprocessError):
        return None


def ask_for_stop(env):
    """RunPod's own tool first, in the form of both its generations, then its API. True when the API has taken it."""
    pod = env.get('RUNPOD_POD_ID', '')
    for command in (['runpodctl', 'stop', 'pod', pod], ['runpodctl', 'pod', 'stop', pod]):
        try:
            if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode == 0:
                break
        except (OSError, subprocess.SubprocessError):
            pass
    base = env.get('RUNPOD_API_BASE_URL', 'https://api.runpod.io').rstrip('/')
    base = base[:-3] if base.endswith('/v2') else base
    try:
        request = urllib.request.Request('%s/v2/pods/%s/action' % (base, pod), b'{"action":"stop"}', {
            'Authorization': 'Bearer ' + env.get('RUNPOD_API_KEY', ''),
            'Content-Type': 'application/json',
            'User-Agent': 'podrelay-agent',
        })
        urllib.request.urlopen(request, timeout=30).close()
        return True
    except (OSError, ValueError, http.client.HTTPException) as error:
        say('stopping the pod failed (%s)' % getattr(error, 'code', type(error).__name__))
        return False


async def keep_watch(watch, door, env):
    loop = asyncio.get_running_loop()
    poll = float(env.get('PODRELAY_POLL_SECONDS', '15'))
    first_wait = wait = float(env.get('PODRELAY_RETRY_SECONDS', '5'))
    told_refused = 0
    complain_at = watch.began + 300
    while True:
        await asyncio.sleep(poll if not watch.stopping else wait)
        queue = await loop.run_in_executor(None, queue_length, door.comfy_port)
        had_answered = watch.answered
        watch.saw(queue, await loop.run_in_executor(None, gpu_load))
        if watch.answered and not had_answered:
            say('ComfyUI answers')
        if not watch.answered and time.monotonic() >= complain_at:
            complain_at = time.monotonic() + 300
            say(
                'ComfyUI has not answered on 127.0.0.1:%d for %d s. It may still be installing. If it says that its '
                'address is in use, this image does not let it be moved behind the agent: nobody can reach it then.'
                % (door.comfy_port, time.monotonic() - watch.began)
            )
        if door.refused > told_refused:
            say('%d requests without the token were refused' % (door.refused - told_refused))
            told_refused = door.refused
        if not watch.due():
            watch.stopping = False
            wait = first_wait
            continue
        if not watch.stopping:
            say('idle for %d s; stopping the pod' % watch.quiet_seconds())
        else:
            wait = min(wait * 2, 60)
        # Repeated until the container ends of it.
        watch.stopping = True
        if await loop.run_in_executor(None, ask_for_stop, env):
            say('stop accepted')
