import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from fit.errors import ConfigError, FitError
from fit.images import decode
from fit.images.decode import Decoder, Limits, Picture, hamming, inspect, perceptual_hash

LIMITS = Limits()
ORIENTATION = 0x0112

# Pillow warns of hostile bytes; workers leave that out.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def drawing(seed=0, width=48, height=40):
    """A smooth picture of many colours, unlike itself when turned or mirrored."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def scene(seed):
    """Like a drawing, with details of several sizes, as photographs have."""
    random = np.random.default_rng(seed)
    layers = [
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).resize((240, 200), Image.Resampling.BICUBIC)
        for side in (6, 12, 24)
    ]
    return Image.blend(Image.blend(layers[2], layers[1], 0.6), layers[0], 0.5)


def turned(orientation):
    """EXIF data that say so. Pillow takes it out of the object as it saves some formats."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def encoded(picture, format, **options):
    buffer = BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def pixels(data):
    """[H, W, 3] of clean bytes, read without any of the care that is under test."""
    picture = Image.open(BytesIO(data))
    assert picture.format in ("JPEG", "PNG", "WEBP")
    assert picture.mode in ("RGB", "L")
    assert getattr(picture, "n_frames", 1) == 1
    assert picture.getexif().get(ORIENTATION, 1) == 1
    return np.asarray(picture.convert("RGB")).astype(int)


def decoded(data):
    picture = inspect(data, LIMITS)
    assert picture.status == "ok"
    assert len(picture.perceptual_hash) == 16
    array = pixels(picture.data)
    assert array.shape == (picture.height, picture.width, 3)
    return array


def assert_alike(array, expected, tolerance=3):
    """Equal but for what JPEG loses, in shades of 255 on average."""
    assert array.shape == np.asarray(expected).shape
    assert np.abs(array - np.asarray(expected).astype(int)).mean() < tolerance


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, *chunks):
    """A PNG as bytes: `rows` is what the data unpacks to, `chunks` stand before it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


# What is kept as it is


@pytest.mark.parametrize(
    "data",
    [
        encoded(drawing(), "JPEG"),
        encoded(drawing(), "JPEG", progressive=True),
        encoded(drawing().convert("L"), "JPEG"),
        encoded(drawing(), "PNG"),
        encoded(drawing().convert("L"), "PNG"),
        encoded(drawing(), "WEBP"),
        encoded(drawing(), "WEBP", lossless=True),
        encoded(drawing(), "JPEG") + b"<script>garbage behind the end</script>" * 1000,
        encoded(drawing(), "MPO", save_all=True, append_images=[drawing(1)]),
    ],
    ids=["jpeg", "progressive", "grey-jpeg", "png", "grey-png", "webp", "lossless-webp", "garbage-behind", "mpo"],
)
def test_clean_bytes_stay(data):
    picture = inspect(data, LIMITS)
    assert (picture.status, picture.width, picture.height) == ("ok", 48, 40)
    assert picture.data is data


# What is made clean


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_stays(format):
    assert format != "AVIF" or features.check("avif")
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(drawing(0), format, save_all=True, append_images=[drawing(1), drawing(2)], **options)
    assert Image.open(BytesIO(data)).n_frames == 3
    assert_alike(decoded(data), drawing(0), tolerance=8 if format == "GIF" else 3)


def test_16_bit_greys_are_scaled_not_clipped():
    values = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    expected = np.rint(values / 257).astype(int)[:, :, None].repeat(3, axis=2)
    swapped = values.astype(">u2")
    for picture, format in ((values, "PNG"), (values, "TIFF"), (swapped, "TIFF")):
        assert np.array_equal(decoded(encoded(Image.fromarray(picture), format)), expected)


def test_numbers_of_other_ranges_are_scaled():
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    shades = np.arange(256).reshape(16, 16)
    holed = ramp.copy()
    holed[0, :3] = np.nan, np.inf, -np.inf
    for values in (ramp, ramp * 255, ramp * 65535, ramp * 1e6, np.arange(256, dtype=np.int32).reshape(16, 16) * 257):
        array = decoded(encoded(Image.fromarray(values), "TIFF"))
        assert np.array_equal(array[:, :, 0], shades)
    array = decoded(encoded(Image.fromarray(holed), "TIFF"))
    assert array[0, :3, 0].tolist() == [0, 255, 0]
    assert np.array_equal(array[1:, :, 0], shades[1:])
    assert decoded(encoded(Image.fromarray(ramp - 0.5), "TIFF"))[0, 0, 0] == 0
    assert decoded(encoded(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF")).max() == 0


def test_16_bits_a_colour_become_8():
    rows = b"".join(b"\0" + struct.pack(">6H", 0, 0x8000, 0xFFFF, 0x1234, 0xABCD, 0) for _ in range(2))
    data = png(2, 2, 16, 2, rows)
    assert inspect(data, LIMITS).data != data
    assert decoded(data)[0].tolist() == [[0, 0x80, 0xFF], [0x12, 0xAB, 0]]


def test_12_bit_greys_are_scaled_to_their_own_white():
    # Pillow can't write them: 4 pixels of 12 bits, packed.
    tags = [(256, 3, 4), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1)]
    tags.append((279, 4, 6))
    entries = b"".join(struct.pack("<HHIL", tag, kind, 1, value) for tag, kind, value in tags)
    body = bytes([0x00, 0x08, 0x00, 0xFF, 0xF4, 0x00])
    data = b"II*\0" + struct.pack("<L", 14) + body + struct.pack("<H", len(tags)) + entries + bytes(4)
    assert decoded(data)[0, :, 0].tolist() == [0, 128, 255, 64]


def without_segment(jpeg, marker):
    """A JPEG without the segments of a marker; and what they held."""
    at, kept, held = 2, [jpeg[:2]], b""
    while jpeg[at + 1] != 0xDA:
        size = 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        if jpeg[at + 1] == marker:
            held = jpeg[at : at + size]
        else:
            kept.append(jpeg[at : at + size])
        at += size
    return b"".join(kept) + jpeg[at:], held


def test_cmyk_jpegs_have_the_right_polarity():
    picture = drawing()
    inks = np.full((40, 48, 4), 0, np.uint8)
    inks[:, :, :3] = 255 - np.asarray(picture)
    jpeg = encoded(Image.fromarray(inks, "CMYK"), "JPEG", quality=95, subsampling=0)
    bare, adobe = without_segment(jpeg, 0xEE)
    # Pillow writes what Adobe does: inverted inks, and a segment that says so.
    assert adobe[4:9] == b"Adobe"
    assert_alike(decoded(jpeg), picture)
    # Every browser takes inks without the segment as inverted too.
    assert_alike(decoded(bare), picture)


def test_ycck_jpegs_are_converted():
    picture = drawing()
    inks = Image.fromarray(255 - np.asarray(picture)).convert("YCbCr")
    planes = np.dstack([255 - np.asarray(inks), np.zeros((40, 48), np.uint8)])
    jpeg = encoded(Image.fromarray(planes, "CMYK"), "JPEG", quality=95, subsampling=0)
    _, adobe = without_segment(jpeg, 0xEE)
    assert_alike(decoded(jpeg.replace(adobe, adobe[:-1] + b"\2")), picture)


def test_transparency_is_put_on_white():
    picture = drawing()
    alpha = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (40, 1))
    colours = np.dstack([np.asarray(picture), alpha])
    expected = 255 + (np.asarray(picture).astype(int) - 255) * alpha[:, :, None] / 255
    assert_alike(decoded(encoded(Image.fromarray(colours), "PNG")), expected, 0.6)
    assert_alike(decoded(encoded(Image.fromarray(colours), "WEBP", lossless=True, exact=True)), expected, 0.6)
    assert_alike(decoded(encoded(Image.fromarray(colours), "WEBP", quality=95)), expected, 4)
    assert_alike(decoded(encoded(Image.fromarray(colours), "TIFF")), expected, 0.6)
    grey = picture.convert("L")
    expected = 255 + (np.asarray(grey).astype(int) - 255) * alpha / 255
    both = Image.merge("LA", (grey, Image.fromarray(alpha)))
    assert_alike(decoded(encoded(both, "PNG")), expected[:, :, None].repeat(3, axis=2), 0.6)


def test_palettes_with_transparency_are_put_on_white():
    indices = Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2), "P")
    indices.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30])
    expected = [[[255, 255, 255], [127, 255, 127]], [[0, 0, 255], [10, 20, 30]]]
    array = decoded(encoded(indices, "PNG", transparency=bytes([0, 128, 255, 255])))
    assert np.abs(array - expected).max() <= 1
    for format in ("PNG", "GIF"):
        array = decoded(encoded(indices, format, transparency=2))
        assert array.tolist() == [[[255, 0, 0], [0, 255, 0]], [[255, 255, 255], [10, 20, 30]]]


def test_one_transparent_colour_is_found_at_any_depth():
    one_of_four_greys = png(4, 1, 2, 0, b"\0" + bytes([0b00_01_10_11]), chunk(b"tRNS", struct.pack(">H", 1)))
    assert decoded(one_of_four_greys)[0, :, 0].tolist() == [0, 255, 170, 255]
    rows = b"\0" + struct.pack(">3H", 0, 0x1234, 0xFFFF)
    deep_grey = png(3, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 0x1234)))
    assert decoded(deep_grey)[0, :, 0].tolist() == [0, 255, 255]
    rows = b"\0" + struct.pack(">6H", 0x11AB, 0x22CD, 0x33EF, 0x4444, 0x5555, 0x6666)
    deep_colour = png(2, 1, 16, 2, rows, chunk(b"tRNS", struct.pack(">3H", 0x11AB, 0x22CD, 0x33EF)))
    assert decoded(deep_colour)[0].tolist() == [[255, 255, 255], [0x44, 0x55, 0x66]]


@pytest.mark.parametrize("mode", ["1", "P", "LAB", "YCbCr", "CMYK"])
def test_other_colour_spaces_become_rgb(mode):
    picture = drawing()
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        other = ImageCms.applyTransform(picture, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    else:
        other = picture.convert(mode)
    expected = picture.convert("1").convert("RGB") if mode == "1" else picture
    tolerance = 20 if mode == "P" else 4
    assert_alike(decoded(encoded(other, "TIFF")), expected, tolerance)


# How orientation n lays out the rows and columns of an upright picture, by the EXIF standard.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_turned_upright(orientation):
    upright = drawing()
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(upright))))
    jpeg = encoded(stored, "JPEG", exif=turned(orientation), quality=95, subsampling=0)
    assert_alike(decoded(jpeg), upright)
    assert hamming(inspect(jpeg, LIMITS).perceptual_hash, perceptual_hash(upright)) <= 2
    for format in ("PNG", "TIFF"):
        assert np.array_equal(decoded(encoded(stored, format, exif=turned(orientation))), np.asarray(upright))
    assert_alike(decoded(encoded(stored, "WEBP", exif=turned(orientation), lossless=True)), upright)
    assert_alike(decoded(encoded(stored, "AVIF", exif=turned(orientation), quality=95)), upright, tolerance=5)


def test_unreadable_orientation_spoils_no_picture():
    for payload in (b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"):
        data = encoded(drawing(), "JPEG", exif=payload)
        assert inspect(data, LIMITS).data is data


def test_the_same_bytes_give_the_same_picture_without_metadata():
    jpeg = encoded(drawing(), "JPEG", exif=turned(6), comment=b"secret")
    for data in (jpeg, encoded(drawing(), "GIF", comment=b"secret")):
        once, again = inspect(data, LIMITS), inspect(bytes(bytearray(data)), LIMITS)
        assert once == again
        assert b"secret" not in once.data
        assert inspect(once.data, LIMITS) == once


def test_lossy_sources_become_jpegs_and_lossless_ones_pngs():
    lossy = [encoded(drawing(), format, exif=turned(3)) for format in ("JPEG", "WEBP", "AVIF")]
    lossy.append(encoded(drawing(), "TIFF", compression="jpeg"))
    for data in lossy:
        assert inspect(data, LIMITS).data.startswith(b"\xff\xd8\xff")
    lossless = [encoded(drawing(), format) for format in ("GIF", "BMP", "TIFF")]
    lossless.append(encoded(drawing(), "WEBP", exif=turned(3), lossless=True))
    for data in lossless:
        assert inspect(data, LIMITS).data.startswith(b"\x89PNG")


# What is no picture

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/etc/passwd) (r) file\nshowpage\n%%EOF\n"
HEIC = struct.pack(">I", 24) + b"ftypmif1\0\0\0\0mif1heic" + bytes(100)


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><title>photo.jpg</title><p>404 Not Found",
        SVG,
        EPS,
        HEIC,
        b"%PDF-1.7\n",
        b"\xd7\xcd\xc6\x9a" + bytes(100),
        b"BMW builds cars, and this is a text about them." * 9,
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
        b"GIF",
        b"\0",
        np.random.default_rng(0).bytes(10_000),
        encoded(drawing(), "PPM"),
        encoded(drawing(), "ICO"),
    ],
    ids=["html", "svg", "eps", "heic", "pdf", "wmf", "text", "wav", "short", "byte", "random", "ppm", "ico"],
)
def test_not_an_image(data):
    assert inspect(data, LIMITS) == Picture("not_an_image")


def test_empty():
    assert inspect(b"", LIMITS) == Picture("empty")


def test_too_small():
    pixel = encoded(drawing(width=1, height=1), "PNG")
    assert inspect(pixel, LIMITS).data == pixel
    assert inspect(pixel, Limits(min_side=2)) == Picture("too_small", width=1, height=1)
    assert inspect(encoded(drawing(), "JPEG"), Limits(min_side=41)) == Picture("too_small", width=48, height=40)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_no_cut_makes_a_picture_of_half_a_picture(format):
    whole = encoded(scene(0), format)
    statuses = [inspect(whole[:size], LIMITS).status for size in range(1, len(whole), max(1, len(whole) // 100))]
    assert set(statuses) <= {"not_an_image", "truncated", "corrupt", "ok"}
    if format in ("JPEG", "PNG"):
        assert inspect(whole[: len(whole) // 2], LIMITS) == Picture("truncated", width=240, height=200)
        assert inspect(whole[:20], LIMITS).status == "truncated"
    assert statuses[len(statuses) // 2] == "truncated"
    # Only ends without pixels, such as a PNG's last chunk, may be missing.
    assert "ok" not in statuses[: int(0.95 * len(statuses))]


def test_damaged_data_of_a_png_is_found_wherever_it_is():
    # Pillow itself lets a fifth of these pass.
    whole = encoded(drawing(), "PNG")
    start = whole.index(b"IDAT") + 4
    size = int.from_bytes(whole[start - 8 : start - 4])
    for at in range(start, start + size, max(1, size // 200)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        assert inspect(bytes(damaged), LIMITS) == Picture("corrupt", width=48, height=40), at


def test_palette_colours_without_a_palette_are_corrupt():
    assert inspect(png(1, 1, 8, 3, b"\0\0"), LIMITS).status == "corrupt"


def test_bombs_are_told_by_their_headers():
    side = 100_000
    assert inspect(png(side, side, 8, 2, bytes(100)), LIMITS) == Picture("too_many_pixels", None, side, side)
    gif = bytearray(encoded(drawing(), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    bmp = bytearray(encoded(drawing(), "BMP"))
    bmp[18:26] = struct.pack("<II", side, side)
    jpeg = encoded(drawing(), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg = jpeg[:at] + struct.pack(">HH", 60_000, 60_000) + jpeg[at + 4 :]
    webp = bytearray(encoded(drawing(), "WEBP", exif=turned(6)))
    assert webp[12:16] == b"VP8X"
    webp[24:30] = b"\x9f\x86\0" * 2
    for data in (gif, bmp, jpeg, webp):
        assert inspect(bytes(data), LIMITS).status == "too_many_pixels"
    assert inspect(encoded(drawing(), "PNG"), Limits(max_pixels=48 * 40)).status == "ok"
    assert inspect(encoded(drawing(), "PNG"), Limits(max_pixels=48 * 40 - 1)).status == "too_many_pixels"


def test_metadata_that_unpacks_without_end_is_refused():
    bomb = zlib.compress(bytes(16 << 20))
    for bombed in (
        chunk(b"zTXt", b"Comment\0\0" + bomb),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        chunk(b"iCCP", b"profile\0\0" + bomb),
    ):
        assert inspect(png(1, 1, 8, 2, bytes(4), bombed), LIMITS).status == "corrupt"


def test_data_behind_the_last_row_is_not_unpacked():
    assert decoded(png(1, 1, 8, 2, b"\0\1\2\3" + bytes(16 << 20))).tolist() == [[[1, 2, 3]]]


def test_limits_have_to_be_above_0():
    for wrong in ({"workers": 0}, {"timeout_s": -1}, {"max_pixels": 0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Limits(**wrong)


# Perceptual hashes


def test_hashes_stay_when_a_picture_is_encoded_anew_or_resized():
    for seed in range(6):
        picture = scene(seed)
        own = perceptual_hash(picture)
        for size in ((240, 200), (120, 100), (360, 300), (200, 200)):
            for options in ({"format": "JPEG", "quality": 40}, {"format": "WEBP", "quality": 60}, {"format": "PNG"}):
                other = inspect(encoded(picture.resize(size, Image.Resampling.BILINEAR), **options), LIMITS)
                assert hamming(own, other.perceptual_hash) <= 6, (seed, size, options)


def test_hashes_of_different_pictures_are_far_apart():
    hashes = [perceptual_hash(scene(seed)) for seed in range(30)]
    distances = [hamming(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 12
    assert 28 < np.mean(distances) < 36
    assert hamming(hashes[0], hashes[0]) == 0
    assert hamming("0" * 16, "f" * 16) == 64


def test_pages_without_any_shape_have_one_hash():
    assert {perceptual_hash(Image.new("RGB", (50, 70), colour)) for colour in ("white", "black", "teal")} == {"0" * 16}


# Workers

# A worker whose decoder is made to fail: by bytes that no real decoder can be counted on to fail at for ever.
UNRELIABLE = """
import ctypes, json, os, sys, time
from fit.images import decode

inspect = decode.inspect

def unreliable(data, limits, one_at_a_time):
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
        bytearray(limits.max_memory_mb << 20)
    if data == b"babble":
        os.write(0, b"x" * 1000)
    return inspect(data, limits, one_at_a_time)

decode.inspect = unreliable
decode.GRACE_S = 0.4
decode.serve(decode.Limits(**json.loads(sys.argv[1])), *map(int, sys.argv[2:]))
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
    """(bytes, Picture) of pictures that are kept, made anew and refused."""
    made = [encoded(drawing(seed), ("JPEG", "PNG", "GIF", "BMP")[seed % 4]) for seed in range(40)]
    made += [data[: len(data) // 2] for data in made[:4]] + [SVG, b""]
    return [(data, inspect(data, LIMITS)) for data in made]


def test_workers_answer_as_inspect_does_and_end_with_the_decoder(drawings):
    with Decoder() as decoder:
        running = pids(decoder)
        assert len(set(running)) == LIMITS.workers
        for data, expected in drawings:
            assert decoder.decode(data) == expected
        assert pids(decoder) == running
    assert not any(map(is_alive, running))
    with pytest.raises(RuntimeError, match="closed"):
        decoder.decode(b"")


def test_threads_get_their_own_answers(drawings):
    with Decoder() as decoder, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(decoder.decode, [data for data, _ in drawings * 5]))
    assert answers == [expected for _, expected in drawings * 5]


def test_killed_workers_are_replaced_and_cost_no_picture(drawings):
    with Decoder() as decoder:
        for data, expected in drawings[:3]:
            killed = pids(decoder)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            assert decoder.decode(data) == expected
            assert pids(decoder) != killed


@pytest.mark.parametrize("bytes_", [b"segfault", b"exit", b"raise", b"allocate", b"babble"])
def test_a_crash_costs_one_picture(unreliable, drawings, bytes_):
    with Decoder(Limits(workers=1, max_memory_mb=400)) as decoder:
        for data, expected in drawings[:2]:
            crashed = pids(decoder)
            assert decoder.decode(bytes_) == Picture("decoder_crashed")
            assert pids(decoder) != crashed
            assert not is_alive(crashed[0])
            assert decoder.decode(data) == expected


@pytest.mark.parametrize("bytes_", [b"hang", b"sleep"])
def test_a_hang_costs_one_picture(unreliable, drawings, bytes_):
    with Decoder(Limits(workers=1, timeout_s=0.3)) as decoder:
        hung = pids(decoder)
        assert decoder.decode(bytes_) == Picture("decoder_timeout")
        assert not is_alive(hung[0])
        assert [decoder.decode(data) for data, _ in drawings[:4]] == [expected for _, expected in drawings[:4]]


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    now, most = [], []

    @contextmanager
    def one_at_a_time():
        now.append(1)
        most.append(len(now))
        yield
        now.pop()

    small, large = encoded(drawing(), "PNG"), encoded(Image.new("1", (5000, 4000)), "PNG")
    assert inspect(small, LIMITS, one_at_a_time).status == "ok" and not most
    assert inspect(large, LIMITS, one_at_a_time).status == "ok" and most == [1] and not now
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


def test_a_stopped_worker_is_a_hang_too(drawings):
    with Decoder(Limits(workers=1, timeout_s=0.3)) as decoder:
        os.kill(pids(decoder)[0], signal.SIGSTOP)
        # More than a socket holds, so that sending has to give up as well.
        assert decoder.decode(bytes(8 << 20)) == Picture("decoder_timeout")
        assert decoder.decode(drawings[0][0]) == drawings[0][1]


def test_an_interrupted_picture_does_not_answer_for_the_next(monkeypatch, drawings):
    def interrupt(*_):
        raise KeyboardInterrupt

    with Decoder(Limits(workers=1)) as decoder:
        with monkeypatch.context() as patch:
            patch.setattr(decoder._workers[0], "_receive_picture", interrupt)
            with pytest.raises(KeyboardInterrupt):
                decoder.decode(drawings[0][0])
        assert decoder.decode(drawings[1][0]) == drawings[1][1]


def test_answers_are_not_mixed_up_while_workers_fail(unreliable, drawings):
    hostile = {b"segfault": "decoder_crashed", b"exit": "decoder_crashed", b"hang": "decoder_timeout"}
    work = [(data, expected) for data, expected in drawings]
    for at, (data, status) in enumerate(hostile.items()):
        work.insert(5 + 10 * at, (data, Picture(status)))
    with Decoder(Limits(timeout_s=0.3)) as decoder, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(decoder.decode, [data for data, _ in work]))
    assert answers == [expected for _, expected in work]


def test_workers_killed_at_work_give_no_wrong_answer(drawings):
    done = threading.Event()
    wrong = []

    def decode_until_done(decoder):
        while not done.is_set():
            for data, expected in drawings:
                answer = decoder.decode(data)
                if answer not in (expected, Picture("decoder_crashed")):
                    wrong.append((answer, expected))

    with Decoder() as decoder, ThreadPoolExecutor(4) as threads:
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


def test_memory_beyond_the_limit_ends_the_worker_and_not_the_job(drawings):
    # 160 MB of pixels, of which the header makes no secret, but which max_pixels allows.
    large = encoded(Image.new("L", (16_000, 10_000)), "PNG", compress_level=1)
    with Decoder(Limits(workers=1, max_memory_mb=256, max_pixels=200_000_000)) as decoder:
        assert decoder.decode(large) == Picture("decoder_crashed")
        assert decoder.decode(drawings[0][0]) == drawings[0][1]
        # Bytes that the worker can't even hold.
        assert decoder.decode(bytes(256 << 20)) == Picture("decoder_crashed")
        assert decoder.decode(drawings[0][0]) == drawings[0][1]


def test_workers_are_renewed_before_they_have_leaked_much(monkeypatch, drawings):
    monkeypatch.setattr(decode, "RENEWED_AFTER", 3)
    with Decoder(Limits(workers=1)) as decoder:
        seen = set()
        for data, expected in drawings[:9]:
            assert decoder.decode(data) == expected
            worker = decoder._workers[0]
            if worker.process is not None:
                seen.add(worker.process.pid)
        assert len(seen) == 3


def test_signals_that_end_a_job_leave_its_workers_to_it(drawings):
    with Decoder(Limits(workers=1)) as decoder:
        running = pids(decoder)
        os.kill(running[0], signal.SIGINT)
        os.kill(running[0], signal.SIGTERM)
        assert decoder.decode(drawings[0][0]) == drawings[0][1]
        assert pids(decoder) == running


def test_closing_ends_workers_at_work_and_threads_that_wait(unreliable):
    decoder = Decoder(Limits(workers=1))
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
    with pytest.raises(FitError, match=r"did not start \(exit status 3"), Decoder():
        pass
    monkeypatch.setattr(decode, "WORKER", ("/no/such/python",))
    with pytest.raises(FitError, match="can't be started"), Decoder():
        pass


def test_a_worker_ends_when_nobody_is_left_to_end_it():
    limits = json.dumps(asdict(Limits(timeout_s=0.1)))
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
    assert {name for name in modules if name.startswith("fit")} <= {"fit", "fit.errors", "fit.images", decode.__name__}
    heavy = {"torch", "pyarrow", "polars", "scipy", "matplotlib", "multiprocessing", "asyncio", "PIL.EpsImagePlugin"}
    assert not heavy & set(modules)
