"""Pictures and counts that someone already has, in the place of those that the workflow would make."""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fit.errors import DataError, say_once
from fit.images.collect import gather
from fit.images.settings import DecodeSettings
from fit.images.sources import ImageSource, Link, LocalImages
from fit.images.table import GENERATED, bytes_of, find_pictures
from fit.io.files import outside
from fit.io.folders import LARGEST_FILE, PICTURES, printable, walk_folder
from fit.io.nearby import near, nearest
from fit.io.parquet import ROW_GROUP, check_columns, is_text, open_parquet
from fit.io.shown import number_of, shown
from fit.io.user_tables import misspelt


@dataclass(frozen=True)
class LocalLink(Link):
    """A picture that a user gives."""

    prompt: str = ""
    """What a generated picture was made of, empty where that is not known."""


def files_of_concepts(folder: str | Path, concepts: Iterable[str], what: str) -> dict[str, list[str]]:
    """Find the pictures of `folder`/<slug>/, however deep.

    Links are followed (fit.io.folders.walk_folder); files that are not pictures are left out.

    Args:
        folder: with a folder per slug.
        concepts: slugs.
        what: what the folder holds, for errors.

    Returns:
        concept -> names relative to its folder, sorted; none where it has no folder.

    Raises:
        DataError: there is no such folder, or it can't be read.
    """
    if not Path(folder).is_dir():
        raise DataError(
            f"{folder}: there is no such folder of {what}; make it, with a folder per slug in it, or correct the path"
        )
    found: dict[str, list[str]] = {}
    for concept in concepts:
        place = Path(folder, concept)
        if not place.is_dir():
            if place.is_symlink():
                say_once(f"{place}: a link that leads to nothing; fix or remove it")
            found[concept] = []
            continue
        walked = walk_folder(place)
        walked.say()
        found[concept] = walked.pictures()
    return found


def _version(path: Path) -> str:
    """Return what tells this version of a file from others, so that what was made of another is not taken for it."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def links_in(folder: str | Path, names: Iterable[str]) -> list[LocalLink]:
    """Return links to the files `names` in `folder`.

    A link's id is its name (fit.io.folders.printable), its prompt the folder in that.
    """
    return [
        LocalLink(printable(name), str(path), _version(path), 0, printable(name).rpartition("/")[0])
        for name in names
        for path in [Path(folder, name)]
    ]


def read_link(link: Link) -> bytes | None:
    """Return the bytes of a file that links_in made a link of; None where it is larger than LARGEST_FILE.

    Raises:
        DataError: it can't be read.
    """
    assert link.url is not None
    try:
        return Path(link.url).read_bytes() if Path(link.url).stat().st_size <= LARGEST_FILE else None
    except OSError as error:
        raise DataError(f"{link.url}: can't be read ({error.strerror}); let this user read it, or remove it") from None


def _rows_of(
    place: str | Path, file: pq.ParquetFile, concepts: Sequence[str], sheet: Sequence[str] | None
) -> tuple[dict[str, list[int]], Counter[str]]:
    """Find which rows of a Parquet file are of which concept.

    What is of no concept is said on stderr; what is of one of another job, by the job of the sheet's first concept.

    Returns:
        (rows, others): concept -> its rows, ascending; other text in the column concept -> how many rows have it.
    """
    check_columns(file.schema_arrow, place, ["concept"], pa.schema([("concept", pa.string())]))
    rows: dict[str, list[int]] = {concept: [] for concept in concepts}
    others: Counter[str] = Counter()
    nameless = []
    for row, owner in enumerate(_cells(place, file, "concept")):
        if not owner:
            nameless.append(row)
        elif owner in rows:
            rows[owner].append(row)
        else:
            others[owner] += 1
    others = Counter({name: times for name, times in others.items() if name not in set(sheet or ())})
    if sheet is None or set(sheet[:1]) & set(concepts):
        _say_what_is_of_none(place, nameless, others, concepts, sheet)
    return rows, others


def _say_what_is_of_none(
    place: str | Path, nameless: list[int], others: Counter[str], concepts: Sequence[str], sheet: Sequence[str] | None
) -> None:
    """Name, on stderr, the rows of a file that are of no concept."""
    if nameless:
        print(
            f"fit: {place}: {number_of(len(nameless), 'row')} without a concept (the first is row {nameless[0] + 1}), "
            "so that their pictures are left out; write a slug into each",
            file=sys.stderr,
        )
    if others:
        known, named = sheet or concepts, []
        for name, times in others.most_common(5):
            meant = nearest(name, known)
            hint = f"; did you mean {meant}?" if meant else ""
            named.append(f"{shown(name)} ({number_of(times, 'row')}{hint})")
        print(
            f"fit: {place}: {number_of(sum(others.values()), 'row')} of what is not a concept "
            f"{'of the sheet' if sheet else 'given here'}, so that their pictures are left out: "
            f"{', '.join(named)}{' ...' if len(others) > 5 else ''}",
            file=sys.stderr,
        )


def _cells(place: str | Path, file: pq.ParquetFile, column: str) -> list[str | None]:
    """Return the cells of a column of text of a Parquet file, without spaces around them; None for null."""
    try:
        return [cell and cell.strip() for cell in file.read(columns=[column]).column(column).to_pylist()]
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{place}: damaged ({error}); write the file again") from None


def _texts(place: str | Path, file: pq.ParquetFile, column: str) -> list[str | None] | None:
    """Return cells as _cells does; None where there is no such column, or one of no text, which is said on stderr."""
    names = file.schema_arrow.names
    reason = ""
    if column not in names:
        near = next(
            (name for name, meant in misspelt(names, ("concept", "image_id", "prompt")).items() if meant == column), ""
        )
        reason = f"its column {shown(near)} is not read; name it {column!r} if it is that" if near else ""
    elif names.count(column) > 1:
        reason = f"its columns {column!r} are not read, as there are {names.count(column)}"
    elif not is_text(of_type := file.schema_arrow.field(column).type):
        reason = f"its column {column!r} is not read, as it holds {of_type}, not text"
    else:
        return _cells(place, file, column)
    if reason:
        print(f"fit: {place}: {reason}", file=sys.stderr)
    return None


def _ids(place: str | Path, file: pq.ParquetFile, rows: dict[str, list[int]]) -> dict[int, str]:
    """Return row -> id of its picture.

    It is that of the column image_id, where this tells a concept's pictures apart; else the slug and a number.
    """
    cells = _texts(place, file, "image_id")
    if cells is not None:
        reason = ""
        for concept, of_concept in rows.items():
            row_of: dict[str, int] = {}
            for row in of_concept:
                name = cells[row]
                if not name:
                    reason = f"row {row + 1} has none"
                elif name in row_of:
                    reason = f"rows {row_of[name] + 1} and {row + 1}{f' of {concept}' if concept else ''} both have "
                    reason += shown(name)
                row_of[name or ""] = row
        if not reason:
            return {row: cells[row] or "" for of_concept in rows.values() for row in of_concept}
        print(f"fit: {place}: its column 'image_id' is not used, as {reason}", file=sys.stderr)
    return {
        row: f"{concept or 'photograph'}-{number:04d}"
        for concept, of_concept in rows.items()
        for number, row in enumerate(of_concept)
    }


def _pictures(
    place: str | Path, file: pq.ParquetFile, column: str, wanted: Collection[int]
) -> tuple[dict[int, bytes | None], dict[int, str | None]]:
    """Return row -> bytes (or None), and row -> path (or None), of the rows `wanted` of a column of pictures."""
    data: dict[int, bytes | None] = {}
    paths: dict[int, str | None] = {}
    start = 0
    try:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if any(row in wanted for row in range(start, end)):
                first = start
                for batch in file.iter_batches(batch_size=ROW_GROUP, row_groups=[group], columns=[column]):
                    for row, some, path in zip(count(first), *bytes_of(batch.column(0))):
                        if row in wanted:
                            data[row], paths[row] = some, path
                    first += len(batch)
            start = end
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{place}: damaged ({error}); write the file again") from None
    return data, paths


_Found = tuple[ImageSource, dict[str, list[LocalLink]], Counter[str]]


def _in_table(place: str | Path, concepts: Sequence[str] | None, sheet: Sequence[str] | None = None) -> _Found:
    """Find the pictures in a Parquet file, as _links_at does.

    `concepts` is None where it has no column concept; the links are those of "" then.
    """
    file = open_parquet(place)
    column = find_pictures(file.schema_arrow, place)
    if concepts is None:
        rows, others = {"": list(range(file.metadata.num_rows))}, Counter[str]()
    else:
        rows, others = _rows_of(place, file, concepts, sheet)
    concept_of = {row: concept for concept, of_concept in rows.items() for row in of_concept}
    data, paths = _pictures(place, file, column, set(concept_of))
    elsewhere = [row for row, some in data.items() if some is None and paths[row]]
    if elsewhere:
        first = elsewhere[0]
        raise DataError(
            f"{place}: {number_of(len(elsewhere), 'picture', 'has')} only a path in column "
            f"{column!r}, and no bytes (the first: "
            f"{paths[first]!r}{f' of {concept_of[first]}' if concepts else ''}); write their bytes into the file"
        )
    version, id_of, prompts = _version(Path(place)), _ids(place, file, rows), _texts(place, file, "prompt")
    links = {
        concept: [LocalLink(id_of[row], None, version, row, (prompts and prompts[row]) or "") for row in of_concept]
        for concept, of_concept in rows.items()
    }
    return LocalImages(lambda link: data[link.row] or b""), links, others


def is_table(place: str | Path) -> bool:
    """Whether local pictures are in a Parquet file, rather than in a folder."""
    return not Path(place).is_dir() and str(place).lower().endswith(".parquet")


def links_at(
    place: str | Path, concepts: Iterable[str], what: str, sheet: Sequence[str] | None = None
) -> tuple[ImageSource, dict[str, list[LocalLink]]]:
    """Find local pictures, in a folder with a folder per slug, or in a Parquet file.

    A file has a column concept and one of pictures: `bytes`, `image` or `picture`, which holds bytes or Hugging Face's
    struct of bytes and path; also image_id and prompt, where it has these. Rows that are of no concept are said on
    stderr.

    Args:
        place: path of the folder or file.
        concepts: slugs.
        what: what it holds, for errors.
        sheet: slugs of the whole sheet, of which `concepts` are some; None where nothing else is looked at.

    Returns:
        (source, links): what brings them, and concept -> its links, as fit.images.collect.gather takes them. A link's
        id is the path inside the concept's folder, or the file's image_id, or made of the slug and a number.

    Raises:
        DataError, ImageTableError: it is missing, unreadable, or lacks a column.
    """
    return _links_at(place, concepts, what, sheet)[:2]


def _links_at(place: str | Path, concepts: Iterable[str], what: str, sheet: Sequence[str] | None) -> _Found:
    """Do what links_at does, and count what else the column concept of a file has, in rows."""
    if is_table(place):
        return _in_table(place, list(concepts), sheet)
    files = files_of_concepts(place, concepts, what)
    links = {concept: links_in(Path(place, concept), names) for concept, names in files.items()}
    return LocalImages(read_link), links, Counter[str]()


def _say_what_else(folder: Path) -> str:
    """Say what files there are in a folder without pictures, in brackets; nothing where there is none."""
    endings = Counter(Path(name).suffix or "no suffix" for name in walk_folder(folder).names) if folder.is_dir() else {}
    return f" (it has files that end in {', '.join(sorted(endings)[:4])})" if endings else ""


def import_images(
    place: str | Path,
    concepts: Iterable[str],
    out: str | Path,
    *,
    what: str,
    work: str | Path,
    decoding: DecodeSettings,
    decoders: int,
    none_too: bool = False,
    sheet: Sequence[str] | None = None,
) -> None:
    """Make an image table of the schema COLLECTED of local pictures.

    Args:
        place: as links_at takes it.
        concepts: slugs, in the order of the table.
        out: path of the table to write.
        what: "training images" or the like, for errors.
        work, decoding, decoders: as fit.images.collect.gather takes them.
        none_too: whether an empty folder says that a concept has no picture; the table has no row of it then.
        sheet: as links_at takes it.

    Raises:
        DataError: as links_at, and for a concept without any picture.
    """
    source, links = _found(place, list(concepts), what, work, none_too, sheet)
    identity = [what, str(place)]
    gather(source, links, _getter(links), out, work=work, identity=identity, decoding=decoding, decoders=decoders)


def _getter(links: dict[str, list[LocalLink]]) -> Callable[[str | None], Sequence[Link]]:
    return lambda concept: links[concept or ""]


def _found(
    place: str | Path,
    concepts: Sequence[str],
    what: str,
    work: str | Path,
    none_too: bool,
    sheet: Sequence[str] | None,
) -> tuple[ImageSource, dict[str, list[LocalLink]]]:
    """Find local pictures as links_at does, and check that each concept has some; see import_images."""
    if Path(place).is_dir():
        outside(work, [Path(place, concept) for concept in concepts])
    source, links, others = _links_at(place, concepts, what, sheet)
    for concept, of_concept in links.items():
        if not of_concept and is_table(place):
            other = nearest(concept, others)
            meant = f" (is {shown(other)} of it? write {concept!r} there)" if other else ""
            raise DataError(
                f"{place}: no {what} of {concept!r}{meant}; add rows with {concept!r} in the column concept, or take "
                "it off the sheet"
            )
        folder = Path(place, concept)
        if not of_concept and not (none_too and folder.is_dir() and not _say_what_else(folder)):
            none = ", leave the folder empty if there are none" if none_too else ""
            other = None if folder.is_dir() or not Path(place).is_dir() else near(folder)
            meant = f" (is {other} of it? name it {concept})" if other else ""
            raise DataError(
                f"{place}: no {what} of {concept!r}{_say_what_else(folder)}{meant}; put "
                f"{', '.join(PICTURES[:4])} files into {folder}{none}, or take the concept off the sheet"
            )
    return source, links


def import_photographs(
    place: str | Path, out: str | Path, *, work: str | Path, decoding: DecodeSettings, decoders: int
) -> None:
    """Make an image table of the schema COLLECTED of ordinary photographs, which are of no concept.

    Args:
        place: path of a folder, which is read however deep, or of a Parquet file as links_at takes it, without the
            column concept.
        out: path of the table to write.
        work, decoding, decoders: as import_images takes them.

    Raises:
        DataError, ImageTableError: as links_at; or there is no photograph.
    """
    if is_table(place):
        source, links, _ = _in_table(place, None)
    else:
        if not Path(place).is_dir():
            raise DataError(f"{place}: there is no such folder of photographs; make it, or correct the path")
        outside(work, [place])
        walked = walk_folder(place)
        walked.say()
        source, links = LocalImages(read_link), {"": links_in(place, walked.pictures())}
    if not links[""]:
        raise DataError(
            f"{place}: no photographs{_say_what_else(Path(place))}; put {', '.join(PICTURES[:4])} files into it"
        )
    identity = ["photographs", str(place)]
    gather(source, [None], _getter(links), out, work=work, identity=identity, decoding=decoding, decoders=decoders)


def import_generated(
    place: str | Path,
    concepts: Iterable[str],
    out: str | Path,
    *,
    work: str | Path,
    decoding: DecodeSettings,
    decoders: int,
    sheet: Sequence[str] | None = None,
) -> dict[str, int]:
    """Make a table of the schema GENERATED of local pictures; those that can't be decoded are left out and counted.

    A picture's prompt is the folder that it lies in inside the concept's folder, or the cell of a file's column prompt;
    all are of one, where there is none.

    Args:
        place, concepts, out, work, decoding, decoders, sheet: as import_images takes them.

    Returns:
        Concept -> how many pictures could not be decoded, without those of which all could.
    """
    what = "generated images"
    source, links = _found(place, list(concepts), what, work, False, sheet)
    bad: dict[str, int] = {}

    def as_generated(concept: str | None, rows: Iterator[pa.Table]) -> Iterator[pa.Table]:
        of_concept = concept or ""
        prompt_of = {link.image_id: link.prompt for link in links[of_concept]}
        index = 0
        for row in (row.to_pylist()[0] for row in rows):
            if row["status"] != "ok":
                bad[of_concept] = bad.get(of_concept, 0) + 1
                continue
            prompt = prompt_of[row["image_id"]]
            made = {"concept": concept, "image_id": row["image_id"], "prompt": prompt, "index": index, "status": "ok"}
            yield pa.Table.from_pylist([made | {"seed": None, "bytes": row["bytes"]}], schema=GENERATED)
            index += 1

    gather(
        source,
        links,
        _getter(links),
        out,
        work=work,
        identity=[what, str(place)],
        decoding=decoding,
        decoders=decoders,
        schema=GENERATED,
        convert=as_generated,
    )
    return bad
