"""Pictures whose headers lie, and rows that do not fit the image table."""

import struct
import zlib
from io import BytesIO

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fit.images.collect import make_row
from fit.images.fitting import fitting
from fit.images.picture import MAX_SIDE, STATUSES, Picture, inspect
from fit.images.settings import DecodeSettings
from fit.images.sources import Link, Response
from fit.images.table import COLLECTED

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

SETTINGS = DecodeSettings(max_pixels=1_000_000)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
BMP = b"BM" + struct.pack("<IHHI", 45, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, -5, 1, 1, 24, 0, 0, 0, 0, 0, 0)[:31]


def png(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def encoded(format):
    buffer = BytesIO()
    Image.new("RGB", (9, 7), "teal").save(buffer, format)
    return buffer.getvalue()


@st.composite
def lying(draw):
    """A small picture with some bytes of it, mostly of its header, overwritten by extreme or random numbers."""
    data = bytearray(draw(st.sampled_from([encoded(format) for format in FORMATS])))
    extreme = [b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\x80\0\0\0"]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 300) - 1))
        lie = draw(st.sampled_from(extreme) | st.binary(min_size=1, max_size=4))
        data[at : at + len(lie)] = lie
    return bytes(data)


class InThisProcess:
    def decode(self, data):
        return inspect(data, SETTINGS)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(lying() | st.binary(max_size=200))
@example(BMP)
@example(BMP + bytes(9))
@example(png(2**32 - 1, 1))
@example(png(1, 2**32 - 1))
@example(png(2**31, 2**31))
def test_every_picture_fits_the_table_whatever_its_header_says(data):
    picture = inspect(data, SETTINGS)
    assert picture.status in STATUSES
    for side in (picture.width, picture.height):
        assert side is None or 0 <= side <= MAX_SIDE
    assert (picture.data is None) == (picture.perceptual_hash is None) == (picture.status != "ok")
    row = make_row("ann", Link("a", "http://a", "s", 0), Response("ok", data, 200), InThisProcess())
    assert row["status"] == picture.status
    pa.Table.from_pylist([row], schema=COLLECTED).validate(full=True)


@pytest.mark.parametrize(
    "unfit",
    [
        {"width": 2**31},
        {"height": -(2**31) - 1},
        {"http_status": 10**30},
        {"http_status": "200"},
        {"url": "http://\ud800"},
        {"status": "\udcff"},
        {"bytes": "text"},
    ],
)
def test_a_row_that_does_not_fit_becomes_a_status(unfit):
    fits = dict.fromkeys(COLLECTED.names) | {"image_id": "a", "status": "ok", "bytes": b"x", "sha256": "0", "width": 1}
    assert fitting(fits) is fits
    row = fitting(fits | unfit)
    assert (row["image_id"], row["status"], row["bytes"], row["sha256"]) == ("a", "does_not_fit", None, None)
    pa.Table.from_pylist([row], schema=COLLECTED)


def test_a_decoder_that_claims_the_impossible_costs_one_row_only():
    class Lying:
        def decode(self, data):
            return Picture("ok", data, 2**32 - 5, 1, "0" * 16)

    row = make_row("ann", Link("a", "http://a", "s", 0), Response("ok", b"x", 200), Lying())
    assert (row["status"], row["width"]) == ("does_not_fit", None)
