"""What becomes of 300 links to a server that means harm, and how much memory that takes.

    python benchmarks/hostile.py

The server, in another process, gives pictures whose headers lie in every field, pictures that are cut, bombs, bodies
that are slow, endless or of another length, storms of headers, and redirects to forbidden addresses; other links
lead there by themselves. `fit images collect` does its work on them. Every link must end as one row, with a picture or
a status, and all its processes together must stay below 1 GB. The exit status is 1 where that does not hold.
"""

import argparse
import asyncio
import gzip
import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

BAR_MB = 1000
LARGE_BYTES = 20_000_000
VALUES = (0, 1, -1, -5, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)


# --- pictures that lie ------------------------------------------------------------------------------------------------


def picture(kind, side=24):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def patched(data, at, form, value):
    """`data` with a number of the struct format `form` at byte `at`; the number is cut to what fits."""
    size = struct.calcsize(form)
    number = value & ((1 << 8 * size) - 1)
    order = "big" if form[0] == ">" else "little"
    return data[:at] + number.to_bytes(size, order) + data[at + size :]


def with_checksums(png):
    """A PNG whose chunks have the checksums of what they hold now."""
    out, at = png[:8], 8
    while at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + length]
        if at + 12 + length > len(png):
            return out + png[at:]
        out += png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return out


def after(data, marker):
    return data.index(marker) + len(marker)


BEGINNINGS = {"JPEG": b"\xff\xc0", "WEBP": b"\x9d\x01\x2a"}
"""Format -> what the fields of FIELDS are counted from, where it is not the beginning of the file."""
FIELDS = {
    "BMP": [
        ("file size", 2, "<I"),
        ("offset of pixels", 10, "<I"),
        ("header size", 14, "<I"),
        ("width", 18, "<i"),
        ("height", 22, "<i"),
        ("planes", 26, "<H"),
        ("depth", 28, "<H"),
        ("compression", 30, "<I"),
        ("colours", 46, "<I"),
    ],
    "PNG": [
        ("length of the header", 8, ">I"),
        ("width", 16, ">I"),
        ("height", 20, ">I"),
        ("depth", 24, ">B"),
        ("colour type", 25, ">B"),
        ("interlacing", 28, ">B"),
        ("length of the data", 33, ">I"),
    ],
    "GIF": [("width", 6, "<H"), ("height", 8, "<H"), ("flags", 10, "<B")],
    "JPEG": [
        ("length of the frame", 0, ">H"),
        ("depth", 2, ">B"),
        ("height", 3, ">H"),
        ("width", 5, ">H"),
        ("components", 7, ">B"),
    ],
    "WEBP": [("width", 0, "<H"), ("height", 2, "<H")],
}
"""Format -> (what a field is, its place in bytes, its struct format)."""


def fields():
    """Yield (format, what the field is, its place, its struct format), of pictures that `picture` makes."""
    for kind, of_kind in FIELDS.items():
        start = after(picture(kind), BEGINNINGS[kind]) if kind in BEGINNINGS else 0
        yield from ((kind, name, start + at, form) for name, at, form in of_kind)
    yield from (("WEBP", name, at, "<I") for name, at in (("file size", 4), ("chunk size", 16)))
    (directory,) = struct.unpack("<I", picture("TIFF")[4:8])
    yield "TIFF", "place of the directory", 4, "<I"
    for entry in range(4):
        place = directory + 2 + 12 * entry
        yield "TIFF", f"entry {entry}: type", place + 2, "<H"
        yield "TIFF", f"entry {entry}: count", place + 4, "<I"
        yield "TIFF", f"entry {entry}: value", place + 8, "<I"


def lying():
    """Yield (what, bytes) of pictures with one field of their header wrong."""
    for number, (kind, name, at, form) in enumerate(fields()):
        # Of the values, each field gets four, and width and height all.
        few = [VALUES[(number + step) % len(VALUES)] for step in (0, 2, 4, 7)]
        for value in VALUES if name in ("width", "height") and kind in ("BMP", "PNG") else few:
            data = patched(picture(kind), at, form, value)
            yield f"{kind}: {name}", with_checksums(data) if kind == "PNG" and value != 1 else data


def cut():
    for kind in ("BMP", "PNG", "GIF", "JPEG", "WEBP", "TIFF"):
        data = picture(kind)
        for share in (0.1, 0.5, 0.95):
            yield f"{kind}: cut", data[: int(len(data) * share)]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_nothing(side, *before):
    """A PNG of side x side white pixels, in few bytes."""
    squeeze = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (side // 8)
    pixels = b"".join(squeeze.compress(row) for _ in range(side)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(before) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bombs():
    text = zlib.compress(bytes(200 << 20), 9)
    yield "PNG of 8,000 x 8,000 pixels", png_of_nothing(8_000)
    yield "PNG of 30,000 x 30,000 pixels", png_of_nothing(30_000)
    yield "PNG with a text that unpacks to 200 MB", png_of_nothing(64, chunk(b"zTXt", b"Comment\0\0" + text))
    yield "PNG with a colour profile that unpacks to 200 MB", png_of_nothing(64, chunk(b"iCCP", b"icc\0\0" + text))
    yield "TIFF of 30,000 x 30,000 pixels", tiff_of_nothing(30_000)
    yield from (
        ("page of HTML", b"<html><script>alert(1)</script></html>"),
        ("drawing with a script (SVG)", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("pickle", b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR."),
        ("nothing at all", b""),
        ("zip", b"PK\x03\x04" + bytes(100)),
        ("PostScript that asks for a shell", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n"),
    )


def tiff_of_nothing(side):
    """A TIFF that says it has side x side pixels, compressed."""
    data = zlib.compress(bytes(1 << 20), 9)
    entries = [(256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 200)]
    entries += [(277, 3, 1), (278, 4, side), (279, 4, len(data))]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in entries)
    return (b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)).ljust(200, b"\0") + data


def large():
    """A picture of LARGE_BYTES that does not get smaller."""
    side = int((LARGE_BYTES / 3) ** 0.5)
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(buffer, "BMP")
    return buffer.getvalue()


# --- links ------------------------------------------------------------------------------------------------------------

MISLEADING = (
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[64:ff9b::a00:1]/",
    "http://[2002:a00:1::]/",
    "http://0x0a000001/",
    "http://012.0.0.1/",
    "http://167772161/",
    "http://127.0.0.1@10.0.0.1/",
    "http://metadata.google.internal/",
    "http://mixed.example/",
    "http://rebinding.example/",
    "file:///etc/passwd",
    "ftp://10.0.0.1/x",
    "gopher://10.0.0.1/",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "//10.0.0.1/x",
    "http://",
    "http://" + "a" * 5000 + "/",
    "http://<script>alert(1)</script>/",
    "http://a b/\r\nHost: x",
    "\x00",
    "",
)
BODIES = (
    "slow-head",
    "slow-body",
    "endless",
    "endless-chunks",
    "gzip-bomb",
    "gzip-nothing",
    "gzip-garbage",
    "longer-than-said",
    "shorter-than-said",
    "length--5",
    "length-99999999999999999999",
    "length-many",
    "bad-chunks",
    "reset",
    "hang-up",
    "not-http",
    "header-of-megabytes",
    "thousands-of-headers",
    "loop",
    "chain",
    *(f"status-{code}" for code in (204, 206, 304, 404, 418, 429, 500, 503, 999)),
)


def tried(large_ones):
    """Everything that is tried: list of (group, link without its host, or a whole one, bytes that the server gives)."""
    rows = [("headers that lie", f"/picture/{i}", data) for i, (_, data) in enumerate(lying())]
    rows += [("pictures that are cut", f"/cut/{i}", data) for i, (_, data) in enumerate(cut())]
    rows += [
        ("decompression bombs, and files that are not pictures", f"/bomb/{i}", data)
        for i, (_, data) in enumerate(bombs())
    ]
    rows += [("bodies and heads", f"/act/{name}", None) for name in BODIES]
    rows += [("redirects to forbidden addresses", f"/to/{i}", None) for i in range(len(MISLEADING))]
    rows += [("links to forbidden addresses", link, None) for link in MISLEADING]
    rows += [(f"bodies of {LARGE_BYTES / 1e6:.0f} MB", f"/large/{i}", None) for i in range(large_ones)]
    return rows


# --- the server -------------------------------------------------------------------------------------------------------


def head(*lines, status="200 OK"):
    return ("\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines]) + "\r\n\r\n").encode("latin-1")


async def act(name, send):
    """What the server does in place of an answer."""
    if name == "slow-head":
        await send(b"HTTP/1.1 200 OK\r\nContent-")
        await asyncio.sleep(60)
    elif name == "slow-body":
        await send(head("Content-Length: 1000000"))
        while True:
            await send(b"x")
            await asyncio.sleep(0.1)
    elif name in ("endless", "endless-chunks"):
        chunked = name == "endless-chunks"
        await send(head("Transfer-Encoding: chunked") if chunked else head())
        while True:
            await send((b"4000\r\n" + bytes(0x4000) + b"\r\n") if chunked else bytes(0x4000))
    elif name == "gzip-bomb":
        await send(head("Content-Encoding: gzip") + gzip.compress(bytes(300 << 20), 9))
    elif name == "gzip-nothing":
        squeeze = zlib.compressobj(wbits=31)
        await send(head("Content-Encoding: gzip") + squeeze.compress(b"") + squeeze.flush(zlib.Z_SYNC_FLUSH))
        while True:
            await send(b"\0\0\0\xff\xff" * 4000)
    elif name == "gzip-garbage":
        await send(head("Content-Encoding: gzip", "Content-Length: 9") + b"not gzip!")
    elif name == "longer-than-said":
        await send(head("Content-Length: 10") + picture("PNG"))
    elif name == "shorter-than-said":
        await send(head("Content-Length: 1000000") + picture("PNG"))
    elif name.startswith("length-"):
        await send(head(f"Content-Length: {name.removeprefix('length-')}") + picture("PNG"))
    elif name == "bad-chunks":
        await send(head("Transfer-Encoding: chunked") + b"5\r\nhello\r\nmany\r\nhello\r\n0\r\n\r\n")
    elif name == "not-http":
        await send(b"220 mail.example.org ESMTP\r\n")
    elif name == "header-of-megabytes":
        await send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (16 << 20) + b"\r\n\r\n")
    elif name == "thousands-of-headers":
        await send(head(*(f"X-{i}: y" for i in range(50_000))))
    elif name == "loop":
        await send(head("Location: /act/loop", "Content-Length: 0", status="302 Found"))
    elif name == "chain":
        await send(head("Location: /act/loop?another", "Content-Length: 0", status="301 Moved"))
    elif name.startswith("status-"):
        await send(head("Content-Length: 0", status=f"{name.removeprefix('status-')} Whatever"))


def serve(large_ones):
    """Serve until killed; prints the port."""
    data_of = {link: data for _, link, data in tried(large_ones) if data is not None}
    bulk = large()

    async def connected(reader, writer):
        async def send(data):
            writer.write(data)
            await writer.drain()

        try:
            target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode("latin-1")
            kind, _, rest = target.lstrip("/").partition("/")
            if kind == "act" and rest.startswith("reset"):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif kind == "act":
                await act(rest.partition("?")[0], send)
            elif kind == "to":
                place = MISLEADING[int(rest)].replace("\r\n", "")
                await send(head(f"Location: {place}", "Content-Length: 0", status="302 Found"))
            elif kind == "large":
                await send(head(f"Content-Length: {len(bulk)}") + bulk)
            else:
                body = data_of[target]
                await send(head("Content-Type: image/jpeg", f"Content-Length: {len(body)}") + body)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client went away, as it should from most of these
        finally:
            writer.close()

    async def run():
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


# --- the client -------------------------------------------------------------------------------------------------------

NAMES = {"mixed.example": ["127.0.0.1", "10.0.0.1"], "rebinding.example": ["127.0.0.1"]}


def collect_links(links_file, folder):
    """Do what `fit images collect` does, with a name server that means harm."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from fit.captions.tables import MATCHED
    from fit.images.collect import collect
    from fit.images.settings import DecodeSettings, FetchSettings

    real, asked = socket.getaddrinfo, Counter()

    def answer(host, port, *args, **kwargs):
        if host not in NAMES:
            return real(host, port, *args, **kwargs)
        asked[host] += 1
        # The first answer is let through; every later one leads inside.
        addresses = NAMES[host] if host == "mixed.example" or asked[host] == 1 else ["10.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    socket.getaddrinfo = answer
    links = json.loads(Path(links_file).read_text())
    rows = [{"concept": "a", "shard": "s", "row": i, "url": url, "caption": ""} for i, url in enumerate(links)]
    pq.write_table(pa.Table.from_pylist(rows, schema=MATCHED), Path(folder, "matched_captions.parquet"))
    fetching = FetchSettings(
        allow_loopback=True, connections=16, connections_per_host=16, total_timeout_s=12, connect_timeout_s=6, retries=0
    )
    options = {"work": Path(folder, "work"), "fetching": fetching, "decoding": DecodeSettings(), "decoders": 2}
    collect("http", Path(folder, "matched_captions.parquet"), [], ["a"], Path(folder, "a.parquet"), **options)


def peak_mb(process):
    """The most memory (resident, megabytes) that a process and its children had together, until it ends."""
    peak, whole = 0.0, psutil.Process(process.pid)
    while process.poll() is None:
        try:
            family = [whole, *whole.children(recursive=True)]
            # Shared pages count once: libraries, which forked processes share.
            peak = max(peak, sum(one.memory_full_info().pss for one in family) / 1e6)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        time.sleep(0.05)
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--large", type=int, default=24, help=f"how many bodies of {LARGE_BYTES / 1e6:.0f} MB")
    parser.add_argument("--every", type=int, default=1, help="try one of so many")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--collect", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.large)
        return 0
    if args.collect:
        collect_links(*args.collect)
        return 0
    command = [sys.executable, __file__, "--large", str(args.large)]
    server = subprocess.Popen([*command, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        rows = tried(args.large)[:: args.every]
        links = [
            f"http://127.0.0.1:{port}{link}" if link[:1] == "/" and link[:2] != "//" else link for _, link, _ in rows
        ]
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "links.json").write_text(json.dumps(links))
            began = time.monotonic()
            client = subprocess.Popen(
                [*command, "--collect", str(Path(folder, "links.json")), folder], stderr=subprocess.PIPE, text=True
            )
            peak = peak_mb(client)
            said, seconds = client.stderr.read(), time.monotonic() - began
            if client.returncode:
                print(said[-3000:], file=sys.stderr)
                return 1
            return report(rows, Path(folder, "a.parquet"), peak, seconds)
    finally:
        server.kill()


def report(rows, table, peak, seconds):
    import pyarrow.parquet as pq

    found = pq.read_table(table, columns=["image_id", "status"]).to_pydict()
    accounted = len(found["image_id"]) == len(set(found["image_id"])) == len(rows) and all(found["status"])
    print("| what | links | became |\n| --- | --- | --- |")
    of_groups: dict[str, Counter] = {}
    for (group, *_), status in zip(rows, found["status"], strict=False):
        of_groups.setdefault(group, Counter())[status] += 1
    for group, statuses in of_groups.items():
        became = ", ".join(f"{status} {count}" for status, count in statuses.most_common())
        print(f"| {group} | {statuses.total()} | {became} |")
    print(
        f"\n{len(rows)} links, {'every one' if accounted else 'NOT every one'} a row; {peak:.0f} MB at most in all its "
        f"processes (bar: {BAR_MB}); {seconds:.0f} s."
    )
    return 0 if accounted and peak < BAR_MB else 1


if __name__ == "__main__":
    sys.exit(main())
