"""PodRelay's pod agent: keeps the door of a pod's ComfyUI and stops the pod when nobody uses it.

Runs on the pod beside ComfyUI, with Python 3.8 or newer and nothing else. RunPod's proxy is public and asks nobody
who they are (RunPod docs, pods/configuration/expose-ports), and an open ComfyUI lets anyone run code. So ComfyUI
listens on the pod's loopback (sitecustomize.py sees to it), and this program on the pod's port: it passes HTTP and
WebSocket through for who shows the token, and answers 401 to everyone else. Of the token it knows the hash alone.

Environment (RunPod's own: RUNPOD_POD_ID, RUNPOD_API_KEY):
  PODRELAY_TOKEN_SHA256                            hex; whose token is let in
  PODRELAY_IDLE_SECONDS, PODRELAY_BOOT_SECONDS     time without work, and to the first answer, before the pod is stopped
  PODRELAY_COMFY_PORT, PODRELAY_DOOR_PORT, PODRELAY_DOOR_HOST, PODRELAY_AGENT_DIR
  PODRELAY_POLL_SECONDS, PODRELAY_RETRY_SECONDS, RUNPOD_API_BASE_URL        for tests and other set-ups
"""

import asyncio
import os
import socket
import sys

# Python runs isolated here, so that nothing of the image is mistaken for a module of ours.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from door import Door  # noqa: E402
from messages import HEAD_BYTES  # noqa: E402
from watch import Watch, keep_watch, say  # noqa: E402


def open_port(host, port):
    """All addresses of both families where the system has both: ComfyUI must not find a free one of this port."""
    if host:
        return socket.create_server((host, port), backlog=256)
    try:
        return socket.create_server(('::', port), family=socket.AF_INET6, backlog=256, dualstack_ipv6=True)
    except (OSError, ValueError):
        return socket.create_server(('0.0.0.0', port), backlog=256)


async def main(env):
    token_hash = bytes.fromhex(env['PODRELAY_TOKEN_SHA256'])
    if len(token_hash) != 32:
        raise ValueError('PODRELAY_TOKEN_SHA256 is no SHA-256')
    folder = env.get('PODRELAY_AGENT_DIR')
    comfy_port = int(env.get('PODRELAY_COMFY_PORT', '18188'))
    idle, boot = float(env.get('PODRELAY_IDLE_SECONDS', '900')), float(env.get('PODRELAY_BOOT_SECONDS', '2700'))
    watch = Watch(idle, boot, folder and os.path.join(folder, 'memory.json'))
    door = Door(token_hash, comfy_port, watch)
    listening = open_port(env.get('PODRELAY_DOOR_HOST', ''), int(env.get('PODRELAY_DOOR_PORT', '8188')))
    await asyncio.start_server(door.welcome, sock=listening, limit=HEAD_BYTES)
    say('the door is on port %d, ComfyUI behind it on 127.0.0.1:%d' % (listening.getsockname()[1], comfy_port))
    if folder:
        open(os.path.join(folder, 'ready'), 'w').close()
    await keep_watch(watch, door, env)


if __name__ == '__main__':
    try:
        asyncio.run(main(os.environ))
    except OSError as error:
        say('cannot run: %s' % error.strerror)
        sys.exit(1)
