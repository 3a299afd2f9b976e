"""Decodes pictures in processes of their own, so that hostile bytes cost one picture and not the job.

Decoders are C: some bytes make one crash, hang, or allocate without end. So `Decoder` runs them in processes with a
limit on memory, and ends those that take too long. The job goes on; the picture gets a status. What such a process
says is read as a few numbers and bytes, never unpickled.

A process has the rights of its user: this is not a sandbox against bytes that take a decoder over.

The module imports Pillow and NumPy only, as every such process imports it.
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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from threading import Condition, Lock
from time import monotonic
from typing import IO, BinaryIO

from PIL import AvifImagePlugin, Image

from fit.errors import ConfigError, FitError
from fit.images.picture import MAX_SIDE, STATUSES, Picture, inspect
from fit.images.settings import DecodeSettings

WORKER = (sys.executable, "-P", "-m", "fit.images.decode")
"""The command that starts a worker, without its settings. Not multiprocessing's "spawn", which would import the main
module, and what that imports, in every worker. -P: files in the current folder must not pass for modules."""

_LENGTH = struct.Struct(">Q")  # before the bytes of a picture
_ANSWER = struct.Struct(">B?QQQQ")  # place in STATUSES, whether the bytes are kept, width, height, hash, length
_READY, _READ = b"S", b"R"  # a worker has started; it has read the bytes of a picture

KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""Variables of glibc's malloc: a worker keeps up to 64 MB that it has freed, in blocks of up to 8 MB, for its next
picture. Else it may give a picture's memory back and ask for it again, which takes as long as decoding."""

START_S = 300  # on a cluster's file system, importing NumPy in a hundred jobs at once takes minutes
MAX_MEMORY_MB = 2048  # address space of a worker, of which it takes 120 to start
PATIENCE = 10  # times decode_timeout_s, after which a worker that has had no processor time is ended
GRACE_S = 10  # after which a worker ends itself, if the process that should have ended it has gone
RENEWED_AFTER = 10_000  # pictures, lest what decoders leak becomes the fault of a picture


_Turn = Callable[[], AbstractContextManager[None]]


class _Worker:
    """A process that decodes, one picture at a time, and is started again whenever it does not.

    One thread at a time may call it; only `stop` may be called by another meanwhile.
    """

    def __init__(self, settings: DecodeSettings, max_memory_mb: int, turns: IO[bytes]):
        """Describe a worker; `turns` is an open file that all workers lock for large pictures."""
        self.settings, self._max_memory_mb, self._turns = settings, max_memory_mb, turns
        self.process: subprocess.Popen[bytes] | None = None
        self.socket: socket.socket | None = None  # our end of the socket that is its standard input
        self.ready = False
        self.decoded = 0
        self._stopped = False
        self._lock = Lock()  # so that nothing starts once it was stopped

    def start(self) -> None:
        """Start the process without waiting for it. Raises FitError if that fails, RuntimeError if stopped."""
        # Threads of BLAS, of which a worker needs none, would each take some of its address space.
        single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment = os.environ | single | KEPT_MEMORY
        with self._lock:
            if self._stopped:
                raise RuntimeError("this Decoder is closed")
            try:
                self.socket, theirs = socket.socketpair()
                with theirs:
                    turns = self._turns.fileno()
                    command = [*WORKER, json.dumps(asdict(self.settings)), str(self._max_memory_mb), str(turns)]
                    self.process = subprocess.Popen(
                        command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=environment, pass_fds=[turns]
                    )
            except OSError as error:
                raise FitError(f"a process that decodes pictures can't be started: {error}") from error

    def end(self) -> None:
        """End the process, if there is one. The next picture starts another."""
        with self._lock:
            if self.process is not None:
                self.process.kill()
                self.process.wait()
            if self.socket is not None:
                self.socket.close()
            self.process, self.socket, self.ready, self.decoded = None, None, False, 0

    def restart(self) -> None:
        """End the process, if there is one, and start another."""
        self.end()
        self.start()

    def stop(self) -> None:
        """End the process for good, from any thread; the thread that waits for a picture gets a RuntimeError."""
        with self._lock:
            self._stopped = True
            if self.process is not None:
                self.process.kill()

    def await_ready(self) -> None:
        """Wait until the process has started. Raises FitError if it does not."""
        if self.ready:
            return
        if self.process is None:
            self.start()
        try:
            self._receive(len(_READY), monotonic() + START_S)
        except OSError as error:
            assert self.process is not None
            self.process.kill()  # in vain if it has ended, which is what its status then tells
            status = self.process.wait()
            raise FitError(
                f"a process that decodes pictures did not start (exit status {status}, {error}); see what it said "
                f"above; it may have {self._max_memory_mb} MB of address space"
            ) from error
        self.ready = True

    def decode(self, data: bytes) -> Picture:
        """Return the Picture of `data`. Raises FitError if no process starts, RuntimeError if stopped."""
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

    def _exit_status(self) -> int | None:
        """Return the exit status of the process, which has closed its socket; None if it goes on all the same."""
        assert self.process is not None
        try:
            return self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return None

    def _hand_over(self, data: bytes) -> float:
        """Send `data`, and see that it was read. Returns when it has to be decoded."""
        try:
            return self._send(data)
        except (FitError, ConnectionError):
            # It died before it saw the picture, which is not the picture's fault.
            self.restart()
            return self._send(data)

    def _send(self, data: bytes) -> float:
        self.await_ready()
        assert self.socket is not None
        patience_s = PATIENCE * self.settings.decode_timeout_s
        deadline = monotonic() + patience_s
        self.socket.settimeout(patience_s)
        self.socket.sendall(_LENGTH.pack(len(data)))
        self.socket.sendall(data)
        self._receive(len(_READ), deadline)
        return deadline

    def _receive_picture(self, data: bytes, deadline: float) -> Picture:
        place, kept, width, height, digest, size = _ANSWER.unpack(self._receive(_ANSWER.size, deadline))
        # A decoder that hostile bytes took over may answer anything.
        if place >= len(STATUSES) or size > self._max_memory_mb << 20 or max(width, height) > MAX_SIDE:
            raise ConnectionError("that is not an answer")
        status = STATUSES[place]
        if status != "ok":
            return Picture(status, None, width or None, height or None)
        clean = data if kept else bytes(self._receive(size, deadline))
        return Picture(status, clean, width, height, f"{digest:016x}")

    def _receive(self, size: int, deadline: float) -> bytearray:
        """Return `size` bytes. Raises TimeoutError after `deadline`, ConnectionError if the process has gone."""
        assert self.socket is not None
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

        with Decoder(DecodeSettings(), decoders=4) as decoder:
            picture = decoder.decode(data)

    Entering raises FitError if the processes do not start.
    """

    def __init__(self, settings: DecodeSettings, decoders: int = 2, max_memory_mb: int = MAX_MEMORY_MB):
        """Describe the processes; entering starts them.

        Args:
            decoders: how many processes.
            max_memory_mb: address space that one of them may have.

        Raises:
            ConfigError: `decoders` is below 1.
        """
        if decoders < 1:
            raise ConfigError(f"decoders: {decoders} is too few; it must be 1 or more")
        self._settings, self._decoders, self._max_memory_mb = settings, decoders, max_memory_mb
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._open = False
        self._changed = Condition()  # of _idle and _open

    def __enter__(self) -> "Decoder":
        self._turns = tempfile.TemporaryFile()
        self._workers = [_Worker(self._settings, self._max_memory_mb, self._turns) for _ in range(self._decoders)]
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

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._open = False
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for worker in self._workers:
            worker.stop()
        for worker in idle:
            worker.end()
        self._turns.close()

    def decode(self, data: bytes) -> Picture:
        """Return the Picture of `data`, as `inspect` makes it. Any thread may call; it blocks until a worker is free.

        A worker that takes more processor time than `decode_timeout_s`, or dies, is replaced; its picture is
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


def _limit_resources(max_memory_mb: int) -> None:
    """Hold this process to `max_memory_mb` of address space, and let it leave no core files."""
    import resource  # which Windows lacks, where `inspect` works all the same

    for name, wanted in (("RLIMIT_AS", max_memory_mb << 20), ("RLIMIT_CORE", 0)):
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError) as error:  # macOS knows RLIMIT_AS, but refuses
            print(f"pictures are decoded without {name}: {error}", file=sys.stderr)


@contextmanager
def _locked(turns: int) -> Iterator[None]:
    """Hold the lock of the open file `turns` (its number), of this process among all that have the file open."""
    import fcntl  # which Windows lacks

    fcntl.lockf(turns, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(turns, fcntl.LOCK_UN)


def serve(settings: DecodeSettings, max_memory_mb: int = MAX_MEMORY_MB, turns: int | None = None) -> None:
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
    Image.MAX_IMAGE_PIXELS = (settings.max_pixels + 1) // 2
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    _limit_resources(max_memory_mb)
    with os.fdopen(0, "rb", closefd=False) as requests, os.fdopen(0, "wb", closefd=False) as answers:
        answers.write(_READY)
        answers.flush()
        # What decoders have to say of hostile bytes would fill the log. Standard output is null already.
        os.dup2(1, 2)
        one_at_a_time: _Turn = nullcontext if turns is None else partial(_locked, turns)
        while _serve_picture(requests, answers, settings, one_at_a_time):
            pass


def _serve_picture(requests: BinaryIO, answers: BinaryIO, settings: DecodeSettings, one_at_a_time: _Turn) -> bool:
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
    signal.alarm(math.ceil(PATIENCE * settings.decode_timeout_s + GRACE_S))
    # Its signal ends this process, which the other side can tell from other ends.
    signal.setitimer(signal.ITIMER_PROF, settings.decode_timeout_s)
    picture = inspect(data, settings, one_at_a_time)
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
    serve(DecodeSettings(**json.loads(sys.argv[1])), *map(int, sys.argv[2:]))
