"""Moves the pod's ComfyUI behind PodRelay's agent: to the pod's loopback, on another port.

Python loads this by itself, from the PYTHONPATH that the start command sets, in every Python process of the image. So
it works whatever script of the image starts ComfyUI, and leaves no trace on the pod's volume, as a changed arguments
file would. A ComfyUI that it cannot move finds its port taken by the agent and ends: the pod is then unusable, never open.
"""

import importlib.machinery
import importlib.util
import os
import socket
import sys

_DOOR = int(os.environ.get('PODRELAY_DOOR_PORT', '8188'))
_COMFY = int(os.environ.get('PODRELAY_COMFY_PORT', '18188'))


def _tell_comfy():
    """ComfyUI's own arguments, of which the last one counts: node packs read the port from them."""
    argv = getattr(sys, 'argv', None) or ['']
    folder = os.path.dirname(os.path.abspath(argv[0]))
    if os.path.basename(argv[0]) != 'main.py' or not os.path.isdir(os.path.join(folder, 'comfy')):
        return
    wanted = ['--listen', '127.0.0.1', '--port', str(_COMFY)]
    if argv[-4:] != wanted:
        argv += wanted
    print('PodRelay: ComfyUI goes to 127.0.0.1:%d, behind the agent' % _COMFY, file=sys.stderr, flush=True)


def _move_port():
    """Whatever else of Python would take the agent's port, say a ComfyUI that is started in another way."""
    bind = socket.socket.bind

    def moved(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and address[1:2] == (_DOOR,):
            address = ('127.0.0.1' if self.family == socket.AF_INET else '::1', _COMFY)
        return bind(self, address)

    socket.socket.bind = moved


def _load_shadowed():
    """The image's own module of this name, which this one hides."""
    here = os.path.dirname(os.path.abspath(__file__))
    paths = [one for one in sys.path if os.path.abspath(one) != here]
    spec = importlib.machinery.PathFinder.find_spec('sitecustomize', paths)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


for _step in (_tell_comfy, _move_port, _load_shadowed):
    try:
        _step()
    except Exception as _error:
        print('PodRelay: %s failed: %r' % (_step.__name__, _error), file=sys.stderr, flush=True)
