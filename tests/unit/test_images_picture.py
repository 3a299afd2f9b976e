"""Bytes of any kind become a clean picture of the same look, or a status."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from drawings import SETTINGS, assert_alike, chunk, decoded, drawing, encoded, png, scene, turned
from PIL import Image, ImageCms, features
from pydantic import TypeAdapter, ValidationError
from scipy.fft import dctn

from fit.images.perceptual_hash import hamming, perceptual_hash
from fit.images.picture import Picture, inspect, status_of_header
from fit.images.settings import DecodeSettings, FetchSettings

# Pillow warns of hostile bytes; workers leave that out.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


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
    picture = inspect(data, SETTINGS)
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
    assert inspect(data, SETTINGS).data != data
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
    assert hamming(inspect(jpeg, SETTINGS).perceptual_hash, perceptual_hash(upright)) <= 2
    for format in ("PNG", "TIFF"):
        assert np.array_equal(decoded(encoded(stored, format, exif=turned(orientation))), np.asarray(upright))
    assert_alike(decoded(encoded(stored, "WEBP", exif=turned(orientation), lossless=True)), upright)
    assert_alike(decoded(encoded(stored, "AVIF", exif=turned(orientation), quality=95)), upright, tolerance=5)


def test_unreadable_orientation_spoils_no_picture():
    for payload in (b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"):
        data = encoded(drawing(), "JPEG", exif=payload)
        assert inspect(data, SETTINGS).data is data


def test_the_same_bytes_give_the_same_picture_without_metadata():
    jpeg = encoded(drawing(), "JPEG", exif=turned(6), comment=b"secret")
    for data in (jpeg, encoded(drawing(), "GIF", comment=b"secret")):
        once, again = inspect(data, SETTINGS), inspect(bytes(bytearray(data)), SETTINGS)
        assert once == again
        assert b"secret" not in once.data
        assert inspect(once.data, SETTINGS) == once


def test_lossy_sources_become_jpegs_and_lossless_ones_pngs():
    lossy = [encoded(drawing(), format, exif=turned(3)) for format in ("JPEG", "WEBP", "AVIF")]
    lossy.append(encoded(drawing(), "TIFF", compression="jpeg"))
    for data in lossy:
        assert inspect(data, SETTINGS).data.startswith(b"\xff\xd8\xff")
    lossless = [encoded(drawing(), format) for format in ("GIF", "BMP", "TIFF")]
    lossless.append(encoded(drawing(), "WEBP", exif=turned(3), lossless=True))
    for data in lossless:
        assert inspect(data, SETTINGS).data.startswith(b"\x89PNG")


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
    assert status_of_header(BytesIO(data), SETTINGS) == "not_an_image"
    assert inspect(data, SETTINGS) == Picture("not_an_image")


def test_empty():
    assert inspect(b"", SETTINGS) == Picture("empty")


def test_too_small():
    pixel = encoded(drawing(width=1, height=1), "PNG")
    assert inspect(pixel, SETTINGS).data == pixel
    assert inspect(pixel, DecodeSettings(min_side=2)) == Picture("too_small", width=1, height=1)
    assert inspect(encoded(drawing(), "JPEG"), DecodeSettings(min_side=41)) == Picture("too_small", width=48, height=40)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_no_cut_makes_a_picture_of_half_a_picture(format):
    whole = encoded(scene(0), format)
    statuses = [inspect(whole[:size], SETTINGS).status for size in range(1, len(whole), max(1, len(whole) // 100))]
    assert set(statuses) <= {"not_an_image", "truncated", "corrupt", "ok"}
    if format in ("JPEG", "PNG"):
        assert inspect(whole[: len(whole) // 2], SETTINGS) == Picture("truncated", width=240, height=200)
        assert inspect(whole[:20], SETTINGS).status == "truncated"
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
        assert inspect(bytes(damaged), SETTINGS) == Picture("corrupt", width=48, height=40), at


def test_palette_colours_without_a_palette_are_corrupt():
    assert inspect(png(1, 1, 8, 3, b"\0\0"), SETTINGS).status == "corrupt"


def test_bombs_are_told_by_their_headers():
    side = 100_000
    assert inspect(png(side, side, 8, 2, bytes(100)), SETTINGS) == Picture("too_many_pixels", None, side, side)
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
        assert inspect(bytes(data), SETTINGS).status == "too_many_pixels"
    assert inspect(encoded(drawing(), "PNG"), DecodeSettings(max_pixels=48 * 40)).status == "ok"
    assert inspect(encoded(drawing(), "PNG"), DecodeSettings(max_pixels=48 * 40 - 1)).status == "too_many_pixels"


def test_metadata_that_unpacks_without_end_is_refused():
    bomb = zlib.compress(bytes(16 << 20))
    for bombed in (
        chunk(b"zTXt", b"Comment\0\0" + bomb),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        chunk(b"iCCP", b"profile\0\0" + bomb),
    ):
        assert inspect(png(1, 1, 8, 2, bytes(4), bombed), SETTINGS).status == "corrupt"


def test_data_behind_the_last_row_is_not_unpacked():
    assert decoded(png(1, 1, 8, 2, b"\0\1\2\3" + bytes(16 << 20))).tolist() == [[[1, 2, 3]]]


@pytest.mark.slow
def test_hashes_stay_when_a_picture_is_encoded_again_or_resized():
    for seed in range(6):
        picture = scene(seed)
        own = perceptual_hash(picture)
        for size in ((240, 200), (120, 100), (360, 300), (200, 200)):
            for options in ({"format": "JPEG", "quality": 40}, {"format": "WEBP", "quality": 60}, {"format": "PNG"}):
                other = inspect(encoded(picture.resize(size, Image.Resampling.BILINEAR), **options), SETTINGS)
                assert hamming(own, other.perceptual_hash) <= 6, (seed, size, options)


def test_hashes_of_different_pictures_are_far_apart():
    hashes = [perceptual_hash(scene(seed)) for seed in range(30)]
    distances = [hamming(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 12
    assert 28 < np.mean(distances) < 36
    assert hamming(hashes[0], hashes[0]) == 0
    assert hamming("0" * 16, "f" * 16) == 64


@pytest.mark.parametrize("size", [(240, 200), (70, 600), (9, 8), (5, 300)])
def test_the_hash_says_which_low_frequencies_are_strong(size):
    picture = scene(1).resize(size)
    waves = np.zeros((8, 8))
    found = dctn(np.asarray(picture.convert("L"), np.float64))[1:9, 1:9]
    waves[: found.shape[0], : found.shape[1]] = found
    strengths = np.round(waves.ravel(), 6)
    expected = "".join(str(int(strength > np.median(strengths))) for strength in strengths)
    assert perceptual_hash(picture) == f"{int(expected, 2):016x}"


def test_pages_without_any_shape_have_one_hash():
    assert {perceptual_hash(Image.new("RGB", (50, 70), colour)) for colour in ("white", "black", "teal")} == {"0" * 16}


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (DecodeSettings, {"max_pixels": 0}),
        (DecodeSettings, {"decode_timeout_s": -1}),
        (FetchSettings, {"connections": 0}),
        (FetchSettings, {"connections_per_host": 0}),
        (FetchSettings, {"total_timeout_s": 0}),
        (FetchSettings, {"max_bytes": -1}),
        (FetchSettings, {"retries": -1}),
    ],
)
def test_settings_that_could_fetch_or_decode_nothing_are_not_valid(cls, wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TypeAdapter(cls).validate_python(wrong)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_header_tells_what_the_picture_would(format):
    data = encoded(drawing(), format)
    assert status_of_header(BytesIO(data), SETTINGS) == inspect(data, SETTINGS).status == "ok"
    small, large = DecodeSettings(min_side=10_000), DecodeSettings(max_pixels=9)
    assert status_of_header(BytesIO(data), small) == inspect(data, small).status == "too_small"
    assert status_of_header(BytesIO(data), large) == inspect(data, large).status == "too_many_pixels"
    assert status_of_header(BytesIO(data[:20]), SETTINGS) != "ok"


def test_a_file_without_bytes_has_no_header():
    assert status_of_header(BytesIO(b""), SETTINGS) == "empty"
