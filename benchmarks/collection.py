"""How fast small images are collected from links, and in how much memory, beside the floor and a plain loop.

    python benchmarks/collection.py

A server in another process, on this machine, gives one JPEG for every path. Each method runs in a process
of its own and handles the same number of links; medians over rounds. The floors are fetching alone and decoding alone,
in one process: as Pillow does it, and as a decoder process does it, with its checks and the perceptual hash. The plain
loop is what one would write in ten lines, without any of the checks: threads, urllib, Pillow. Processor time is that of
the method and of the processes that it starts, without the server's; other programs change it less than elapsed time.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

THREADS = 32


def picture():
    """A JPEG of 400 x 400 pixels."""
    noise = np.random.default_rng(0).normal(size=(40, 40, 3)).repeat(10, 0).repeat(10, 1)
    image = Image.fromarray(np.uint8(np.clip(128 + 50 * noise, 0, 255)))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def serve():
    """Serve until killed; prints the port."""
    from aiohttp import web

    body = picture()

    async def answer(request):
        return web.Response(body=body, content_type="image/jpeg")

    async def run():
        app = web.Application()
        app.router.add_get("/{name}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def fetch_alone(urls):
    import aiohttp

    async def run():
        waiting = iter(urls)
        async with aiohttp.ClientSession() as session:

            async def work():
                for url in waiting:
                    async with session.get(url) as response:
                        await response.read()

            await asyncio.gather(*(work() for _ in range(64)))

    asyncio.run(run())


def pillow_alone(urls):
    body = picture()
    for _ in urls:
        assert Image.open(BytesIO(body)).convert("RGB").size == (400, 400)


def decode_alone(urls):
    from fit.images.picture import inspect
    from fit.images.settings import DecodeSettings

    body, settings = picture(), DecodeSettings()
    for _ in urls:
        assert inspect(body, settings).status == "ok"


def plain_loop(urls):
    from concurrent.futures import ThreadPoolExecutor
    from urllib.request import urlopen

    def one(url):
        with urlopen(url, timeout=10) as response:
            return Image.open(BytesIO(response.read())).convert("RGB").size

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(list(pool.map(one, urls))) == len(urls)


def collect_images(urls):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from fit.captions.tables import MATCHED
    from fit.images.collect import collect
    from fit.images.settings import DecodeSettings, FetchSettings

    rows = [{"concept": "a", "shard": "s", "row": i, "url": url, "caption": ""} for i, url in enumerate(urls)]
    with tempfile.TemporaryDirectory() as folder:
        matched_captions, target = Path(folder, "matched_captions.parquet"), Path(folder, "a.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=MATCHED), matched_captions)
        # One host stands for many here: its share is all there is.
        collect(
            "http",
            matched_captions,
            [],
            ["a"],
            target,
            work=Path(folder, "work"),
            fetching=FetchSettings(allow_loopback=True, connections_per_host=64),
            decoding=DecodeSettings(),
            decoders=2,
        )
        statuses = pq.read_table(target, columns=["status"])["status"].to_pylist()
    assert statuses == ["ok"] * len(urls)


METHODS = {
    "fetching alone: aiohttp, nothing checked (floor)": fetch_alone,
    "decoding alone: Pillow, one process (floor)": pillow_alone,
    "decoding alone: checked and hashed, one process (floor)": decode_alone,
    "plain loop: 32 threads, urllib, Pillow, nothing written": plain_loop,
    "fit images collect: 2 decoders": collect_images,
}


def measure(method, port, count):
    """Run one method and print what it took as JSON: seconds, processor seconds, the peak of this process in MB."""
    urls = [f"http://127.0.0.1:{port}/{i}" for i in range(count)]
    METHODS[method](urls[:20])
    started, used = time.perf_counter(), sum(os.times()[:4])
    METHODS[method](urls)
    seconds, used = time.perf_counter() - started, sum(os.times()[:4]) - used
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"seconds": seconds, "processor_s": used, "peak_mb": peak}))


def main():
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve()
        return
    if args.measure:
        measure(args.measure[0], int(args.measure[1]), int(args.measure[2]))
        return
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        found = {}
        for number in range(args.rounds):
            for method in METHODS:
                for count in [args.images] + ([max(1, args.images // 4)] if "collect" in method else []):
                    print(f"round {number + 1} of {args.rounds}: {method}, {count}", file=sys.stderr)
                    command = [sys.executable, __file__, "--measure", method, port, str(count)]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    found.setdefault((method, count), []).append(json.loads(done.stdout.splitlines()[-1]))
    finally:
        server.kill()
    print(f"Images of {len(picture()) / 1000:.0f} kB.\n")
    print("| method | images | images per second | processor ms an image | peak MB of the main process |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for (method, count), runs in found.items():
        rate = statistics.median(count / run["seconds"] for run in runs)
        used = statistics.median(run["processor_s"] for run in runs) / count * 1000
        print(f"| {method} | {count:,} | {rate:,.0f} | {used:.2f} | {max(run['peak_mb'] for run in runs):.0f} |")


if __name__ == "__main__":
    main()
