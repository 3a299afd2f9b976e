"""Processes decode pictures; whatever happens to one costs one picture at most."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import pytest
from drawings import SETTINGS, drawing, encoded
from PIL import Image

from fit.errors import ConfigError, FitError
from fit.images import decode
from fit.images.decode import Decoder
from fit.images.picture import Picture, inspect
from fit.images.settings import DecodeSettings

# Pillow warns of hostile bytes; workers leave that out.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'

# A worker whose decoder is made to fail: by bytes that no real decoder can be counted on to fail at for ever.
UNRELIABLE = """
import ctypes, json, os, sys, time
from fit.images import decode

inspect = decode.inspect

def unreliable(data, settings, one_at_a_time):
    if data == b"sleep":
        time.sleep(1e6)
    if data == b"hang":
        while True:
            pass
    if data == b"segfault":
        ctypes.string_at(0)
    if data == b"exit":
        os._exit(0)
    if data == b"raise":
        raise ZeroDivisionError
    if data == b"allocate":
        bytearray(int(sys.argv[2]) << 20)
    if data == b"babble":
        os.write(0, b"x" * 1000)
    return inspect(data, settings, one_at_a_time)

decode.inspect = unreliable
decode.GRACE_S = 0.4
decode.serve(decode.DecodeSettings(**json.loads(sys.argv[1])), *map(int, sys.argv[2:]))
"""


@pytest.fixture
def unreliable(monkeypatch):
    monkeypatch.setattr(decode, "WORKER", (sys.executable, "-c", UNRELIABLE))


def pids(decoder):
    return [worker.process.pid for worker in decoder._workers]


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def drawings():
    """(bytes, Picture) of pictures that are kept, made again and refused."""
    made = [encoded(drawing(seed), ("JPEG", "PNG", "GIF", "BMP")[seed % 4]) for seed in range(40)]
    made += [data[: len(data) // 2] for data in made[:4]] + [SVG, b""]
    return [(data, inspect(data, SETTINGS)) for data in made]


@pytest.mark.slow
def test_workers_answer_as_inspect_does_and_end_with_the_decoder(drawings):
    with Decoder(SETTINGS) as decoder:
        running = pids(decoder)
        assert len(set(running)) == 2
        for data, expected in drawings:
            assert decoder.decode(data) == expected
        assert pids(decoder) == running
    assert not any(map(is_alive, running))
    with pytest.raises(RuntimeError, match="closed"):
        decoder.decode(b"")


@pytest.mark.slow
def test_threads_get_their_own_answers(drawings):
    with Decoder(SETTINGS) as decoder, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(decoder.decode, [data for data, _ in drawings * 5]))
    assert answers == [expected for _, expected in drawings * 5]


@pytest.mark.slow
def test_killed_workers_are_replaced_and_cost_no_picture(drawings):
    with Decoder(SETTINGS) as decoder:
        for data, expected in drawings[:3]:
            killed = pids(decoder)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            assert decoder.decode(data) == expected
            assert pids(decoder) != killed


@pytest.mark.slow
@pytest.mark.parametrize("bytes_", [b"segfault", b"exit", b"raise", b"allocate", b"babble"])
def test_a_crash_costs_one_picture(unreliable, drawings, bytes_):
    with Decoder(DecodeSettings(), decoders=1, max_memory_mb=400) as decoder:
        for data, expected in drawings[:2]:
            crashed = pids(decoder)
            assert decoder.decode(bytes_) == Picture("decoder_crashed")
            assert pids(decoder) != crashed
            assert not is_alive(crashed[0])
            assert decoder.decode(data) == expected


@pytest.mark.slow
@pytest.mark.parametrize("bytes_", [b"hang", b"sleep"])
def test_a_hang_costs_one_picture(unreliable, drawings, bytes_):
    with Decoder(DecodeSettings(decode_timeout_s=0.3), decoders=1) as decoder:
        hung = pids(decoder)
        assert decoder.decode(bytes_) == Picture("decoder_timeout")
        assert not is_alive(hung[0])
        assert [decoder.decode(data) for data, _ in drawings[:4]] == [expected for _, expected in drawings[:4]]


@pytest.mark.slow
def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    now, most = [], []

    @contextmanager
    def one_at_a_time():
        now.append(1)
        most.append(len(now))
        yield
        now.pop()

    small, large = encoded(drawing(), "PNG"), encoded(Image.new("1", (5000, 4000)), "PNG")
    assert inspect(small, SETTINGS, one_at_a_time).status == "ok" and not most
    assert inspect(large, SETTINGS, one_at_a_time).status == "ok" and most == [1] and not now
    with (tmp_path / "turns").open("wb"), ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        held = list(processes.map(hold, [str(tmp_path / "turns")] * 2))
    (first, second) = sorted(held)
    assert first[1] <= second[0]


def hold(path):
    """When the lock of a file was had, and when it was given back."""
    with Path(path).open("ab") as turns, decode._locked(turns.fileno()):
        began = time.monotonic()
        time.sleep(0.3)
        return began, time.monotonic()


@pytest.mark.slow
def test_a_stopped_worker_is_a_hang_too(drawings):
    with Decoder(DecodeSettings(decode_timeout_s=0.3), decoders=1) as decoder:
        os.kill(pids(decoder)[0], signal.SIGSTOP)
        # More than a socket holds, so that sending has to give up as well.
        assert decoder.decode(bytes(8 << 20)) == Picture("decoder_timeout")
        assert decoder.decode(drawings[0][0]) == drawings[0][1]


@pytest.mark.slow
def test_an_interrupted_picture_does_not_answer_for_the_next(monkeypatch, drawings):
    def interrupt(*_):
        raise KeyboardInterrupt

    with Decoder(DecodeSettings(), decoders=1) as decoder:
        with monkeypatch.context() as patch:
            patch.setattr(decoder._workers[0], "_receive_picture", interrupt)
            with pytest.raises(KeyboardInterrupt):
                decoder.decode(drawings[0][0])
        assert decoder.decode(drawings[1][0]) == drawings[1][1]


@pytest.mark.slow
def test_answers_are_not_mixed_up_while_workers_fail(unreliable, drawings):
    hostile = {b"segfault": "decoder_crashed", b"exit": "decoder_crashed", b"hang": "decoder_timeout"}
    work = [(data, expected) for data, expected in drawings]
    for at, (data, status) in enumerate(hostile.items()):
        work.insert(5 + 10 * at, (data, Picture(status)))
    with Decoder(DecodeSettings(decode_timeout_s=0.3)) as decoder, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(decoder.decode, [data for data, _ in work]))
    assert answers == [expected for _, expected in work]


@pytest.mark.slow
def test_workers_killed_at_work_give_no_wrong_answer(drawings):
    done = threading.Event()
    wrong = []

    def decode_until_done(decoder):
        while not done.is_set():
            for data, expected in drawings:
                answer = decoder.decode(data)
                if answer not in (expected, Picture("decoder_crashed")):
                    wrong.append((answer, expected))

    with Decoder(SETTINGS) as decoder, ThreadPoolExecutor(4) as threads:
        tasks = [threads.submit(decode_until_done, decoder) for _ in range(4)]
        for kill in range(6):
            # A worker is struck once it has worked: one that can't even start would be an error, and rightly so.
            worker = decoder._workers[kill % 2]
            while not worker.decoded:
                assert not any(task.done() for task in tasks)
                time.sleep(0.001)
            worker.process.kill()
        done.set()
        for task in tasks:
            task.result()
        assert not wrong
        assert [decoder.decode(data) for data, _ in drawings] == [expected for _, expected in drawings]


@pytest.mark.slow
def test_memory_beyond_the_limit_ends_the_worker_and_not_the_job(drawings):
    # 160 MB of pixels, of which the header makes no secret, but which max_pixels allows.
    large = encoded(Image.new("L", (16_000, 10_000)), "PNG", compress_level=1)
    with Decoder(DecodeSettings(max_pixels=200_000_000), decoders=1, max_memory_mb=256) as decoder:
        assert decoder.decode(large) == Picture("decoder_crashed")
        assert decoder.decode(drawings[0][0]) == drawings[0][1]
        # Bytes that the worker can't even hold.
        assert decoder.decode(bytes(256 << 20)) == Picture("decoder_crashed")
        assert decoder.decode(drawings[0][0]) == drawings[0][1]


@pytest.mark.slow
def test_workers_are_renewed_before_they_have_leaked_much(monkeypatch, drawings):
    monkeypatch.setattr(decode, "RENEWED_AFTER", 3)
    with Decoder(DecodeSettings(), decoders=1) as decoder:
        seen = set()
        for data, expected in drawings[:9]:
            assert decoder.decode(data) == expected
            worker = decoder._workers[0]
            if worker.process is not None:
                seen.add(worker.process.pid)
        assert len(seen) == 3


def test_signals_that_end_a_job_leave_its_workers_to_it(drawings):
    with Decoder(DecodeSettings(), decoders=1) as decoder:
        running = pids(decoder)
        os.kill(running[0], signal.SIGINT)
        os.kill(running[0], signal.SIGTERM)
        assert decoder.decode(drawings[0][0]) == drawings[0][1]
        assert pids(decoder) == running


def test_closing_ends_workers_at_work_and_threads_that_wait(unreliable):
    decoder = Decoder(DecodeSettings(), decoders=1)
    with ThreadPoolExecutor(2) as threads:
        with decoder:
            running = pids(decoder)
            hanging = threads.submit(decoder.decode, b"hang")
            waiting = threads.submit(decoder.decode, b"hang")
            while decoder._idle:
                pass
        for thread in (hanging, waiting):
            with pytest.raises(RuntimeError, match="closed"):
                thread.result(timeout=30)
    assert not any(map(is_alive, running))


def test_workers_that_do_not_start_are_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(decode, "WORKER", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(FitError, match=r"did not start \(exit status 3"), Decoder(SETTINGS):
        pass
    monkeypatch.setattr(decode, "WORKER", ("/no/such/python",))
    with pytest.raises(FitError, match="can't be started"), Decoder(SETTINGS):
        pass


@pytest.mark.slow
def test_a_worker_ends_when_nobody_is_left_to_end_it():
    limits = json.dumps(asdict(DecodeSettings(decode_timeout_s=0.1)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        hung = subprocess.Popen([sys.executable, "-c", UNRELIABLE, limits], stdin=theirs.fileno())
        ours.sendall(struct.pack(">Q", 5) + b"sleep")
        assert hung.wait(timeout=60) == -signal.SIGALRM
    ours, theirs = socket.socketpair()
    with theirs:
        idle = subprocess.Popen([*decode.WORKER, limits], stdin=theirs.fileno())
    assert ours.recv(1)
    ours.close()
    assert idle.wait(timeout=60) == 0


def test_workers_import_nothing_heavy():
    script = "import sys, fit.images.decode; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    ours = ("decode", "perceptual_hash", "picture", "settings")
    light = {"fit", "fit.errors", "fit.settings", "fit.images", *(f"fit.images.{name}" for name in ours)}
    assert {name for name in modules if name.startswith("fit")} <= light
    heavy = {"torch", "pyarrow", "polars", "scipy", "matplotlib", "multiprocessing", "asyncio", "PIL.EpsImagePlugin"}
    assert not heavy & set(modules)


def test_without_a_process_nothing_is_decoded():
    with pytest.raises(ConfigError, match="decoders: 0 is too few"):
        Decoder(SETTINGS, decoders=0)
