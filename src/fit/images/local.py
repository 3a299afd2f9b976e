"""Pictures and counts that someone already has, in the place of those that the workflow would make."""

import sys
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa

from fit.errors import DataError, say_once
from fit.images.collect import Link, LocalImages, gather
from fit.images.table import COLLECTED, GENERATED, bytes_of, find_pictures
from fit.io.files import outside
from fit.io.folders import LARGEST_FILE, PICTURES, printable, walk_folder
from fit.io.nearby import near, nearest
from fit.io.parquet import ROW_GROUP, check_columns, is_text, open_parquet, read, write
from fit.io.user_tables import as_count, misspelt, once, plain, read_user_table, shown


@dataclass(frozen=True)
class LocalLink(Link):
    """A picture that a user gives."""

    prompt: str = ""
    """What a generated picture was made of, empty where that is not known."""


def files_of_concepts(folder, concepts, what):
    """The pictures of `folder`/<slug>/, however deep: concept (slug) -> names relative to it, sorted; none where it has
    no folder. Links are followed (fit.io.folders.walk_folder); files that are no pictures are left out.

    `what` says in errors what the folder holds.

    Raises:
        DataError: there is no such folder, or it can't be read.
    """
    if not Path(folder).is_dir():
        raise DataError(
            f"{folder}: there is no such folder of {what}; make it, a folder per slug in it, or mend the path"
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


def _version(path):
    """Tells this version of a file from others, so that what was made of another is not taken for it."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def links_in(folder, names):
    """A list of LocalLink to the files `names` in `folder`; a link's id is its name (fit.io.folders.printable), its prompt
    the folder in that."""
    return [
        LocalLink(printable(name), str(path), _version(path), 0, printable(name).rpartition("/")[0])
        for name in names
        for path in [Path(folder, name)]
    ]


def read_link(link):
    """The bytes of a file that links_in made a link of; None where it is larger than LARGEST_FILE.

    Raises:
        DataError: it can't be read.
    """
    try:
        return Path(link.url).read_bytes() if Path(link.url).stat().st_size <= LARGEST_FILE else None
    except OSError as error:
        raise DataError(f"{link.url}: can't be read ({error.strerror}); let this user read it, or remove it") from None


def _named(count, what):
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _rows_of(place, file, concepts, sheet):
    """(Concept -> its rows in a Parquet file, ascending; other text in the column concept -> how many rows have it).

    What is of no concept is said on stderr; what is of one of another job, by the job of the sheet's first concept.
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
        if nameless:
            print(
                f"fit: {place}: {_named(len(nameless), 'row')} without a concept (the first is row {nameless[0] + 1}), "
                "so that their pictures are left out; write a slug into each",
                file=sys.stderr,
            )
        if others:
            known, shown_ones = sheet or concepts, []
            for name, times in others.most_common(5):
                meant = nearest(name, known)
                hint = f"; did you mean {meant}?" if meant else ""
                shown_ones.append(f"{shown(name)} ({_named(times, 'row')}{hint})")
            print(
                f"fit: {place}: {_named(sum(others.values()), 'row')} of what is not a concept "
                f"{'of the sheet' if sheet else 'given here'}, so that their pictures are left out: "
                f"{', '.join(shown_ones)}{' ...' if len(others) > 5 else ''}",
                file=sys.stderr,
            )
    return rows, others


def _cells(place, file, column):
    """The cells of a column of text of a Parquet file, without spaces around them; None for null."""
    try:
        return [cell and cell.strip() for cell in file.read(columns=[column]).column(column).to_pylist()]
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{place}: damaged ({error}); write the file again") from None


def _texts(place, file, column):
    """As _cells, None where there is no such column, or one of something else, which is said on stderr."""
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


def _ids(place, file, rows):
    """Row -> id of its picture: of the column image_id, where it tells a concept's pictures apart, else the slug and a
    number."""
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
            return {row: cells[row] for of_concept in rows.values() for row in of_concept}
        print(f"fit: {place}: its column 'image_id' is not used, as {reason}", file=sys.stderr)
    return {
        row: f"{concept or 'photograph'}-{number:04d}"
        for concept, of_concept in rows.items()
        for number, row in enumerate(of_concept)
    }


def _pictures(place, file, column, wanted):
    """Row -> bytes (or None), and row -> path (or None), of the rows `wanted` (a set) of a column of pictures."""
    data, paths, start = {}, {}, 0
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


def _in_table(place, concepts, sheet=None):
    """(source, links, others) of a Parquet file, as _links_at has them; concepts: None where it has no column concept
    and all are of one."""
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
            f"{place}: {len(elsewhere)} pictures have only a path in column {column!r}, and no bytes (the first: "
            f"{paths[first]!r}{f' of {concept_of[first]}' if concepts else ''}); write their bytes into the file"
        )
    version, id_of, prompts = _version(Path(place)), _ids(place, file, rows), _texts(place, file, "prompt")
    links = {
        concept: [LocalLink(id_of[row], None, version, row, (prompts and prompts[row]) or "") for row in of_concept]
        for concept, of_concept in rows.items()
    }
    return LocalImages(lambda link: data[link.row] or b""), links, others


def is_table(place):
    """Whether pictures at hand are in a Parquet file, rather than in a folder."""
    return not Path(place).is_dir() and str(place).lower().endswith(".parquet")


def links_at(place, concepts, what, sheet=None):
    """Pictures at hand, in a folder with a folder per slug, or in a Parquet file with a column concept and one of
    pictures: `bytes`, `image` or `picture`, which holds bytes or Hugging Face's struct of bytes and path; also image_id
    and prompt, where it has these. Rows of a file that are of no concept are said on stderr.

    Args:
        place: path of the folder or file; concepts: slugs; what: what it holds, for errors.
        sheet: slugs of the whole sheet, of which `concepts` are some; None where nothing else is looked at.

    Returns:
        (source, links): an ImageSource, and concept -> list of LocalLink, as fit.images.collect.gather takes them. A
        link's id is the path inside the concept's folder, or the file's image_id, or made of the slug and a number.

    Raises:
        DataError, ImageTableError: it is missing, unreadable, or lacks a column.
    """
    return _links_at(place, concepts, what, sheet)[:2]


def _links_at(place, concepts, what, sheet):
    """links_at, and what else the column concept of a file has, a Counter of rows."""
    if is_table(place):
        return _in_table(place, list(concepts), sheet)
    files = files_of_concepts(place, concepts, what)
    links = {concept: links_in(Path(place, concept), names) for concept, names in files.items()}
    return LocalImages(read_link), links, Counter[str]()


def _say_what_else(folder):
    """What files there are in a folder without pictures, in brackets; nothing where there is none."""
    endings = Counter(Path(name).suffix or "no suffix" for name in walk_folder(folder).names) if folder.is_dir() else {}
    return f" (it has files that end in {', '.join(sorted(endings)[:4])})" if endings else ""


def import_images(place, targets, *, what, work, limits, none_too=False, sheet=None):
    """Make image tables of pictures at hand.

    Args:
        place: as links_at takes it; targets: concept (slug) -> path of the table of schema COLLECTED to write.
        what: "training images" or the like, for errors.
        work, limits: as fit.images.collect.gather takes them.
        none_too: whether an empty folder says that a concept has no picture; its table has no row then.
        sheet: as links_at takes it.

    Returns:
        Concept -> list of LocalLink, of each row of its table.

    Raises:
        DataError: as links_at, and for a concept without any picture.
    """
    if Path(place).is_dir():
        outside(work, [Path(place, concept) for concept in targets])
    source, links, others = _links_at(place, list(targets), what, sheet)
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
    gather(source, links, targets, work=work, identity=[what, str(place)], limits=limits)
    return links


def import_photographs(place, target, *, work, limits):
    """Make an image table of ordinary photographs: of a folder, however deep, or of a Parquet file as links_at takes
    it, without the column concept.

    Args:
        place: path of the folder or file; target: path of the table of schema COLLECTED to write.
        work, limits: as import_images takes them.

    Raises:
        DataError, ImageTableError: as links_at; or there is no photograph.
    """
    if is_table(place):
        source, links, _ = _in_table(place, None)
        of_all = links[""]
    else:
        if not Path(place).is_dir():
            raise DataError(f"{place}: there is no such folder of photographs; make it, or mend the path")
        outside(work, [place])
        walked = walk_folder(place)
        walked.say()
        source, of_all = LocalImages(read_link), links_in(place, walked.pictures())
    if not of_all:
        raise DataError(
            f"{place}: no photographs{_say_what_else(Path(place))}; put {', '.join(PICTURES[:4])} files into it"
        )
    name = Path(place).stem
    gather(source, {name: of_all}, {name: target}, work=work, identity=["photographs", str(place)], limits=limits)


def import_generated(place, targets, *, work, limits, sheet=None):
    """Make tables of generated images of pictures at hand; those that can't be decoded are left out and counted.

    A picture's prompt is the folder that it lies in inside the concept's folder, or the cell of a file's column prompt;
    all are of one, where there is none.

    Args:
        place, work, limits, sheet: as import_images takes them.
        targets: concept (slug) -> path of the table of schema GENERATED to write.

    Returns:
        Concept -> how many pictures could not be decoded, without those of which all could.
    """
    links = import_images(place, targets, what="generated images", work=work, limits=limits, sheet=sheet)
    bad = {}
    for concept, target in targets.items():
        prompt_of = {link.image_id: link.prompt for link in links[concept]}
        rows = read(target, COLLECTED.names).to_pylist()
        good = [row for row in rows if row["status"] == "ok"]
        if len(good) < len(rows):
            bad[concept] = len(rows) - len(good)
        made = [
            {
                "image_id": row["image_id"],
                "prompt": prompt_of[row["image_id"]],
                "index": index,
                "seed": None,
                "status": "ok",
                "bytes": row["bytes"],
            }
            for index, row in enumerate(good)
        ]
        write(pa.Table.from_pylist(made, schema=GENERATED), target)
    return bad


def read_counts(path, concepts, column="effective_count"):
    """Counts that someone already has.

    Args:
        path: CSV, TSV or Parquet with the columns concept and `column`; concepts: slugs.

    Returns:
        concept -> count.

    Raises:
        DataError: it can't be read, lacks a column or a concept, has a concept twice, or holds what is no whole count.
    """
    table = read_user_table(path, ("concept", column))
    counts = {}
    for index, concept in enumerate(once(table)):
        where = f"{table.where(index)}, concept {shown(concept)}: {column}"
        count = as_count(table.rows[index][column], where)
        if count is None:
            raise DataError(f"{where} is empty, not a count; write 0 where there is none")
        counts[concept] = count
    missing = [concept for concept in concepts if concept not in counts]
    others = [concept for concept in counts if concept not in set(concepts)]
    if missing:
        meant = [f"{plain([other])} for {concept}" for concept in missing[:5] if (other := nearest(concept, others))]
        said = f" (it has {', '.join(meant)})" if meant else ""
        raise DataError(
            f"{path}: no count of {', '.join(missing[:5])}{said}; add a row for each, or take them off the sheet"
        )
    if others:
        print(
            f"fit: {path}: counts of concepts that the sheet does not have: {len(others)} ({plain(others, 5)})",
            file=sys.stderr,
        )
    return {concept: counts[concept] for concept in concepts}
