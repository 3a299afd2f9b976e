"""The image table: a Parquet file in which a row is an image, or the reason why there is none.

Every image table has the columns `image_id` and `bytes`; collected ones also `status` ("ok", or why `bytes` is null).
Row groups are small, so that pictures stream.
"""

import json
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from fit.errors import ImageTableError
from fit.io.concept_tables import CONCEPT
from fit.io.files import WorkFolder, atomic_write
from fit.io.parquet import ROW_GROUP, check_columns, kind_of_column, open_parquet, read

COLLECTED = pa.schema(
    [
        CONCEPT,
        ("image_id", pa.string()),
        ("url", pa.string()),
        ("status", pa.string()),
        ("http_status", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("perceptual_hash", pa.string()),
        ("bytes", pa.binary()),
    ]
)
"""status: "ok", or why there is no picture (fit.images.fetch.Fetched and fit.images.decode.STATUSES say which there
are); http_status: the last answer's code, null without one; sha256: of the bytes as they came, perceptual_hash: 16 hex
digits, both null without a picture."""
REFERENCES = pa.schema(
    [CONCEPT, ("image_id", pa.string()), ("kept", pa.bool_()), ("decision", pa.string()), ("bytes", pa.binary())]
)
"""decision: "kept", or why not: "vetoed", "less alike", "no single face", "too few references", or COLLECTED's status."""
GENERATED = pa.schema(
    [
        CONCEPT,
        ("image_id", pa.string()),
        ("prompt", pa.string()),
        ("index", pa.int32()),
        ("seed", pa.int64()),
        ("status", pa.string()),
        ("bytes", pa.binary()),
    ]
)
"""status: "ok", or why there is no picture: "nan", "black" or "constant" (fit.generated.base.Made)."""


def _is_of_bytes(of_type):
    return kind_of_column(of_type) == "bytes" or pa.types.is_fixed_size_binary(of_type) or pa.types.is_null(of_type)


def _is_of_pictures(of_type):
    """Whether a column of an Arrow type holds pictures: bytes, or Hugging Face's struct of bytes and path."""
    if pa.types.is_struct(of_type):
        return "bytes" in {field.name for field in of_type} and _is_of_bytes(of_type.field("bytes").type)
    return _is_of_bytes(of_type)


def find_pictures(schema, path, names=("bytes", "image", "picture")):
    """The column of an Arrow schema that holds pictures: the first of `names` that is there.

    Raises:
        ImageTableError: there is none, two have its name, or it holds something else.
    """
    column = next((name for name in names if name in schema.names), None)
    if column is None:
        raise ImageTableError(f"{path}: no column of pictures, {' or '.join(names)}; it has {', '.join(schema.names)}")
    check_columns(schema, path, [column])
    of_type = schema.field(column).type
    if not _is_of_pictures(of_type):
        is_text = kind_of_column(of_type) == "text"
        remedy = "decode it (base64?) and write" if is_text else "write"
        raise ImageTableError(
            f"{path}: column {column!r} holds {'text' if is_text else of_type}, not pictures; {remedy} the bytes of "
            "image files (JPEG, PNG ...) as a binary column, or as struct<bytes, path>"
        )
    return column


def bytes_of(column):
    """The pictures of an Arrow column that find_pictures found.

    Returns:
        (data, paths), a list each: the bytes of each row, None without; the path of each row, where it has one.
    """
    rows = column.to_pylist()
    if not pa.types.is_struct(column.type):
        return rows, [None] * len(rows)
    return [row and row["bytes"] for row in rows], [row and row.get("path") for row in rows]


def open_table(path):
    """The image table `path` as a pyarrow.parquet.ParquetFile, of which nothing but the metadata has been read.

    Raises:
        ImageTableError: the file is no image table.
    """
    file = open_parquet(path)
    for column in ("image_id", "bytes"):
        if column not in file.schema_arrow.names:
            raise ImageTableError(f"{path}: no column {column!r}, so this is no image table")
    check_columns(file.schema_arrow, path, ["image_id"], COLLECTED)
    find_pictures(file.schema_arrow, path, ("bytes",))
    return file


def stream(path, batch_size=ROW_GROUP):
    """Yield (image_ids, pictures) of the rows of `path` that have bytes, some at a time; pictures are RGB.

    Raises:
        ImageTableError: the file is no image table, or bytes in it are no picture.
    """
    file = open_table(path)
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(batch_size=batch_size, row_groups=[group], columns=["image_id", "bytes"]):
            images, _ = bytes_of(batch.column("bytes"))
            names = batch.column("image_id").to_pylist()
            rows = [(name, data) for name, data in zip(names, images, strict=True) if data]
            yield [name for name, _ in rows], [decode(data, f"{path}, image {name}") for name, data in rows]


def _is_of(file: pq.ParquetFile, concept: str | None) -> np.ndarray:
    """Return [N] bool: which rows of an open image table are of a concept; None: all."""
    if concept is None:
        return np.ones(file.metadata.num_rows, bool)
    return np.array([one == concept for one in file.read(["concept"]).column("concept").to_pylist()], bool)


def rows_to_show(path: str | Path, concept: str | None = None) -> np.ndarray:
    """Return which rows of an image table have a picture to show: those "ok", and of references those kept.

    Args:
        concept: slug of the concept whose rows are wanted; None for all.

    Returns:
        [N] ascending: numbers of rows, counted in the whole table.
    """
    file = open_table(path)
    columns = [name for name in ("kept", "status") if name in file.schema_arrow.names]
    table = read(path, columns or ["image_id"])
    shown = _is_of(file, concept)
    for name in columns:
        shown &= np.array([value in (True, "ok") for value in table.column(name).to_pylist()], bool)
    return np.flatnonzero(shown)


def pictures_at(path, rows):
    """Row -> RGB picture (None without bytes) of the rows of `path` that `rows` names; no other is decoded, and no more
    than a row group is in memory at once.

    Raises:
        ImageTableError: the file is no image table, or bytes in it are no picture.
    """
    file, found, start = open_table(path), {}, 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        here = [row for row in rows if start <= row < end]
        if here:
            part = file.read_row_group(group, ["image_id", "bytes"]).take([row - start for row in here])
            images, _ = bytes_of(part.column("bytes"))
            for row, name, data in zip(here, part.column("image_id").to_pylist(), images, strict=True):
                found[row] = decode(data, f"{path}, image {name}") if data else None
        start = end
    return found


def decode(data, where):
    """The RGB picture in `data` (bytes), turned as its EXIF data says. `where` names it in errors.

    Raises:
        ImageTableError: the bytes are no picture that can be decoded.
    """
    try:
        return _upright(Image.open(BytesIO(data))).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageTableError(f"{where}: not a decodable picture ({error}); remove the file and run again") from None


def _upright(picture):
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # EXIF data that can't be read, of which any exception may come, does not spoil a picture
        return picture


def encode_png(picture):
    """PNG bytes of a PIL image, or of an array [H, W, 3] in 0..1."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    buffer = BytesIO()
    picture.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def contact_sheet(pictures, columns, side=64, gap=2):
    """One image of `pictures` (PIL images) in rows of `columns`, each scaled to `side` pixels."""
    rows = -(-len(pictures) // columns)
    cell = side + gap
    sheet = Image.new("RGB", (columns * cell + gap, rows * cell + gap), "white")
    for i, picture in enumerate(pictures):
        small = picture.resize(
            (side, side), Image.Resampling.NEAREST if picture.width < side else Image.Resampling.LANCZOS
        )
        sheet.paste(small, (gap + i % columns * cell, gap + i // columns * cell))
    return sheet


FLAT = "0" * 16
"""The perceptual hash of every picture without any shape, such as a white page."""


def count_unique(images):
    """How many different pictures a table of COLLECTED has: copies, encoded anew or resized, count once.

    Pictures are told apart by their perceptual hashes, and those without any shape by their bytes.
    """
    hashes = zip(*(images.column(name).to_pylist() for name in ("perceptual_hash", "sha256")), strict=True)
    return len({of_bytes if of_look == FLAT else of_look for of_look, of_bytes in hashes if of_look})


def statistics(path):
    """How many rows of an image table have which status, as text, the most frequent first.

    Raises:
        ImageTableError: the table has no statuses.
    """
    hashed = "perceptual_hash" in open_parquet(path).schema_arrow.names
    table = read(path, ["status", "perceptual_hash", "sha256"] if hashed else ["status"], schema=COLLECTED)
    counts = Counter(table.column("status").to_pylist())
    lines = [f"  {count:>9,}  {status}" for status, count in counts.most_common()]
    unique = f"; {count_unique(table):,} different pictures" if hashed else ""
    return "\n".join([*lines, f"  {len(table):>9,}  in all{unique}"])


def provenance(path):
    """What made the pictures of a generated image table: a dict (fit.generated.base.Generator.provenance).

    Raises:
        ImageTableError: the table does not say.
    """
    found = (open_parquet(path).schema_arrow.metadata or {}).get(b"provenance")
    if found is None:
        raise ImageTableError(
            f"{path}: says nothing about what made its pictures; only `fit generated make` writes that"
        )
    return json.loads(found)


def unpack(path, folder):
    """Write every picture of an image table into `folder` as a PNG file. Returns how many.

    Pictures whose names would be one file get a number each.

    Raises:
        PlaceError: `folder` holds files that are not FIT's.
    """
    place = WorkFolder(folder, "pictures of an image table", r"(?!)", "--unpack").claim()
    written: Counter[str] = Counter()
    for names, pictures in stream(path):
        for name, picture in zip(names, pictures, strict=True):
            stem = of_name = name.replace("/", "_").replace(":", "_")
            while stem in written:
                written[of_name] += 1
                stem = f"{of_name}-{written[of_name]}"
            written[stem] += 1
            with atomic_write(Path(place, f"{stem}.png")) as part:
                picture.save(part)
    return len(written)
