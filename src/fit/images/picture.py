"""Bytes from anywhere on the web -> a clean picture, or a clean status, in this process.

Whoever wrote the bytes may have meant harm, or used a broken program; the claimed type says nothing. Against this:

- Only the openers in FORMATS ever see the bytes: none of them starts a program, reads another file or the network.
- Sizes are read from the header before anything is decoded, so that a few bytes can't ask for gigabytes of pixels.

The module imports Pillow and NumPy only, as every process that decodes imports it (fit.images.decode).
"""

import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

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

from fit.images.perceptual_hash import perceptual_hash
from fit.images.settings import DecodeSettings

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What pictures may be. EPS, PDF, WMF and others are left out, as their openers start programs or are little tried."""

STATUSES = (
    "ok",
    "empty",  # no bytes
    "not_an_image",  # HTML, SVG, text, or a format that is not in FORMATS
    "truncated",  # it ends too early
    "corrupt",  # it is damaged, or Pillow refuses what it holds, such as a text that unpacks to megabytes
    "too_many_pixels",  # its header asks for more than DecodeSettings.max_pixels: a decompression bomb
    "too_small",  # a side is below DecodeSettings.min_side
    "decoder_crashed",  # its process died, or needed more memory than it may have
    "decoder_timeout",  # its process took longer than DecodeSettings.decode_timeout_s of processor time
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

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.exhausted |= size is not None and len(data) < size
        return data


_HEAD = 256
"""Bytes that tell the format."""

LARGE_PIXELS = 16_000_000
"""Pictures of more pixels take hundreds of megabytes to decode. All processes together decode one of them at a time."""


def inspect(
    data: bytes, settings: DecodeSettings, one_at_a_time: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Picture:
    """Decode `data` in this process: what a process of fit.images.decode does.

    A clean picture is the first frame, turned as EXIF says, 8 bit, RGB, transparency put on white. Bytes that are such
    a picture are kept as they are (greys too: every reader makes RGB of them). Others are encoded again, without
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
    width, height = _claimed(picture.width), _claimed(picture.height)
    if width is None or height is None or picture.width * picture.height > settings.max_pixels:
        return Picture("too_many_pixels", width=width, height=height)
    if min(picture.size) < settings.min_side:
        return Picture("too_small", width=width, height=height)
    try:
        with one_at_a_time() if picture.width * picture.height > LARGE_PIXELS else nullcontext():
            picture.load()
            if name == "PNG" and _has_damaged_chunks(data):
                return Picture("corrupt", width=width, height=height)
            return _clean(picture, data)
    except Exception as error:  # for the same reason
        return Picture(_what_failed(error, name, data), width=width, height=height)


def status_of_header(source: BinaryIO, settings: DecodeSettings) -> str:
    """Tell from the header of a file whether it may be a picture; nothing is decoded.

    Args:
        source: the file, at its beginning.
        settings: how large a picture may be.

    Returns:
        One of STATUSES. "ok": its header is one of a picture; what is behind it may still be damaged.
    """
    head = source.read(_HEAD)
    name = _sniff(head)
    if name is None:
        return "not_an_image" if head else "empty"
    source.seek(0)
    try:
        width, height = Image.OPEN[name][0](source, "").size
    except Image.DecompressionBombError:
        return "too_many_pixels"
    except Exception:  # see inspect
        return "corrupt"
    if width * height > settings.max_pixels:
        return "too_many_pixels"
    return "too_small" if min(width, height) < settings.min_side else "ok"


def _claimed(side: object) -> int | None:
    """Return a side as a header claims it, or None where it is not a number of pixels that a table can hold."""
    return side if isinstance(side, int) and 0 <= side <= MAX_SIDE else None


def _clean(picture: Image.Image, data: bytes) -> Picture:
    """Return the Picture, "ok", of a loaded PIL image that `data` was decoded to."""
    orientation = _orientation(picture)
    clean = _flatten(picture, data)
    if orientation in UPRIGHT:
        clean = clean.transpose(UPRIGHT[orientation])
    elif clean is picture and _frames(picture) == 1:
        return Picture("ok", data, clean.width, clean.height, perceptual_hash(picture))
    return Picture("ok", _encode(clean, _is_lossy(picture, data)), clean.width, clean.height, perceptual_hash(clean))


def _sniff(data: bytes) -> str | None:
    """Return the name of the format that `data` begins like, or None if it is none of FORMATS."""
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


def _what_failed(error: Exception, name: str, data: bytes, exhausted: bool = False) -> str:
    """Return the status that an exception of Pillow's means. `exhausted`: the reader of headers ran out of bytes."""
    reason = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in reason:
        raise MemoryError(reason) from error
    # "cannot load" is said of a JPEG whose header was the last of it.
    cut_short = exhausted or "truncated" in reason or "cannot load this image" in reason or _lacks_bytes(name, data)
    return "truncated" if cut_short else "corrupt"


def _lacks_bytes(name: str, data: bytes) -> bool:
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


def _has_damaged_chunks(data: bytes) -> bool:
    """Whether the checksum of a complete IDAT chunk of a PNG is wrong, which Pillow does not look at."""
    view, at = memoryview(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4])
        checked = view[at + 4 : at + 8] == b"IDAT" and end + 4 <= len(data)
        if checked and zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return True
        at = end + 4
    return False


def _orientation(picture: Image.Image) -> int | None:
    """Return the orientation in the EXIF data of a loaded picture; None if it is not a number or can't be read."""
    try:
        orientation = picture.getexif().get(Base.Orientation)
        return orientation if isinstance(orientation, int) else None
    except Exception:  # the boundary of `inspect` once more: unreadable EXIF data does not spoil a picture
        return None


def _frames(picture: Image.Image) -> int:
    return getattr(picture, "n_frames", 1) if picture.format != "MPO" else 1


def _is_lossy(picture: Image.Image, data: bytes) -> bool:
    """Whether a picture lost details when it was encoded."""
    if picture.format == "WEBP":
        return b"VP8L" not in data
    if picture.format == "TIFF":
        return picture.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
    return picture.format in ("JPEG", "MPO", "AVIF")


_ROWS = 256


def _flatten(picture: Image.Image, data: bytes) -> Image.Image:
    """Return a loaded picture as RGB of 8 bits on white: itself if its bytes are that already, RGB or grey."""
    transparency = picture.info.get("transparency")
    depth = data[24] if picture.format == "PNG" else 8
    if picture.mode.startswith("I;16"):
        is_12_bit = isinstance(picture, TiffImagePlugin.TiffImageFile) and picture.tag_v2.get(258) == (12,)
        white = 4095 if is_12_bit else 65535
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


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Return numbers [H, W] of an unknown range as shades: 0 to the least of the usual whites that no number is above.

    The usual whites are 1 (floats only), 255, 65535 and 2**32 - 1; floats beyond 65535 end at the greatest. Numbers
    below 0 make the least of them black. NaN becomes 0, infinities become black and white.
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


def _encode(picture: Image.Image, lossy: bool) -> bytes:
    """Return the bytes of a picture, as RGB."""
    buffer = BytesIO()
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    picture.info = {}  # of which Pillow would write profiles and comments
    if lossy and max(picture.size) <= JPEG_MAX_SIDE:
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
