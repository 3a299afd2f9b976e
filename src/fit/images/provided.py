"""Pictures and counts that someone already has, in the place of those that the workflow would make."""

import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa

from fit.errors import DataError, say_once
from fit.folders import LARGEST_FILE, PICTURES, as_text, walk_folder
from fit.images.collect import Given, Link, gather
from fit.images.table import COLLECTED, GENERATED, bytes_of, find_pictures, open_parquet, read, write
from fit.nearby import near, nearest
from fit.paths import outside
from fit.usertables import as_count, once, read_user_table


def files_of_concepts(folder, concepts, what):
    """The pictures of `folder`/<slug>/, however deep: concept (slug) -> names relative to it, sorted; none where it has
    no folder. Links are followed (fit.folders.walk_folder); files that are no pictures are left out.

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
    """A list of Link to the files `names` in `folder`; a link's id is its name (fit.folders.as_text)."""
    return [Link(as_text(name), str(Path(folder, name)), _version(Path(folder, name)), 0) for name in names]


def read_link(link):
    """The bytes of a file that links_in made a link of; None where it is larger than LARGEST_FILE.

    Raises:
        DataError: it can't be read.
    """
    try:
        return Path(link.url).read_bytes() if Path(link.url).stat().st_size <= LARGEST_FILE else None
    except OSError as error:
        raise DataError(f"{link.url}: can't be read ({error.strerror}); let this user read it, or remove it") from None


def _in_table(place, concepts):
    """links_at, for a Parquet file; concepts: None where it has no column concept and all are of one."""
    schema = open_parquet(place).schema_arrow
    column = find_pictures(schema, place)
    columns = [column] if concepts is None else ["concept", column]
    only = None if concepts is None else {"concept": list(concepts)}
    table = read(place, columns, only=only, schema=pa.schema([("concept", pa.string())]))
    data, paths = bytes_of(table.column(column))
    owners = [""] * len(data) if concepts is None else table.column("concept").to_pylist()
    elsewhere = [row for row, (some, path) in enumerate(zip(data, paths, strict=True)) if some is None and path]
    if elsewhere:
        raise DataError(
            f"{place}: {len(elsewhere)} pictures have only a path in column {column!r}, and no bytes (the first: "
            f"{paths[elsewhere[0]]!r}{f' of {owners[elsewhere[0]]}' if concepts else ''}); write their bytes into the "
            "file"
        )
    images: dict[str, bytes] = {}
    of_concepts: dict[str, list[Link]] = {concept: [] for concept in ([""] if concepts is None else concepts)}
    version = _version(Path(place))
    for concept, some in zip(owners, data, strict=True):
        name = f"{concept or 'photograph'}-{len(of_concepts[concept]):04d}"
        images[name] = some or b""
        of_concepts[concept].append(Link(name, None, version, 0))
    return Given(lambda link: images[link.image_id]), of_concepts


def is_table(place):
    """Whether pictures at hand are in a Parquet file, rather than in a folder."""
    return not Path(place).is_dir() and str(place).lower().endswith(".parquet")


def links_at(place, concepts, what):
    """Pictures at hand, in a folder with a folder per slug, or in a Parquet file with a column concept and one of
    pictures: `bytes`, `image` or `picture`, which holds bytes or Hugging Face's struct of bytes and path.

    Args:
        place: path of the folder or file; concepts: slugs; what: what it holds, for errors.

    Returns:
        (source, links): an ImageSource, and concept -> list of Link, as fit.images.collect.gather takes them. A link's
        id is the path inside the concept's folder, or made of the slug and a number.

    Raises:
        DataError, ImageTableError: it is missing, unreadable, or lacks a column.
    """
    if is_table(place):
        return _in_table(place, list(concepts))
    files = files_of_concepts(place, concepts, what)
    return Given(read_link), {concept: links_in(Path(place, concept), names) for concept, names in files.items()}


def _say_what_else(folder):
    """What files there are in a folder without pictures, in brackets; nothing where there is none."""
    endings = Counter(Path(name).suffix or "no suffix" for name in walk_folder(folder).names) if folder.is_dir() else {}
    return f" (it has files that end in {', '.join(sorted(endings)[:4])})" if endings else ""


def import_images(place, targets, *, what, work, limits, none_too=False):
    """Make image tables of pictures at hand.

    Args:
        place: as links_at takes it; targets: concept (slug) -> path of the table of schema COLLECTED to write.
        what: "training images" or the like, for errors.
        work, limits: as fit.images.collect.gather takes them.
        none_too: whether an empty folder says that a concept has no picture; its table has no row then.

    Raises:
        DataError: as links_at, and for a concept without any picture.
    """
    if Path(place).is_dir():
        outside(work, [Path(place, concept) for concept in targets])
    source, links = links_at(place, list(targets), what)
    for concept, of_concept in links.items():
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
        source, links = _in_table(place, None)
        of_all = links[""]
    else:
        if not Path(place).is_dir():
            raise DataError(f"{place}: there is no such folder of photographs; make it, or mend the path")
        outside(work, [place])
        walked = walk_folder(place)
        walked.say()
        source, of_all = Given(read_link), links_in(place, walked.pictures())
    if not of_all:
        raise DataError(
            f"{place}: no photographs{_say_what_else(Path(place))}; put {', '.join(PICTURES[:4])} files into it"
        )
    name = Path(place).stem
    gather(source, {name: of_all}, {name: target}, work=work, identity=["photographs", str(place)], limits=limits)


def import_generated(place, targets, *, work, limits):
    """Make tables of generated images of pictures at hand; those that can't be decoded are left out and counted.

    A picture's prompt is the folder that it lies in inside the concept's folder; all are of one, where there is none.

    Args:
        place, work, limits: as import_images takes them.
        targets: concept (slug) -> path of the table of schema GENERATED to write.

    Returns:
        Concept -> how many pictures could not be decoded, without those of which all could.
    """
    import_images(place, targets, what="generated images", work=work, limits=limits)
    bad = {}
    for concept, target in targets.items():
        rows = read(target, COLLECTED.names).to_pylist()
        good = [row for row in rows if row["status"] == "ok"]
        if len(good) < len(rows):
            bad[concept] = len(rows) - len(good)
        made = [
            {
                "image_id": row["image_id"],
                "prompt": row["image_id"].rpartition("/")[0],
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
        where = f"{table.where(index)}, concept {concept!r}: {column}"
        count = as_count(table.rows[index][column], where)
        if count is None:
            raise DataError(f"{where} is empty, not a count; write 0 where there is none")
        counts[concept] = count
    missing = [concept for concept in concepts if concept not in counts]
    others = [concept for concept in counts if concept not in set(concepts)]
    if missing:
        meant = [f"{other} for {concept}" for concept in missing[:5] if (other := nearest(concept, others))]
        said = f" (it has {', '.join(meant)})" if meant else ""
        raise DataError(
            f"{path}: no count of {', '.join(missing[:5])}{said}; add a row for each, or take them off the sheet"
        )
    if others:
        some = ", ".join(others[:5]) + (" ..." if len(others) > 5 else "")
        print(f"fit: {path}: counts of concepts that the sheet does not have: {len(others)} ({some})", file=sys.stderr)
    return {concept: counts[concept] for concept in concepts}
