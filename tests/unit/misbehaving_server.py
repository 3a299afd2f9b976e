"""A web server on 127.0.0.1 that does what servers should not, for tests of whoever fetches from the web.

It writes raw bytes, as no proper HTTP library would send most of this. The first part of a path names what to do, as in
`server.url("/redirects/3")`; each is a method of `MisbehavingServer` of that name.
"""

import asyncio
import contextlib
import gzip
import socket
import struct
import threading
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from urllib.parse import parse_qsl, unquote, urlsplit

from PIL import Image

HOLD_S = 0.02
"""How long /held keeps a request, so that requests under way at once are seen to be."""

STALL_S = 30.0
"""How long a server that makes others wait does so: longer than any test lasts."""

BOMB_BYTES = 30_000_000

BODY = b"x" * 100


@cache
def image_bytes():
    """A small JPEG."""
    file = BytesIO()
    Image.new("RGB", (32, 24), "teal").save(file, "JPEG")
    return file.getvalue()


@cache
def bomb():
    """BOMB_BYTES zeros, gzipped."""
    return gzip.compress(bytes(BOMB_BYTES), 1)


@dataclass(frozen=True)
class Request:
    """A request as it came: its target, and (name in lower case, value) of its headers."""

    target: str
    headers: tuple

    def header(self, name):
        """All values of a header."""
        return [value for key, value in self.headers if key == name.lower()]


def head(status="200 OK", *headers, length=None):
    """The head of an answer; `headers` are lines, `length` is for Content-Length, if that is wanted."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(body, status="200 OK", *headers):
    """A whole, proper answer."""
    return head(status, *headers, length=len(body)) + body


class MisbehavingServer:
    """Serves from a thread of its own within `with`, and remembers what it was asked.

    Attributes:
        requests: every Request, in the order they came.
        sent: bytes handed to the system so far, by path without query.
        most_at_once: the most requests under way at one time; most_at_once_by_host: the same, by Host without port.
    """

    def __init__(self):
        self.requests = []
        self.sent = Counter()
        self.most_at_once = 0
        self.most_at_once_by_host = Counter()
        self._now_by_host = Counter()
        self._asked = defaultdict(int)
        self._ready = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the server did not start"
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def url(self, path, host="127.0.0.1", scheme="http"):
        """The link to a path."""
        return f"{scheme}://{host}:{self.port}{path}"

    def asked(self, path):
        """How many requests there were for a path (with its query)."""
        return sum(request.target == path for request in self.requests)

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._connections = set()
        # asyncio.Server.wait_closed would wait for clients that hold on; ending the tasks does not.
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader, writer):
        task = asyncio.current_task()
        self._connections.add(task)
        # Small buffers here, so that `sent` is close to what the other side took.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        try:
            # Clients that go away in the middle are what many tests are about.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        except asyncio.CancelledError:
            pass  # the server stops; a cancelled task would be reported by asyncio.start_server
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader, writer):
        """One request and its answer; whether the connection is good for another."""
        start = await reader.readexactly(1)
        if start == b"\x16":  # the first byte of TLS, which this server does not speak
            writer.write(answer(b"", "400 Bad Request", "Connection: close"))
            await writer.drain()
            return False
        lines = (start + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        target = lines[0].split(" ")[1]
        headers = tuple(
            (key.lower(), value.strip()) for key, _, value in (line.partition(":") for line in lines[1:] if line)
        )
        request = Request(target, headers)
        self.requests.append(request)
        self._asked[target] += 1
        parts = urlsplit(target)
        name, _, rest = parts.path.lstrip("/").partition("/")
        act = getattr(self, name.replace("-", "_"))
        host = request.header("host")[0].rpartition(":")[0]
        self._now_by_host[host] += 1
        self.most_at_once = max(self.most_at_once, self._now_by_host.total())
        self.most_at_once_by_host[host] = max(self.most_at_once_by_host[host], self._now_by_host[host])

        async def send(data):
            writer.write(data)
            self.sent[parts.path] += len(data)
            await writer.drain()

        try:
            reply = await act(send=send, writer=writer, rest=rest, query=parse_qsl(parts.query), target=target)
            if reply is not None:
                writer.write(reply)
        finally:
            self._now_by_host[host] -= 1
        if reply is not None:
            self.sent[parts.path] += len(reply)
            await writer.drain()
        return reply is not None

    # What each path does. One that returns bytes has them sent as its answer and the connection kept; one that returns
    # None has sent what it wanted itself, and the connection is closed.

    async def image(self, query, **_):
        """A JPEG; the query's pairs are its headers besides."""
        return answer(image_bytes(), "200 OK", "Content-Type: image/jpeg", *(f"{key}: {value}" for key, value in query))

    async def held(self, **_):
        """A JPEG after a little while."""
        await asyncio.sleep(HOLD_S)
        return answer(image_bytes())

    async def size(self, rest, **_):
        """As many bytes as the path says."""
        return answer(bytes(int(rest)))

    async def sized_as_it_comes(self, send, rest, **_):
        """The same, without saying so before."""
        await send(head("200 OK", "Connection: close") + bytes(int(rest)))

    async def status(self, rest, query, **_):
        """The HTTP status that the path says, with the query's pairs as headers."""
        body = b"" if rest in ("204", "304") else b"no"
        return answer(body, f"{rest} Whatever", *(f"{key}: {value}" for key, value in query))

    async def then_image(self, rest, query, target, **_):
        """The HTTP status that the path says, with the query's pairs as headers, when asked first; then a JPEG."""
        if self._asked[target] == 1:
            return await self.status(rest, query)
        return answer(image_bytes())

    async def html(self, **_):
        """A page that claims to be a JPEG."""
        return answer(b"<html>Not found</html>", "200 OK", "Content-Type: image/jpeg")

    async def slow_headers(self, send, **_):
        """Half a head, then nothing."""
        await send(b"HTTP/1.1 200 OK\r\nContent-")
        await asyncio.sleep(STALL_S)

    async def trickle(self, send, **_):
        """A body that comes a byte at a time and never to its end."""
        await send(head(length=1_000_000))
        while True:
            await send(b"x")
            await asyncio.sleep(0.02)

    async def endless(self, send, **_):
        """A body of no stated length and no end."""
        await send(head("200 OK", "Content-Type: image/jpeg"))
        while True:
            await send(bytes(16384))

    async def endless_chunks(self, send, **_):
        """The same in chunks."""
        await send(head("200 OK", "Transfer-Encoding: chunked"))
        while True:
            await send(b"4000\r\n" + bytes(16384) + b"\r\n")

    async def claims(self, send, rest, **_):
        """BODY, with the path as its Content-Length; then the connection closes."""
        await send(head(length=int(rest)) + BODY)

    async def surplus(self, send, **_):
        """BODY with its Content-Length, and a little later more of it."""
        await send(answer(BODY))
        await asyncio.sleep(HOLD_S)
        await send(BODY)

    async def broken_chunks(self, send, **_):
        """A chunk that ends before its time."""
        await send(head("200 OK", "Transfer-Encoding: chunked") + b"64\r\nonly a part")

    async def bad_chunks(self, send, **_):
        """A chunk whose size is no number."""
        await send(head("200 OK", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        await asyncio.sleep(HOLD_S)
        await send(b"many\r\nhello\r\n0\r\n\r\n")

    async def reset(self, writer, **_):
        """No answer, but a reset."""
        # With no time to linger, closing sends RST instead of FIN.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def reset_in_body(self, send, writer, **_):
        """A reset in the middle of the body."""
        await send(head(length=1000) + BODY)
        await asyncio.sleep(HOLD_S)
        await self.reset(writer)

    async def hang_up(self, **_):
        """No answer: the connection closes."""

    async def not_http(self, send, **_):
        """Another protocol's greeting."""
        await send(b"220 mail.example.org ESMTP\r\n")

    async def redirect(self, rest, query, **_):
        """To where the path says (quoted), with the query's pairs as headers."""
        location = unquote(rest, "latin-1")
        return answer(b"", "302 Found", f"Location: {location}", *(f"{key}: {value}" for key, value in query))

    async def redirects(self, rest, **_):
        """As many redirects as the path says, each relative, then a JPEG."""
        left = int(rest)
        return answer(b"", "301 Moved", f"Location: {left - 1}" if left > 1 else "Location: ../image")

    async def slow_redirects(self, rest, **_):
        """The same, each after a while."""
        await asyncio.sleep(0.15)
        return await self.redirects(rest)

    async def loop(self, **_):
        """A redirect to itself."""
        return answer(b"", "307 Again", "Location: /loop")

    async def gzipped(self, query, **_):
        """A JPEG, gzipped; the query may name its encoding."""
        encoding = dict(query).get("encoding", "gzip")
        return answer(gzip.compress(image_bytes()), "200 OK", f"Content-Encoding: {encoding}")

    async def deflated(self, rest, **_):
        """A JPEG, deflated; without zlib's header if the path says raw."""
        squeeze = zlib.compressobj(wbits=-15 if rest == "raw" else 15)
        return answer(squeeze.compress(image_bytes()) + squeeze.flush(), "200 OK", "Content-Encoding: deflate")

    async def gzip_cut(self, **_):
        """Gzipped data that ends too early, though its Content-Length is right."""
        return answer(gzip.compress(image_bytes())[:-20], "200 OK", "Content-Encoding: gzip")

    async def gzip_garbage(self, **_):
        """What is said to be gzipped, but is not."""
        return answer(image_bytes(), "200 OK", "Content-Encoding: gzip")

    async def gzip_bomb(self, **_):
        """BOMB_BYTES that look like few."""
        return answer(bomb(), "200 OK", "Content-Encoding: gzip", "Content-Type: image/jpeg")

    async def gzip_nothing(self, send, **_):
        """Endless gzipped data that decodes to nothing."""
        squeeze = zlib.compressobj(wbits=31)
        await send(head("200 OK", "Content-Encoding: gzip") + squeeze.compress(b"") + squeeze.flush(zlib.Z_SYNC_FLUSH))
        while True:
            await send(b"\x00\x00\x00\xff\xff" * 4000)  # an empty block of deflate

    async def cookies(self, **_):
        """Sets a cookie and redirects."""
        return answer(b"", "302 Found", "Set-Cookie: track=you; Path=/", "Location: /image")

    async def huge_headers(self, send, **_):
        """A header of many megabytes."""
        await send(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(1000):
            await send(b"x" * 65536)
        await send(b"\r\n\r\n")

    async def many_headers(self, send, **_):
        """Headers without end."""
        await send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await send(b"X-More: yes\r\n" * 1000)

    async def interim(self, send, **_):
        """Answers that promise an answer, without end."""
        while True:
            await send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await asyncio.sleep(0.001)
