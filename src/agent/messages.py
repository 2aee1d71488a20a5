"""HTTP/1.1 messages: read strictly, copied in blocks, written anew."""

import asyncio
import os
import re
import socket
from http import HTTPStatus

BLOCK = 65536
HEAD_BYTES = 65536
STALL_SECONDS = 300
LINGER_BYTES = 16 << 20
LINGER_SECONDS = 5

# Lengths of a body that are no number of bytes.
CHUNKED = -1
UNTIL_CLOSE = -2

# They concern one connection, not the message (RFC 9110, 7.6.1); lengths are written anew.
HOP_BY_HOP = {
    b'connection', b'keep-alive', b'proxy-connection', b'proxy-authorization', b'proxy-authenticate', b'te',
    b'trailer', b'transfer-encoding', b'upgrade', b'expect', b'content-length',
}


TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) (/[\x21-\x7e]*) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb'HTTP/1\.[01] ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?')
NOT_IN_VALUES = re.compile(rb'[\x00-\x08\x0a-\x1f\x7f]')
CHUNK_LINE = re.compile(rb'([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e]*)?\r\n')
DIGITS = re.compile(rb'[0-9]{1,18}')


class Refusal(Exception):
    """The request is answered by us, and its connection closed."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status
        self.text = text


class Broken(Exception):
    """The sender of a message in flight is gone: what was begun cannot be ended properly."""


class Gone(Exception):
    """The receiver of a message in flight is gone, or takes nothing any more."""

class Head:
    """The fields of a request or a reply, in their order, with names also in lower case."""

    def __init__(self, lines):
        self.fields = []
        for line in lines:
            name, colon, value = line.partition(b':')
            value = value.strip(b' \t')
            # A folded line begins with a blank and so is no name. Whatever two readers may read differently is refused.
            if not colon or not TOKEN.fullmatch(name) or NOT_IN_VALUES.search(value):
                raise ValueError('malformed header field')
            self.fields.append((name.lower(), name, value))

    def all(self, name):
        return [value for low, _, value in self.fields if low == name]

    def words(self, name):
        """The members of a list-valued field, in lower case."""
        return {word.strip().lower() for value in self.all(name) for word in value.split(b',')} - {b''}

    def body_length(self):
        """Bytes, CHUNKED, or None when nothing is said. Two statements are refused, be they equal or not."""
        codings = self.all(b'transfer-encoding')
        lengths = self.all(b'content-length')
        if codings:
            if lengths or len(codings) > 1 or codings[0].lower() != b'chunked':
                raise ValueError('two lengths, or a transfer coding other than chunked')
            return CHUNKED
        if not lengths:
            return None
        if len(lengths) > 1 or not DIGITS.fullmatch(lengths[0]):
            raise ValueError('malformed length')
        return int(lengths[0])


class Request(Head):
    def __init__(self, data):
        first, *lines = data[:-4].split(b'\r\n')
        match = REQUEST_LINE.fullmatch(first)
        if not match:
            raise ValueError('malformed request line')
        super().__init__(lines)
        self.method, self.target, minor = match.groups()
        self.is_http10 = minor == b'0'
        if len(self.all(b'host')) > 1 or (not self.is_http10 and not self.all(b'host')):
            raise ValueError('one Host is needed')
        length = self.body_length()
        if length == CHUNKED and self.is_http10:
            raise ValueError('HTTP/1.0 has no chunks')
        self.says_length = length is not None
        self.length = length or 0
        said = self.words(b'connection')
        self.keeps_alive = b'close' not in said and (not self.is_http10 or b'keep-alive' in said)
        self.is_socket = (
            self.method == b'GET' and not self.is_http10 and self.length == 0
            and b'upgrade' in said and self.words(b'upgrade') == {b'websocket'}
        )
        self.path = self.target.partition(b'?')[0]


class Reply(Head):
    def __init__(self, data, method):
        first, *lines = data[:-4].split(b'\r\n')
        match = STATUS_LINE.fullmatch(first)
        if not match:
            raise ValueError('malformed status line')
        super().__init__(lines)
        self.status = int(match.group(1))
        self.reason = match.group(2) or b''
        length = self.body_length()
        self.has_body = method != b'HEAD' and self.status >= 200 and self.status not in (204, 304)
        self.length = 0 if not self.has_body else UNTIL_CLOSE if length is None else length


async def blocks(reader, length):
    """The body, without its framing, in blocks of at most BLOCK bytes. Raises Broken when it ends too early."""
    if length == UNTIL_CLOSE:
        while True:
            data = await reader.read(BLOCK)
            if not data:
                return
            yield data
    if length != CHUNKED:
        async for data in exactly(reader, length):
            yield data
        return
    while True:
        line = await until(reader, b'\r\n')
        match = CHUNK_LINE.fullmatch(line)
        if not match:
            raise ValueError('malformed chunk')
        size = int(match.group(1), 16)
        if size == 0:
            break
        async for data in exactly(reader, size):
            yield data
        if await until(reader, b'\r\n') != b'\r\n':
            raise ValueError('malformed end of a chunk')
    for _ in range(100):
        # Trailers are dropped: nobody here needs them, and they are a way to smuggle fields.
        if await until(reader, b'\r\n') == b'\r\n':
            return
    raise ValueError('too many trailers')


async def exactly(reader, size):
    while size > 0:
        data = await reader.read(min(size, BLOCK))
        if not data:
            raise Broken()
        size -= len(data)
        yield data


async def until(reader, end):
    try:
        return await reader.readuntil(end)
    except asyncio.IncompleteReadError:
        raise Broken()
    except asyncio.LimitOverrunError:
        raise ValueError('too long')


async def flow(writer):
    """Waits for a receiver that is slower than the sender, so that what waits in memory stays small."""
    try:
        if writer.transport.get_write_buffer_size() > BLOCK:
            await asyncio.wait_for(writer.drain(), STALL_SECONDS)
    except (ConnectionError, asyncio.TimeoutError):
        raise Gone()
    if writer.transport.is_closing():
        raise Gone()


async def copy_body(reader, length, send, in_chunks, on_block):
    async for data in blocks(reader, length):
        on_block()
        await send(b'%x\r\n%b\r\n' % (len(data), data) if in_chunks else data)
    if in_chunks:
        await send(b'0\r\n\r\n')


def sender(writer):
    async def send(data):
        writer.write(data)
        await flow(writer)

    return send


class Upload:
    """
    Sends over a second handle of a connection. A server that answers early may refuse the rest with a reset; a failure
    to write would close asyncio's own handle before its answer was read from it.
    """

    def __init__(self, writer):
        self.socket = socket.socket(fileno=os.dup(writer.get_extra_info('socket').fileno()))
        self.socket.setblocking(False)

    async def send(self, data):
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.socket, data), STALL_SECONDS)
        except (OSError, asyncio.TimeoutError):
            raise Gone()

    def close(self):
        self.socket.close()


async def pump(reader, writer):
    """One direction of a WebSocket, to its end."""
    while True:
        data = await reader.read(BLOCK)
        if not data:
            break
        writer.write(data)
        await flow(writer)
    if not writer.transport.is_closing():
        writer.write_eof()


async def linger(reader, writer):
    """Before a close: unread bytes would turn it into a reset, and the caller might not see our answer."""
    async def drop():
        left = LINGER_BYTES
        while left > 0:
            data = await reader.read(BLOCK)
            if not data:
                return
            left -= len(data)

    try:
        if not writer.transport.is_closing():
            writer.write_eof()
            await asyncio.wait_for(drop(), LINGER_SECONDS)
    except (OSError, asyncio.TimeoutError):
        pass


async def reply_head(reader, method):
    """The head of ComfyUI's answer; interim ones are dropped, since nothing that we send asks for them."""
    try:
        while True:
            reply = Reply(await until(reader, b'\r\n\r\n'), method)
            if reply.status == 101 or reply.status >= 200:
                return reply
    except (Broken, ValueError, ConnectionError):
        raise Refusal(502, 'ComfyUI broke off its answer.')


def returned(reply, in_chunks, keeps):
    """The head for the caller."""
    dropped = HOP_BY_HOP | reply.words(b'connection')
    lines = [b'HTTP/1.1 %d %b' % (reply.status, reply.reason)]
    for low, name, value in reply.fields:
        if low not in dropped or (low == b'content-length' and reply.status != 204):
            lines.append(name + b': ' + value)
    if in_chunks:
        lines.append(b'Transfer-Encoding: chunked')
    lines.append(b'Connection: keep-alive' if keeps else b'Connection: close')
    return b'\r\n'.join(lines) + b'\r\n\r\n'


def own_reply(status, content_type, body, extra, keeps):
    return (
        b'HTTP/1.1 %d %b\r\nContent-Type: %b; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: no-store\r\n'
        b'%bConnection: %b\r\n\r\n%b'
    ) % (status, HTTPStatus(status).phrase.encode(), content_type, len(body), extra,
         b'keep-alive' if keeps else b'close', body)
