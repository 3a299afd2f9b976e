"""Pictures in tests: how they are made, encoded, and read without the code that is under test."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from fit.images.picture import inspect
from fit.images.settings import DecodeSettings

SETTINGS = DecodeSettings()
ORIENTATION = 0x0112


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
    picture = inspect(data, SETTINGS)
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
