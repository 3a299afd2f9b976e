"""Lists of concepts that others published: where each is, its checksum, and how it becomes a sheet."""

from dataclasses import dataclass
from pathlib import Path

from fit.concepts.fetch import fetch
from fit.concepts.sheet import Concept, write_sheet
from fit.errors import SheetError
from fit.io.files import make_folder, temporary_folder
from fit.io.nearby import slug_of
from fit.io.shown import shown
from fit.io.user_tables import read_user_table


@dataclass(frozen=True)
class PublicList:
    """A published table with a row per concept."""

    what: str
    """What it lists, in words."""
    url: str
    """Where it is; the address names one version of it."""
    sha256: str
    """Of the file that its sheet is made from."""
    name_column: str
    """Column that holds the names, as captions were searched for them."""


LISTS = {
    "paper-classical-artists": PublicList(
        what="the classical artists of arXiv 2410.15002, from its authors' repository (vsahil/MIMETIC-2)",
        url="https://raw.githubusercontent.com/vsahil/MIMETIC-2/04309d8034ad42b9514e76d3c932077d3db62601/"
        "art_styles/style_similarity_somepalli/final_artists_group1.csv",
        sha256="dec384a2972b253dcce7880d5d7dc434ea0da54eb7151333f2c0ebc55b44c95a",
        name_column="artist_name",
    ),
}
"""Name that `fit concepts fetch` takes -> the list."""


def concepts_of(path: str | Path, name_column: str) -> list[Concept]:
    """Return the concepts of a published table, in its order: the names as they are there, and their slugs.

    Raises:
        SheetError: the file is not such a table, a name is empty or has no letter of a slug, or two have one slug.
    """
    table = read_user_table(path, [name_column], error=SheetError)
    line_of: dict[str, int] = {}
    concepts = []
    for index, cell in enumerate(table.values(name_column)):
        name = cell.strip() if isinstance(cell, str) else ""
        slug = slug_of(name)
        if not slug:
            raise SheetError(f"{table.where(index)}: {name_column} is {shown(cell)}, not a name; correct the row")
        if slug in line_of:
            raise SheetError(
                f"{table.where(index)}: {shown(name)} has the same slug as {table.unit} {line_of[slug]}, {slug!r}; "
                "keep one of them"
            )
        line_of[slug] = table.lines[index]
        concepts.append(Concept(slug, name))
    return concepts


def fetch_list(name: str, out: str | Path, url: str = "", lists: dict[str, PublicList] = LISTS) -> int:
    """Fetch a published list, check that it is the one that is known here, and write it as a concept sheet.

    Args:
        name: one of `lists`.
        out: path of the sheet.
        url: of a copy, if not from where the list was published; it must have the same checksum.
        lists: that are known.

    Returns:
        How many concepts the sheet has.

    Raises:
        SheetError: `name` is not known, the list can't be fetched or is another, or as concepts_of raises it.
    """
    if name not in lists:
        raise SheetError(
            f"{name}: neither an address, which begins with file://, http:// or https://, nor a published list; the "
            f"lists are: {', '.join(sorted(lists))}"
        )
    known = lists[name]
    place = url or known.url
    with temporary_folder(make_folder(Path(out).parent), ".fit-list-") as inside:
        copy = inside / "list.csv"
        remedy = f"{out} was not written; give an unchanged copy of the list with --copy"
        fetch(place, known.sha256, copy, remedy)
        concepts = concepts_of(copy, known.name_column)
    write_sheet(concepts, out)
    return len(concepts)
