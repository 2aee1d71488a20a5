"""The door: passes to ComfyUI what comes from somebody who shows the token."""

import asyncio
import hashlib
import hmac
import html
import json
import socket
import traceback
from urllib.parse import unquote_to_bytes

from messages import (
    CHUNKED, HEAD_BYTES, HOP_BY_HOP, LINGER_SECONDS, STALL_SECONDS, UNTIL_CLOSE, Broken, Gone, Refusal, Request,
    Upload, blocks, copy_body, linger, own_reply, pump, reply_head, returned, sender,
)
from watch import say

MOST_STRANGERS = 256
FIRST_HEAD_SECONDS = 20
NEXT_HEAD_SECONDS = 75
COOKIE = b'__Host-podrelay'
OWN_PATHS = b'/podrelay/'


class Door:
    """Lets in who shows the token, and nobody else."""

    def __init__(self, token_sha256, comfy_port, watch):
        self.token_hash = token_sha256
        self.comfy_port = comfy_port
        self.watch = watch
        # Connections on which nobody has shown the token yet, oldest first.
        self.strangers = {}
        self.sockets = 0
        self.refused = 0

    async def welcome(self, reader, writer):
        """One connection. Its work is cancelled when the caller is gone, whatever it waits for."""
        task = asyncio.ensure_future(self.converse(reader, writer))
        gone = asyncio.ensure_future(writer.wait_closed())
        gone.add_done_callback(lambda done: (done.cancelled() or done.exception(), task.cancel()))
        if len(self.strangers) >= MOST_STRANGERS:
            # They must not keep the owner out: a connection that says nothing gives way to a new one.
            next(iter(self.strangers)).cancel()
        self.strangers[task] = True
        try:
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is not None:
                report(task.exception())
        finally:
            self.strangers.pop(task, None)
            task.cancel()
            gone.cancel()
            if not writer.transport.is_closing():
                writer.close()
                if writer.transport.get_write_buffer_size():
                    # It is still sent, but not for ever to a caller who does not read it.
                    asyncio.get_running_loop().call_later(STALL_SECONDS, writer.transport.abort)

    async def converse(self, reader, writer):
        tune(writer.get_extra_info('socket'))
        patience = FIRST_HEAD_SECONDS
        try:
            more = True
            while more:
                try:
                    data = await asyncio.wait_for(reader.readuntil(b'\r\n\r\n'), patience)
                except asyncio.LimitOverrunError:
                    raise Refusal(431, 'The head of the request is too large.')
                except (asyncio.IncompleteReadError, asyncio.TimeoutError):
                    return
                patience = NEXT_HEAD_SECONDS
                try:
                    request = Request(data)
                except ValueError as error:
                    raise Refusal(400, 'The request cannot be read: %s.' % error)
                more = await self.answer(request, reader, writer)
        except Refusal as refusal:
            extra = b'WWW-Authenticate: Bearer realm="PodRelay"\r\n' if refusal.status == 401 else b''
            writer.write(own_reply(refusal.status, b'text/plain', refusal.text.encode() + b'\n', extra, False))
        except (Broken, Gone, ValueError, ConnectionError):
            # A message that was begun and cannot be ended: only a broken connection says so.
            writer.transport.abort()
        await linger(reader, writer)

    async def answer(self, request, reader, writer):
        """True when the connection can take another request."""
        way, token = self.admitted(request)
        if way is None:
            self.refused += 1
            raise Refusal(401, 'This ComfyUI is private. Open it from PodRelay.')
        self.strangers.pop(asyncio.current_task(), None)
        if way == 'link':
            writer.write(entrance(self.without_token(request.target), token))
            return False
        if request.path.startswith(OWN_PATHS):
            return await self.own(request, reader, writer)
        return await self.pass_on(request, token, reader, writer)

    def fits(self, token):
        return hmac.compare_digest(hashlib.sha256(token).digest(), self.token_hash)

    def admitted(self, request):
        """How the token was shown ('bearer', 'link', 'cookie' or None), and the token."""
        for value in request.all(b'authorization'):
            scheme, _, token = value.partition(b' ')
            if scheme.lower() == b'bearer' and self.fits(token.strip()):
                return 'bearer', token.strip()
        if request.method == b'GET' and not request.is_socket:
            for name, value in query_of(request.target):
                if name == b'token' and self.fits(unquote_to_bytes(value or b'')):
                    return 'link', unquote_to_bytes(value)
        if not from_elsewhere(request):
            for name, value in cookies_of(request):
                if name == COOKIE and self.fits(value):
                    return 'cookie', value
        return None, b''

    def without_token(self, target):
        path, mark, _ = target.partition(b'?')
        kept = [
            name + (b'=' + value if value is not None else b'')
            for name, value in query_of(target)
            if not (name == b'token' and self.fits(unquote_to_bytes(value or b'')))
        ]
        return path + (mark + b'&'.join(kept) if kept else b'')

    async def own(self, request, reader, writer):
        """What PodRelay asks: how the pod is, and to be told that an editor uses it."""
        said = b''
        async for data in blocks(reader, request.length):
            said += data
            if len(said) > 4096:
                raise Refusal(413, 'Too large.')
        if (request.method, request.path) == (b'POST', b'/podrelay/lease'):
            try:
                lease = json.loads(said or b'{}')
                self.watch.lease(str(lease.get('holder', ''))[:100], float(lease.get('seconds', 180)))
            except (ValueError, TypeError, AttributeError):
                raise Refusal(400, 'A lease is {"holder": text, "seconds": number}.')
        elif (request.method, request.path) != (b'GET', b'/podrelay/state'):
            raise Refusal(404, 'The agent has no such thing.')
        state = dict(self.watch.state(), sockets=self.sockets, refused=self.refused)
        body = json.dumps(state).encode()
        writer.write(own_reply(200, b'application/json', body, b'', request.keeps_alive))
        return request.keeps_alive

    async def pass_on(self, request, token, reader, writer):
        """One request to ComfyUI and its answer back, over a connection of its own: no request can spoil the next."""
        try:
            opening = asyncio.open_connection('127.0.0.1', self.comfy_port, limit=HEAD_BYTES)
            comfy_reader, comfy_writer = await asyncio.wait_for(opening, 10)
        except (OSError, asyncio.TimeoutError):
            raise Refusal(502, 'ComfyUI does not answer on this pod.')
        used = self.watch.use if is_use(request) else nothing
        used()
        upload = None
        try:
            head = self.forwarded(request, token)
            if request.length == 0:
                comfy_writer.write(head)
            else:
                if b'100-continue' in request.words(b'expect'):
                    writer.write(b'HTTP/1.1 100 Continue\r\n\r\n')
                upload = asyncio.ensure_future(self.upload(head, request, reader, comfy_writer, used))
            reply = await answer_to(upload, reply_head(comfy_reader, request.method))
            if reply.status == 101:
                if not request.is_socket:
                    raise Refusal(502, 'ComfyUI answered something else than was asked.')
                await self.tunnel(reply, (reader, writer), (comfy_reader, comfy_writer))
                return False
            endless = reply.length in (CHUNKED, UNTIL_CLOSE)
            # An answer that comes before the whole request was read leaves the rest of that on the connection.
            keeps = request.keeps_alive and not (endless and request.is_http10) and (
                upload is None or (upload.done() and upload.exception() is None)
            )
            writer.write(returned(reply, endless and not request.is_http10, keeps))
            await copy_body(comfy_reader, reply.length, sender(writer), endless and not request.is_http10, used)
            return keeps
        finally:
            if upload is not None:
                upload.cancel()
                await asyncio.wait({upload})
                upload.cancelled() or upload.exception()
            comfy_writer.transport.abort()

    async def upload(self, head, request, reader, comfy_writer, used):
        upload = Upload(comfy_writer)
        try:
            await upload.send(head)
            await copy_body(reader, request.length, upload.send, request.length == CHUNKED, used)
        finally:
            upload.close()

    async def tunnel(self, reply, caller, comfy):
        lines = [b'HTTP/1.1 101 ' + reply.reason] + [name + b': ' + value for _, name, value in reply.fields]
        caller[1].write(b'\r\n'.join(lines) + b'\r\n\r\n')
        pumps = [asyncio.ensure_future(pump(caller[0], comfy[1])), asyncio.ensure_future(pump(comfy[0], caller[1]))]
        self.sockets += 1
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if any(one.exception() is not None for one in done):
                caller[1].transport.abort()
            else:
                # Time for the other side's part of the farewell.
                await asyncio.wait(pumps, timeout=LINGER_SECONDS)
        finally:
            self.sockets -= 1
            for one in pumps:
                one.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def forwarded(self, request, token):
        """The head for ComfyUI, without the token wherever it is in it."""
        dropped = HOP_BY_HOP | request.words(b'connection')
        lines = [request.method + b' ' + self.without_token(request.target) + b' HTTP/1.1']
        for low, name, value in request.fields:
            if low == b'cookie':
                value = b'; '.join(one for one in split_cookie(value) if one.partition(b'=')[0] != COOKIE)
            if low not in dropped and token not in value and (value or low != b'cookie'):
                lines.append(name + b': ' + value)
        if not request.all(b'host'):
            lines.append(b'Host: 127.0.0.1')
        if request.length == CHUNKED:
            lines.append(b'Transfer-Encoding: chunked')
        elif request.says_length:
            lines.append(b'Content-Length: %d' % request.length)
        if request.is_socket:
            lines += [b'Connection: Upgrade', b'Upgrade: websocket']
        else:
            lines.append(b'Connection: close')
        return b'\r\n'.join(lines) + b'\r\n\r\n'


async def answer_to(upload, answer):
    """Waits for an answer while the request's body is on its way; a caller who breaks that off gets none."""
    if upload is None:
        return await answer
    answer = asyncio.ensure_future(answer)
    try:
        await asyncio.wait({upload, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            try:
                await upload
            except Gone:
                # ComfyUI takes no more of it: it has answered already, or is gone.
                pass
            except ValueError as error:
                raise Refusal(400, 'The body cannot be read: %s.' % error)
        return await answer
    finally:
        answer.cancel()


def entrance(target, token):
    """
    Puts the token of a link into a cookie and goes on to the address without it. By a page, not by a redirect: to
    ComfyUI the next request then comes from its own site, wherever the link was clicked.
    """
    path, mark, query = target.decode('ascii').partition('?')
    # Relative to where it is: nothing in an address may lead to another host.
    address = html.escape('./' + path.rpartition('/')[2] + mark + query)
    body = '<!doctype html><meta http-equiv="refresh" content="0;url=%s"><a href="%s">ComfyUI</a>' % (address, address)
    extra = (
        b'Set-Cookie: ' + COOKIE + b'=' + token + b'; Path=/; Secure; HttpOnly; SameSite=Strict\r\n'
        b'Referrer-Policy: no-referrer\r\n'
    )
    return own_reply(200, b'text/html', body.encode(), extra, False)


def query_of(target):
    """Names and raw values; a name without '=' has the value None."""
    parts = target.partition(b'?')[2].split(b'&')
    return [(name, value if mark else None) for name, mark, value in (part.partition(b'=') for part in parts if part)]


def split_cookie(value):
    return [one.strip() for one in value.split(b';') if one.strip()]


def cookies_of(request):
    pairs = (one.partition(b'=') for value in request.all(b'cookie') for one in split_cookie(value))
    return [(name, value) for name, _, value in pairs]


def from_elsewhere(request):
    """A browser sends the cookie along for other people's pages too, and other pods' pages count as the same site."""
    sites = request.all(b'sec-fetch-site')
    if sites:
        return any(site not in (b'same-origin', b'none') for site in sites)
    return any(origin.partition(b'//')[2] not in request.all(b'host') for origin in request.all(b'origin'))


def is_use(request):
    """Somebody works with ComfyUI. Looking at its health or queue is none, nor is a browser tab left open."""
    return request.method not in (b'GET', b'HEAD', b'OPTIONS') or request.path in (b'/', b'/view', b'/api/view')


def nothing():
    pass


def tune(sock):
    """Small writes are sent at once; a caller whose machine is gone is noticed within two minutes."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (('TCP_KEEPIDLE', 60), ('TCP_KEEPINTVL', 20), ('TCP_KEEPCNT', 3)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def report(error):
    """Where it happened; not its words, which may hold what a caller sent."""
    where = ', '.join('%s:%d' % (one.name, one.lineno) for one in traceback.extract_tb(error.__traceback__)[-3:])
    say('a bug: %s at %s' % (type(error).__name__, where))
