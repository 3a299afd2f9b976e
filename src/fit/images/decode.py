"""Bytes from anywhere on the web -> a clean picture, or a clean status.

Whoever wrote the bytes may have meant harm, or used a broken program; the claimed type says nothing. Against this:

- Only the openers in FORMATS ever see the bytes: none of them starts a program, reads another file or the network.
- Sizes are read from the header before anything is decoded, so that a few bytes can't ask for gigabytes of pixels.
- Decoders are C: some bytes make one crash, hang, or allocate without end. So `Decoder` has them run in processes of
  their own, with a limit on memory, and ends those that take too long. The job goes on; the picture gets a status.
- What a worker says is read as a few numbers and bytes, never unpickled.

A worker has the rights of its user: this is no sandbox against bytes that take a decoder over.

The module imports Pillow and NumPy only, as every worker imports it.
"""

import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from functools import partial
from io import BytesIO
from threading import Condition, Lock
from time import monotonic
from typing import Any

import numpy as np

# By name, as Pillow would import all of its plugins as soon as one that it lacks is asked for.
from PIL import (  # noqa: F401  (an import registers the opener)
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ExifTags import Base

from fit.errors import ConfigError, FitError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What pictures may be. EPS, PDF, WMF and others are left out, as their openers start programs or are little tried."""

STATUSES = (
    "ok",
    "empty",  # no bytes
    "not_an_image",  # HTML, SVG, text, or a format that is not in FORMATS
    "truncated",  # it ends too early
    "corrupt",  # it is damaged, or Pillow refuses what it holds, such as a text that unpacks to megabytes
    "too_many_pixels",  # its header asks for more than Limits.max_pixels: a decompression bomb
    "too_small",  # a side is below Limits.min_side
    "decoder_crashed",  # its worker died, or needed more memory than Limits.max_memory_mb
    "decoder_timeout",  # its worker took longer than Limits.timeout_s of processor time
)

KEPT_FORMATS = ("JPEG", "MPO", "PNG", "WEBP")
"""Formats whose bytes may stay. MPO is Pillow's name of a JPEG with more pictures behind its end, which every reader
of JPEG passes over."""

JPEG_MAX_SIDE = 65500  # of libjpeg, in pixels

MAX_SIDE = 2**31 - 1
"""Largest width or height that a Picture gives, in pixels. Headers may claim more: image tables hold 32 bits."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the picture upright; others, and none, say that it is."""


@dataclass(frozen=True)
class Limits:
    """What a picture, and a worker, may use.

    Raises:
        ConfigError: one of them is not above 0.
    """

    max_pixels: int = 100_000_000  # width x height, as the header says
    min_side: int = 1  # pixels
    timeout_s: float = 20  # of processor time for one picture, so that a busy machine changes nothing
    max_memory_mb: int = 2048  # address space of one worker, of which it takes 120 to start
    workers: int = 2

    def __post_init__(self):
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigError(f"{field.name}: {getattr(self, field.name)!r} is no limit; it has to be above 0")


@dataclass(frozen=True)
class Picture:
    """A picture, or why there is none."""

    status: str  # one of STATUSES
    data: bytes | None = None  # if ok: a JPEG, PNG or WebP of one frame, 8 bit, RGB or grey, upright, opaque
    # In pixels, 0 to MAX_SIDE, of the upright picture. If not ok: what the header says, None if it says no such number.
    width: int | None = None
    height: int | None = None
    perceptual_hash: str | None = None  # if ok: 16 hex digits, see perceptual_hash


class _Source(BytesIO):
    """A file that notes when more bytes are read than it has."""

    exhausted = False

    def read(self, size=-1, /):
        data = super().read(size)
        self.exhausted |= size is not None and len(data) < size
        return data


LARGE_PIXELS = 16_000_000
"""Pictures of more pixels, which take hundreds of megabytes to decode, are decoded one at a time by all workers."""


def inspect(data, limits, one_at_a_time=nullcontext):
    """Decode `data` (bytes) in this process: what a worker does.

    A clean picture is the first frame, turned as EXIF says, 8 bit, RGB, transparency put on white. Bytes that are such
    a picture are kept as they are (greys too: every reader makes RGB of them). Others are encoded anew, without
    metadata or colour profile: as PNG, or as JPEG of quality 95 where the source had lost details already. The same
    bytes give the same picture.

    `one_at_a_time` makes the context manager that is entered for pictures of more than LARGE_PIXELS.

    Returns:
        A Picture, whose status is none of the "decoder_..." ones.

    Raises:
        MemoryError: decoding needs more memory than there is.
    """
    if not data:
        return Picture("empty")
    name = _sniff(data)
    if name is None:
        return Picture("not_an_image")
    source = _Source(data)
    open_picture, _ = Image.OPEN[name]
    # Hostile bytes make Pillow's openers and decoders, which are made of hundreds of readers of headers, raise nearly
    # every exception that Python has, assertions included. This is the boundary behind which they all mean one thing.
    try:
        picture = open_picture(source, "")
    except Image.DecompressionBombError:
        return Picture("too_many_pixels")
    except Exception as error:
        return Picture(_what_failed(error, name, data, source.exhausted))
    said = {"width": _claimed(picture.width), "height": _claimed(picture.height)}
    if None in said.values() or picture.width * picture.height > limits.max_pixels:
        return Picture("too_many_pixels", **said)
    if min(picture.size) < limits.min_side:
        return Picture("too_small", **said)
    try:
        with one_at_a_time() if picture.width * picture.height > LARGE_PIXELS else nullcontext():
            picture.load()
            if name == "PNG" and _has_damaged_chunks(data):
                return Picture("corrupt", **said)
            return _clean(picture, data)
    except Exception as error:  # for the same reason
        return Picture(_what_failed(error, name, data), **said)


def _claimed(side):
    """A width or height as a header claims it, or None where it is not a number of pixels that a table can hold."""
    return side if isinstance(side, int) and 0 <= side <= MAX_SIDE else None


def _clean(picture, data):
    """The Picture, "ok", of a loaded PIL image that `data` was decoded to."""
    orientation = _orientation(picture)
    clean = _flatten(picture, data)
    if orientation in UPRIGHT:
        clean = clean.transpose(UPRIGHT[orientation])
    elif clean is picture and _frames(picture) == 1:
        return Picture("ok", data, clean.width, clean.height, perceptual_hash(picture))
    return Picture("ok", _encode(clean, _is_lossy(picture, data)), clean.width, clean.height, perceptual_hash(clean))


def _sniff(data):
    """The name of the format that `data` begins like, or None if it is none of FORMATS."""
    for name in FORMATS:
        _, accepts = Image.OPEN[name]
        # An opener that this Pillow was built without answers with a text.
        if accepts is None or accepts(data[:16]) is not True:
            continue
        # Texts begin with BM too, and HEIC begins with a brand that AVIF shares.
        if name == "BMP" and int.from_bytes(data[14:18], "little") not in (12, 40, 52, 56, 64, 108, 124):
            continue
        brands = data[8 : min(int.from_bytes(data[:4]), 256)]
        if name == "AVIF" and b"avif" not in brands and b"avis" not in brands:
            continue
        return name
    return None


def _what_failed(error, name, data, exhausted=False):
    """The status that an exception of Pillow's stands for. `exhausted`: the reader of headers ran out of bytes."""
    reason = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in reason:
        raise MemoryError(reason) from error
    # "cannot load" is said of a JPEG whose header was the last of it.
    cut_short = exhausted or "truncated" in reason or "cannot load this image" in reason or _lacks_bytes(name, data)
    return "truncated" if cut_short else "corrupt"


def _lacks_bytes(name, data):
    """Whether a WebP or AVIF file says that it is longer: their decoders, which take all bytes at once, don't tell."""
    if name == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if name != "AVIF":
        return False
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        if size < 8:  # 0: this box goes to the end, wherever that is
            return False
        at += size
    return at != len(data)


def _has_damaged_chunks(data):
    """Whether the checksum of a complete IDAT chunk of a PNG is wrong, which Pillow does not look at."""
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4])
        checked = view[at + 4 : at + 8] == b"IDAT" and end + 4 <= len(data)
        if checked and zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return True
        at = end + 4
    return False


def _orientation(picture):
    """The orientation that the EXIF data of a loaded picture gives; None if that is not a number or can't be read."""
    try:
        orientation = picture.getexif().get(Base.Orientation)
        return orientation if isinstance(orientation, int) else None
    except Exception:  # the boundary of `inspect` once more: unreadable EXIF data does not spoil a picture
        return None


def _frames(picture):
    return getattr(picture, "n_frames", 1) if picture.format != "MPO" else 1


def _is_lossy(picture, data):
    if picture.format == "WEBP":
        return b"VP8L" not in data
    if picture.format == "TIFF":
        return picture.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
    return picture.format in ("JPEG", "MPO", "AVIF")


_ROWS = 256


def _flatten(picture, data):
    """A loaded picture as RGB of 8 bits on white: itself if its bytes are that already, RGB or grey."""
    transparency = picture.info.get("transparency")
    depth = data[24] if picture.format == "PNG" else 8
    if picture.mode.startswith("I;16"):
        white = 4095 if picture.format == "TIFF" and picture.tag_v2.get(258) == (12,) else 65535
        shades = np.minimum((np.arange(65536) * 255 + white // 2) // white, 255).astype(np.uint8)
        values = np.asarray(picture)
        grey = shades[values]
        if isinstance(transparency, int):
            grey[values == transparency] = 255
        return Image.fromarray(grey).convert("RGB")
    if picture.mode in ("I", "F"):
        return Image.fromarray(_to_8_bits(np.asarray(picture))).convert("RGB")
    if picture.mode == "P" and picture.palette is None:
        raise OSError("a picture of palette colours without a palette")
    if picture.has_transparency_data:
        if picture.mode in ("L", "RGB") and depth != 8:
            # PNG gives the transparent colour in the depth of the file, and Pillow compares it with 8 bits.
            scale = (lambda value: value >> 8) if depth == 16 else (lambda value: value * 255 // (2**depth - 1))
            picture.info["transparency"] = (
                tuple(scale(value) for value in transparency)
                if isinstance(transparency, tuple)
                else scale(transparency)
            )
        if picture.mode == "La":  # has no direct way to RGBA
            picture = picture.convert("LA")
        page = Image.new("RGB", picture.size, "white")
        # Some rows at a time: of a large picture, each copy is hundreds of megabytes.
        for top in range(0, picture.height, _ROWS):
            rows = picture.crop((0, top, picture.width, min(top + _ROWS, picture.height))).convert("RGBA")
            page.paste(rows, (0, top), mask=rows.getchannel("A"))
        return page
    if picture.mode in ("RGB", "L") and depth <= 8 and picture.format in KEPT_FORMATS:
        return picture
    return picture.convert("RGB")


def _to_8_bits(values):
    """Numbers [H, W] of an unknown range as shades: 0 to the least of the usual whites that no number is above.

    The usual whites are 1 (floats only), 255, 65535 and 2**32 - 1; floats beyond 65535 end at the greatest. Numbers
    below 0 make the least of them black. What is no number is black, infinities are black and white.
    """
    finite = np.isfinite(values)
    black, greatest = (float(extreme(values, where=finite, initial=0)) for extreme in (np.min, np.max))
    whites = (1.0, 255.0, 65535.0, greatest) if values.dtype.kind == "f" else (255.0, 65535.0, 2.0**32 - 1)
    white = next(white for white in whites if white >= greatest)
    scale = 255 / (white - black)
    # In place, as a picture of floats may be as large as a worker can hold.
    shades = values.astype(np.float32)
    np.clip(shades, black, white, out=shades)
    shades *= scale
    shades -= black * scale
    return np.rint(np.nan_to_num(shades, copy=False), out=shades).astype(np.uint8)


def _encode(picture, lossy):
    """The bytes of a picture, as RGB."""
    buffer = BytesIO()
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    picture.info = {}  # of which Pillow would write profiles and comments
    if lossy and max(picture.size) <= JPEG_MAX_SIDE:
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


_COSINES = np.cos(np.pi / 64 * np.outer(np.arange(1, 9), 2 * np.arange(32) + 1)) / 4
"""[8, 32]: the rows 1 to 8 of the matrix of the orthonormal DCT-II of 32 points."""


def perceptual_hash(picture):
    """64 bits, as 16 hex digits, of which few change when a picture (PIL image) is encoded anew or resized.

    The DCT hash of pHash: of the greys, made 32x32 pixels, the 8x8 lowest frequencies but the constant ones; a bit
    says whether one is above their median. C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions" (2010), section 3.2.1; https://www.phash.org. Ours resizes with Lanczos' filter where pHash takes a mean.

    A picture without any shape, such as a white page, has the hash 0: alike in this sense says little there.
    """
    small = picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    waves = _COSINES @ np.asarray(small, np.float64) @ _COSINES.T
    # Where there is no such wave, the last digits depend on the machine; rounded, they are equal.
    waves = np.round(waves.ravel(), 3)
    return np.packbits(waves > np.median(waves)).tobytes().hex()


def hamming(a, b):
    """How many of the 64 bits of two perceptual hashes differ: few if the pictures look alike, about 32 if not."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


WORKER = (sys.executable, "-P", "-m", "fit.images.decode")
"""The command that starts a worker, but for its limits. Not multiprocessing's "spawn", which would import the main
module, and what that imports, in every worker. -P: files in the current folder must not pass for modules."""

_LENGTH = struct.Struct(">Q")  # before the bytes of a picture
_ANSWER = struct.Struct(">B?QQQQ")  # place in STATUSES, whether the bytes are kept, width, height, hash, length
_READY, _READ = b"S", b"R"  # a worker has started; it has read the bytes of a picture

START_S = 300  # on a cluster's file system, importing NumPy in a hundred jobs at once takes minutes
PATIENCE = 10  # times timeout_s, after which a worker that has had no processor time for a picture is given up
GRACE_S = 10  # after which a worker ends itself, if the process that should have ended it has gone
RENEWED_AFTER = 10_000  # pictures, lest what decoders leak becomes the fault of a picture


class _Worker:
    """A process that decodes, one picture at a time, and is started anew whenever it does not.

    One thread at a time may call it; only `stop` may be called by another meanwhile.
    """

    def __init__(self, limits, turns):
        """`turns` is an open file that all workers lock for large pictures."""
        self.limits, self._turns = limits, turns
        self.process: Any = None  # a subprocess.Popen, while there is one
        self.socket: Any = None  # our end of the socket that is its standard input
        self.ready = False
        self.decoded = 0
        self._stopped = False
        self._lock = Lock()  # so that nothing starts once it was stopped

    def start(self):
        """Start the process without waiting for it. Raises FitError if that fails, RuntimeError if stopped."""
        # Threads of BLAS, of which a worker needs none, would each take some of its address space.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with self._lock:
            if self._stopped:
                raise RuntimeError("this Decoder is closed")
            try:
                self.socket, theirs = socket.socketpair()
                with theirs:
                    turns = self._turns.fileno()
                    command = [*WORKER, json.dumps(asdict(self.limits)), str(turns)]
                    self.process = subprocess.Popen(
                        command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=environment, pass_fds=[turns]
                    )
            except OSError as error:
                raise FitError(f"a process that decodes pictures can't be started: {error}") from error

    def end(self):
        """End the process, if there is one. The next picture starts another."""
        with self._lock:
            if self.process is not None:
                self.process.kill()
                self.process.wait()
            if self.socket is not None:
                self.socket.close()
            self.process, self.socket, self.ready, self.decoded = None, None, False, 0

    def restart(self):
        self.end()
        self.start()

    def stop(self):
        """End the process for good, from any thread; the thread that waits for a picture gets a RuntimeError."""
        with self._lock:
            self._stopped = True
            if self.process is not None:
                self.process.kill()

    def await_ready(self):
        """Raises FitError if the process does not start."""
        if self.ready:
            return
        if self.process is None:
            self.start()
        try:
            self._receive(len(_READY), monotonic() + START_S)
        except OSError as error:
            self.process.kill()  # in vain if it has ended, which is what its status then tells
            raise FitError(
                f"a process that decodes pictures did not start (exit status {self.process.wait()}, {error}); "
                f"see what it said above, or raise max_memory_mb above {self.limits.max_memory_mb}"
            ) from error
        self.ready = True

    def decode(self, data):
        """The Picture of `data`. Raises FitError if no process starts, RuntimeError if stopped."""
        try:
            deadline = self._hand_over(data)
            picture = self._receive_picture(data, deadline)
        except TimeoutError:
            self.restart()
            return Picture("decoder_timeout")
        except OSError:
            out_of_time = self.process is not None and self._exit_status() == -signal.SIGPROF
            self.restart()
            return Picture("decoder_timeout" if out_of_time else "decoder_crashed")
        except BaseException:
            # Interrupted halfway: the next picture must not get this one's answer.
            self.end()
            raise
        self.decoded += 1
        if self.decoded >= RENEWED_AFTER:
            self.end()
        return picture

    def _exit_status(self):
        """That of the process, which has closed its socket; None if it goes on all the same."""
        try:
            return self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return None

    def _hand_over(self, data):
        """Send `data`, and see that it was read. Returns when it has to be decoded."""
        try:
            return self._send(data)
        except (FitError, ConnectionError):
            # It died before it saw the picture, which is not the picture's fault.
            self.restart()
            return self._send(data)

    def _send(self, data):
        self.await_ready()
        patience_s = PATIENCE * self.limits.timeout_s
        deadline = monotonic() + patience_s
        self.socket.settimeout(patience_s)
        self.socket.sendall(_LENGTH.pack(len(data)))
        self.socket.sendall(data)
        self._receive(len(_READ), deadline)
        return deadline

    def _receive_picture(self, data, deadline):
        place, kept, width, height, digest, size = _ANSWER.unpack(self._receive(_ANSWER.size, deadline))
        # A decoder that hostile bytes took over may answer anything.
        if place >= len(STATUSES) or size > self.limits.max_memory_mb << 20 or max(width, height) > MAX_SIDE:
            raise ConnectionError("that is not an answer")
        status = STATUSES[place]
        if status != "ok":
            return Picture(status, None, width or None, height or None)
        clean = data if kept else bytes(self._receive(size, deadline))
        return Picture(status, clean, width, height, f"{digest:016x}")

    def _receive(self, size, deadline):
        """`size` bytes. Raises TimeoutError after `deadline`, ConnectionError if the process has gone."""
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            left = deadline - monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            count = self.socket.recv_into(rest)
            if not count:
                raise ConnectionError("it has gone")
            rest = rest[count:]
        return data


class Decoder:
    """Processes that decode pictures, as a context manager; needs a POSIX system.

        with Decoder(Limits(workers=4)) as decoder:
            picture = decoder.decode(data)

    Entering raises FitError if the processes do not start.
    """

    def __init__(self, limits=None):
        self.limits = limits or Limits()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._open = False
        self._changed = Condition()  # of _idle and _open

    def __enter__(self):
        self._turns = tempfile.TemporaryFile()
        self._workers = [_Worker(self.limits, self._turns) for _ in range(self.limits.workers)]
        try:
            for worker in self._workers:
                worker.start()
            for worker in self._workers:
                worker.await_ready()
        except BaseException:
            for worker in self._workers:
                worker.end()
            raise
        self._idle, self._open = list(self._workers), True
        return self

    def __exit__(self, *_):
        with self._changed:
            self._open = False
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for worker in self._workers:
            worker.stop()
        for worker in idle:
            worker.end()
        self._turns.close()

    def decode(self, data):
        """The Picture of `data` (bytes), as `inspect` makes it. Any thread may call; it blocks until a worker is free.

        A worker that takes more processor time than `timeout_s`, or dies, is replaced; its picture is
        "decoder_timeout" or "decoder_crashed". One that died while it had nothing to do costs no picture.

        Raises:
            FitError: no worker starts any more.
            RuntimeError: the Decoder is closed, or gets closed meanwhile.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._idle or not self._open)
            if not self._open:
                raise RuntimeError("this Decoder is closed, or was never entered")
            worker = self._idle.pop()
        try:
            return worker.decode(data)
        finally:
            with self._changed:
                still_open = self._open
                if still_open:
                    self._idle.append(worker)
                    self._changed.notify()
            if not still_open:
                worker.end()


def _limit_resources(limits):
    """Hold this process to `max_memory_mb` of address space, and let it leave no core files."""
    import resource  # which Windows lacks, where `inspect` works all the same

    for name, wanted in (("RLIMIT_AS", limits.max_memory_mb << 20), ("RLIMIT_CORE", 0)):
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError) as error:  # macOS knows RLIMIT_AS, but refuses
            print(f"pictures are decoded without {name}: {error}", file=sys.stderr)


@contextmanager
def _locked(turns):
    """Holds the lock of the open file `turns` (its number), of this process among all that have the file open."""
    import fcntl  # which Windows lacks

    fcntl.lockf(turns, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(turns, fcntl.LOCK_UN)


def serve(limits, turns=None):
    """Be a worker: decode what comes through the socket that is this process's standard input, until that closes.

    `turns` is the number of an open file that is locked for large pictures; None to lock nothing.

    Any exception ends the process, which the other side calls "decoder_crashed"; memory that ran out among them.
    """
    # Whatever ends a job tells all its processes. This one is ended by the one that started it, or a picture that is
    # being decoded would be said to have crashed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    # Above twice this, Pillow refuses even where an opener allocates the canvas.
    Image.MAX_IMAGE_PIXELS = (limits.max_pixels + 1) // 2
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    _limit_resources(limits)
    with os.fdopen(0, "rb", closefd=False) as requests, os.fdopen(0, "wb", closefd=False) as answers:
        answers.write(_READY)
        answers.flush()
        # What decoders have to say of hostile bytes would fill the log.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        one_at_a_time = nullcontext if turns is None else partial(_locked, turns)
        while _serve_picture(requests, answers, limits, one_at_a_time):
            pass


def _serve_picture(requests, answers, limits, one_at_a_time):
    """Decode what comes next. Returns False if nothing does. Holds no picture while it waits, as it has returned."""
    head = requests.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return False
    (size,) = _LENGTH.unpack(head)
    data = requests.read(size)
    if len(data) < size:
        return False
    answers.write(_READ)
    answers.flush()
    signal.alarm(math.ceil(PATIENCE * limits.timeout_s + GRACE_S))
    # Its signal ends this process, which the other side can tell from other ends.
    signal.setitimer(signal.ITIMER_PROF, limits.timeout_s)
    picture = inspect(data, limits, one_at_a_time)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    kept = picture.data is data
    clean = b"" if kept or picture.data is None else picture.data
    digest = int(picture.perceptual_hash or "0", 16)
    place = STATUSES.index(picture.status)
    answers.write(_ANSWER.pack(place, kept, picture.width or 0, picture.height or 0, digest, len(clean)))
    answers.write(clean)
    answers.flush()
    return True


if __name__ == "__main__":
    serve(Limits(**json.loads(sys.argv[1])), *map(int, sys.argv[2:]))
