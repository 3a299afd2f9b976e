"""Pictures and counts that someone already has, in the place of those that the workflow would make."""

from pathlib import Path

import pyarrow as pa

from fit.captions.sources.pictures import PICTURES
from fit.errors import DataError
from fit.images.collect import Given, Link, gather
from fit.images.table import COLLECTED, GENERATED, read, write
from fit.usertables import as_count, once, read_user_table


def files_of_concepts(folder, concepts, what):
    """The files of `folder`/<slug>/, however deep: concept (slug) -> sorted paths; none where it has no folder.

    `what` says in errors what the folder holds.

    Raises:
        DataError: there is no such folder, or it can't be read.
    """
    if not Path(folder).is_dir():
        raise DataError(
            f"{folder}: there is no such folder of {what}; make it, a folder per slug in it, or mend the path"
        )
    found = {}
    for concept in concepts:
        place = Path(folder, concept)
        if place.is_dir():
            try:
                next(place.iterdir(), None)
            except OSError as error:
                raise DataError(f"{place}: can't be read ({error.strerror}); let this user read it") from None
        files = (path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
        found[concept] = sorted(files, key=lambda path: path.relative_to(place).as_posix())
    return found


def links_at(place, concepts, what):
    """Pictures at hand, in a folder with a folder per slug, or in a Parquet file with the columns concept and bytes.

    Args:
        place: path of the folder or file; concepts: slugs; what: what it holds, for errors.

    Returns:
        (source, links): an ImageSource, and concept -> list of Link, as fit.images.collect.gather takes them. A link's
        id is the path inside the concept's folder, or made of the slug and a number.

    Raises:
        DataError, ImageTableError: it is missing, unreadable, or lacks a column.
    """
    if not Path(place).is_dir() and str(place).endswith(".parquet"):
        table = read(place, ["concept", "bytes"], only={"concept": list(concepts)})
        images: dict[str, bytes] = {}
        of_concepts: dict[str, list[Link]] = {concept: [] for concept in concepts}
        for concept, data in zip(*(table.column(name).to_pylist() for name in ("concept", "bytes")), strict=True):
            name = f"{concept}-{len(of_concepts[concept]):04d}"
            images[name] = data or b""
            of_concepts[concept].append(Link(name, None, "", 0))
        return Given(lambda link: images[link.image_id]), of_concepts
    files = files_of_concepts(place, concepts, what)
    links = {
        concept: [Link(path.relative_to(Path(place, concept)).as_posix(), str(path), "", 0) for path in paths]
        for concept, paths in files.items()
    }
    return Given(lambda link: Path(link.url).read_bytes()), links


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
    source, links = links_at(place, list(targets), what)
    for concept, of_concept in links.items():
        folder = Path(place, concept)
        if not of_concept and not (none_too and folder.is_dir()):
            none = ", leave the folder empty if there are none" if none_too else ""
            raise DataError(
                f"{place}: no {what} of {concept!r}; put {', '.join(PICTURES[:4])} files into {folder}{none}, or take "
                "the concept off the sheet"
            )
    gather(source, links, targets, work=work, identity=[what, str(place)], limits=limits)


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
    if missing:
        raise DataError(f"{path}: no count of {', '.join(missing[:5])}; add a row for each, or take them off the sheet")
    return {concept: counts[concept] for concept in concepts}
