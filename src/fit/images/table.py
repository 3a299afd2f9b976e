"""The image table: a Parquet file in which a row is an image, or the reason why there is none.

Every image table has the columns `image_id` and `bytes`; collected ones also `status` ("ok", or why `bytes` is null).
Those that FIT writes have the column `concept` too, and may hold several concepts, one after the other. A user's own
may lack it. Row groups are small, and of one concept, so that pictures stream.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from fit.errors import ImageTableError
from fit.io.concept_tables import CONCEPT
from fit.io.files import WorkFolder, atomic_write
from fit.io.nearby import nearest
from fit.io.parquet import ROW_GROUP, check_columns, kind_of_column, open_parquet, read
from fit.io.shown import number_of, plain

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
"""status: "ok", or why there is no picture (fit.images.fetch.Fetched and fit.images.picture.STATUSES say which there
are); http_status: the last answer's code, null without one; sha256: of the bytes as they came, perceptual_hash: 16 hex
digits, both null without a picture."""
REFERENCES = pa.schema(
    [CONCEPT, ("image_id", pa.string()), ("kept", pa.bool_()), ("decision", pa.string()), ("bytes", pa.binary())]
)
"""decision: "kept", or why not: "vetoed", "less alike", "no single face", "too few references", or COLLECTED's
status."""
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
"""status: "ok", or why there is no picture: "nan", "black", "constant" or "blocked" (GeneratedImage in
fit.generated.base)."""


def _is_of_bytes(of_type: pa.DataType) -> bool:
    return kind_of_column(of_type) == "bytes" or pa.types.is_fixed_size_binary(of_type) or pa.types.is_null(of_type)


def _is_of_pictures(of_type: pa.DataType) -> bool:
    """Whether a column of an Arrow type holds pictures: bytes, or Hugging Face's struct of bytes and path."""
    if pa.types.is_struct(of_type):
        return "bytes" in {field.name for field in of_type} and _is_of_bytes(of_type.field("bytes").type)
    return _is_of_bytes(of_type)


OF_CAPTIONS = ("image", "bytes", "picture")
"""Columns that may hold the pictures in files of captions; the first that is there does."""


def find_pictures(schema: pa.Schema, path: str | Path, names: Iterable[str] = ("bytes", "image", "picture")) -> str:
    """Return the column of an Arrow schema that holds pictures: the first of `names` that is there.

    Raises:
        ImageTableError: there is none, two have its name, or it holds something else.
    """
    column = next((name for name in names if name in schema.names), None)
    if column is None:
        raise ImageTableError(
            f"{path}: no column of pictures, {' or '.join(names)}; it has {', '.join(schema.names)}; "
            "give one with the bytes of image files (JPEG, PNG ...) in a column of this name"
        )
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


def bytes_of(column: pa.Array | pa.ChunkedArray) -> tuple[list[bytes | None], list[str | None]]:
    """Return the pictures of an Arrow column that find_pictures found.

    Returns:
        (data, paths), a list each: the bytes of each row, None without; the path of each row, where it has one.
    """
    rows = column.to_pylist()
    if not pa.types.is_struct(column.type):
        return rows, [None] * len(rows)
    return [row and row["bytes"] for row in rows], [row and row.get("path") for row in rows]


def open_table(path: str | Path) -> pq.ParquetFile:
    """Open the image table `path`, of which nothing but the metadata has been read.

    Raises:
        ImageTableError: the file is not an image table.
    """
    file = open_parquet(path)
    for column in ("image_id", "bytes"):
        if column not in file.schema_arrow.names:
            raise ImageTableError(f"{path}: no column {column!r}, so this is not an image table")
    check_columns(file.schema_arrow, path, ["image_id"], COLLECTED)
    find_pictures(file.schema_arrow, path, ("bytes",))
    return file


def check_concept(path: str | Path, concept: str) -> None:
    """Check that an image table has a row of a concept.

    Raises:
        ImageTableError: it has none, or no column `concept`.
    """
    there = list(dict.fromkeys(read(path, ["concept"], schema=COLLECTED).column("concept").to_pylist()))
    if concept not in there:
        other = nearest(concept, filter(None, there))
        meant = f"did you mean {other!r}?" if other else f"it has {plain(there, 5)}"
        raise ImageTableError(f"{path}: no row is of the concept {concept!r}; {meant}")


def _is_of(file: pq.ParquetFile, concept: str | None) -> np.ndarray:
    """Return [N] bool: which rows of an open image table are of a concept; None: all."""
    if concept is None:
        return np.ones(file.metadata.num_rows, bool)
    return np.array([one == concept for one in file.read(["concept"]).column("concept").to_pylist()], bool)


def _stream_rows(
    path: str | Path, batch_size: int, concept: str | None
) -> Iterator[list[tuple[str | None, str, bytes]]]:
    """Yield (concept, image_id, bytes) of the rows of an image table that have bytes, some at a time."""
    file = open_table(path)
    columns = [name for name in ("concept", "image_id", "bytes") if name in file.schema_arrow.names]
    wanted, start = _is_of(file, concept), 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        if wanted[start:end].any():
            for batch in file.iter_batches(batch_size=batch_size, row_groups=[group], columns=columns):
                images, _ = bytes_of(batch.column("bytes"))
                names, here = batch.column("image_id").to_pylist(), wanted[start : start + len(batch)]
                concepts = batch.column("concept").to_pylist() if "concept" in columns else [None] * len(names)
                start += len(batch)
                rows = zip(concepts, names, images, here, strict=True)
                yield [(of, name, data) for of, name, data, is_wanted in rows if data and is_wanted]
        start = end


def stream(
    path: str | Path, batch_size: int = ROW_GROUP, concept: str | None = None
) -> Iterator[tuple[list[str], list[Image.Image]]]:
    """Yield (image_ids, pictures) of the rows of `path` that have bytes, some at a time; pictures are RGB.

    Args:
        path: of the image table.
        batch_size: most rows at a time.
        concept: slug of the concept whose rows are wanted; None for all.

    Raises:
        ImageTableError: the file is not an image table, or bytes in it are not a picture.
    """
    for rows in _stream_rows(path, batch_size, concept):
        yield [name for _, name, _ in rows], [decode(data, f"{path}, image {name}") for _, name, data in rows]


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


def pictures_at(path: str | Path, rows: Iterable[int]) -> dict[int, Image.Image | None]:
    """Return row -> RGB picture (None without bytes) of the rows of `path` that `rows` names.

    No other picture is decoded, and no more than a row group is in memory at once.

    Raises:
        ImageTableError: the file is not an image table, or bytes in it are not a picture.
    """
    file, rows, start = open_table(path), list(rows), 0
    found: dict[int, Image.Image | None] = {}
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


def decode(data: bytes, where: str | Path) -> Image.Image:
    """Return the RGB picture in `data` (bytes), turned as its EXIF data says. `where` names it in errors.

    Raises:
        ImageTableError: the bytes are not a picture that can be decoded.
    """
    try:
        return _upright(Image.open(BytesIO(data))).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageTableError(f"{where}: not a decodable picture ({error}); remove the file and run again") from None


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # EXIF data that can't be read, of which any exception may come, does not spoil a picture
        return picture


def encode_png(picture: Image.Image | np.ndarray) -> bytes:
    """Return PNG bytes of a PIL image, or of an array [H, W, 3] in 0..1."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    buffer = BytesIO()
    picture.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def contact_sheet(pictures: Sequence[Image.Image], columns: int, side: int = 64, gap: int = 2) -> Image.Image:
    """Return one image of `pictures` in rows of `columns`, each scaled to `side` pixels."""
    rows = -(-len(pictures) // columns)
    cell = side + gap
    sheet = Image.new("RGB", (columns * cell + gap, rows * cell + gap), "white")
    for i, picture in enumerate(pictures):
        small = picture.resize(
            (side, side), Image.Resampling.NEAREST if picture.width < side else Image.Resampling.LANCZOS
        )
        sheet.paste(small, (gap + i % columns * cell, gap + i // columns * cell))
    return sheet


_COUNTED = ("concept", "perceptual_hash", "sha256")  # of which statistics makes sums
FLAT = "0" * 16
"""The perceptual hash of every picture without any shape, such as a white page."""


def count_unique(images: pa.Table) -> int:
    """Return how many different pictures a table of COLLECTED has: copies, encoded again or resized, count once.

    Pictures are told apart by their perceptual hashes, and those without any shape by their bytes.
    """
    hashes = zip(*(images.column(name).to_pylist() for name in ("perceptual_hash", "sha256")), strict=True)
    return len({of_bytes if of_look == FLAT else of_look for of_look, of_bytes in hashes if of_look})


def statistics(path: str | Path) -> str:
    """Return how many rows of an image table have which status, as text, the most frequent first.

    Raises: as count_statuses.
    """
    found = count_statuses(path)
    lines = [f"  {count:>9,}  {status}" for status, count in found["statuses"].items()]
    several = f", {number_of(found['concepts'], 'concept')}" if found["concepts"] > 1 else ""
    unique = (
        ""
        if found["different_pictures"] is None
        else f"; {number_of(found['different_pictures'], 'different picture')}"
    )
    return "\n".join([*lines, f"  {found['rows']:>9,}  in all{several}{unique}"])


def count_statuses(path: str | Path) -> dict[str, Any]:
    """Count the rows of an image table by their status.

    Of a table of several concepts, a picture that two of them have counts for each.

    Returns:
        statuses (status -> rows, the most frequent first), rows, concepts, different_pictures (None if unknown).

    Raises:
        ImageTableError: the table has no statuses.
    """
    names = open_parquet(path).schema_arrow.names
    table = read(path, ["status", *(name for name in _COUNTED if name in names)], schema=COLLECTED)
    counts = Counter(table.column("status").to_pylist())
    concepts = set(table.column("concept").to_pylist()) if "concept" in names else {None}
    unique = None
    if "perceptual_hash" in names:
        of_concepts = (
            table.filter(pc.equal(table.column("concept"), concept)) if len(concepts) > 1 else table
            for concept in concepts
        )
        unique = sum(map(count_unique, of_concepts))
    return {
        "statuses": {str(status): count for status, count in counts.most_common()},
        "rows": len(table),
        "concepts": len(concepts),
        "different_pictures": unique,
    }


def provenance(path: str | Path) -> dict[str, Any]:
    """Return what made the pictures of a generated image table (fit.generated.base.Generator.provenance).

    Raises:
        ImageTableError: the table does not say.
    """
    found = (open_parquet(path).schema_arrow.metadata or {}).get(b"provenance")
    if found is None:
        raise ImageTableError(
            f"{path}: says nothing about what made its pictures; only `fit generated make` writes that"
        )
    return json.loads(found)


def unpack(path: str | Path, folder: str | Path, concept: str | None = None) -> int:
    """Write every picture of an image table into `folder` as a PNG file. Returns how many.

    Those of a table of several concepts are written into a folder per concept. Pictures whose names would be one file
    get a number each.

    Args:
        concept: slug of the only concept that is wanted; None for all.

    Raises:
        PlaceError: `folder` holds files that are not FIT's.
    """
    place = WorkFolder(folder, "pictures of an image table", r"(?!)", "--unpack").claim()
    names = open_table(path).schema_arrow.names
    there = set(read(path, ["concept"]).column("concept").to_pylist()) if "concept" in names else {None}
    written: Counter[Path] = Counter()
    for rows in _stream_rows(path, ROW_GROUP, concept):
        for of, name, data in rows:
            inside = place if concept or len(there) == 1 else Path(place, _file_name(of or "").strip(".") or "_")
            target = of_name = Path(inside, f"{_file_name(name)}.png")
            while target in written:
                written[of_name] += 1
                target = of_name.with_name(f"{_file_name(name)}-{written[of_name]}.png")
            written[target] += 1
            with atomic_write(target) as part:
                decode(data, f"{path}, image {name}").save(part)
    return len(written)


def _file_name(name: str) -> str:
    return name.replace("/", "_").replace(":", "_")
