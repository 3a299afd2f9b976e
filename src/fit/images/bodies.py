"""What bodies of responses may hold: bytes behind a Content-Encoding, within a budget of memory."""

import asyncio
import zlib
from typing import Any


class BodyDecoder:
    """Undoes a Content-Encoding, never by more bytes at once than it is told to.

    aiohttp could do it, but how much its decoder puts out for one piece of input depends on its version.

    Raises:
        zlib.error: the Content-Encoding is unsupported; from `decode` also: the data is damaged.
    """

    def __init__(self, encoding: str):
        self._encoding = encoding.strip().lower().removeprefix("x-")
        if self._encoding in ("br", "zstd", "compress", "dcb", "dcz") or "," in self._encoding:
            raise zlib.error(f"{encoding} was not asked for")
        # Names that are not of an encoding ("none", "utf-8") are ignored, as browsers do.
        self._is_plain = self._encoding not in ("gzip", "deflate")
        self._inflate: Any = None

    @property
    def is_done(self) -> bool:
        """Whether the data so far is all there is, as far as the encoding tells."""
        return self._is_plain or (self._inflate is not None and self._inflate.eof)

    @property
    def ignores_more(self) -> bool:
        """Whether the encoded data has ended, so that what follows is none of it."""
        return not self._is_plain and self.is_done

    def decode(self, block: bytes, most: int) -> bytes:
        """Return the bytes behind the next `block`, at most the first `most` (1 or more) of them."""
        if self._is_plain:
            return block[:most]
        if self._inflate is None:
            if self._encoding == "gzip":
                bits = 16 + zlib.MAX_WBITS
            else:  # "deflate" means zlib's format, but some servers send it without zlib's header
                bits = zlib.MAX_WBITS if block[0] & 0xF == 8 else -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(bits)
        return self._inflate.decompress(block, most)


class Budget:
    """Bytes that may be held at once. Whoever asks for more than is left waits, in the order of asking."""

    def __init__(self, total: int):
        self._free = total
        self._turn = asyncio.Lock()
        self._returned = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until `size` bytes, at most the total, are free, and hold them."""
        async with self._turn:
            while self._free < size:
                self._returned.clear()
                await self._returned.wait()
            self._free -= size

    def give_back(self, size: int) -> None:
        """Free bytes that were taken."""
        self._free += size
        self._returned.set()


class Lease:
    """Bytes of a Budget that one body holds."""

    def __init__(self, budget: Budget, timer: asyncio.Timeout):
        self._budget, self._timer = budget, timer
        self.size = 0

    async def grow(self, size: int) -> None:
        """Wait until `size` bytes in all are held. The wait is for our own memory, so it does not count as time."""
        if size <= self.size:
            return
        loop = asyncio.get_running_loop()
        end, began = self._timer.when(), loop.time()
        self._timer.reschedule(None)
        await self._budget.take(size - self.size)
        self.size = size
        if end is not None:
            self._timer.reschedule(end + loop.time() - began)

    def shrink(self, size: int) -> None:
        """Give back all but `size` bytes."""
        self._budget.give_back(self.size - size)
        self.size = size
