"""Tables and captions as a program has them, brought to what the rooms read."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fit.errors import CorpusError, DataError, SheetError
from fit.io.shown import is_whole, shown

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from fit.concepts.sheet import Concept
    from fit.io.user_tables import Source

Table = Any
"""A path (CSV, TSV, Parquet), or a table in memory: polars, pandas, Arrow, or a dict of columns."""
Captions = Any
"""A path or pattern of files of captions, a folder, or a list of pathlib.Path; or captions in memory: a list of texts,
a column of polars or pandas, or a table with the column `caption`."""
Names = Any
"""The path of a concept sheet, a table like one, a list of names, or a dict of name -> its aliases."""


def as_arrow(table: Table, what: str) -> "pa.Table":
    """Return a table in memory as an Arrow table.

    Args:
        table: of polars, pandas or Arrow, or a dict of columns.
        what: what errors call it.

    Raises:
        DataError: it is something else, or its columns have different lengths.
    """
    import pyarrow as pa

    try:
        if isinstance(table, pa.Table):
            return table
        if hasattr(table, "collect_schema") and hasattr(table, "collect"):  # a lazy frame of polars
            table = table.collect()
        if isinstance(table, pa.RecordBatch):
            return pa.Table.from_batches([table])
        if hasattr(table, "columns") and hasattr(table, "to_arrow"):
            return table.to_arrow()
        if hasattr(table, "columns") and hasattr(table, "iloc"):
            return pa.Table.from_pandas(table, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        why = str(error).partition("\n")[0]
        raise DataError(f"{what}: its columns can't be read ({why}); give each column one type of cell") from None
    if isinstance(table, Mapping):
        return _of_columns(table, what)
    raise DataError(
        f"{what}: {type(table).__name__} is not a table; give a path, or a table of polars, pandas or Arrow, or a dict "
        "of columns"
    )


def _of_columns(columns: Mapping[Any, Any], what: str) -> "pa.Table":
    """Return columns as an Arrow table.

    Raises:
        DataError: one is not a list, has cells of several types, or another length; it is named.
    """
    import pyarrow as pa

    found: dict[str, pa.Array] = {}
    for name, values in columns.items():
        try:
            if isinstance(values, str | bytes):
                raise TypeError("one text")
            found[str(name)] = pa.array(list(values))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            why = str(error).partition("\n")[0]
            raise DataError(
                f"{what}: its column {str(name)!r} can't be read ({why}); give a list, with one type of cell"
            ) from None
    if len({len(values) for values in found.values()}) > 1:
        has = ", ".join(f"{name} has {len(values)}" for name, values in found.items())
        raise DataError(f"{what}: its columns have different numbers of cells ({has}); give each as many")
    return pa.table(found)


def as_source(table: Table, what: str) -> "Source":
    """Return what fit.io.user_tables.read_user_table takes for `table`; errors call one in memory `what`.

    Raises: as `as_arrow`.
    """
    if isinstance(table, str | Path):
        return table
    from fit.io.user_tables import in_memory

    return in_memory(as_arrow(table, what), what)


TEXTS = ("concept", "model", "domain", "estimator", "verdict", "kind", "reason", "sentence")
"""Columns of results that hold text, also where every cell is empty."""


def as_frame(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> "pl.DataFrame":
    """Return rows as a frame of polars with `columns`: TEXTS as text, others as numbers; a missing cell is null."""
    import polars as pl

    names = list(columns)
    cells = [[row.get(name) for name in names] for row in rows]
    types: dict[str, Any] = {name: pl.String if name in TEXTS else pl.Float64 for name in names}
    for at, name in enumerate(names):
        values = [row[at] for row in cells if row[at] is not None]
        if name not in TEXTS and values and all(isinstance(value, int) for value in values):
            types[name] = pl.Int64
    return pl.DataFrame(cells, schema=types, orient="row")


def as_concepts(names: Names) -> "list[Concept]":
    """Return the concepts that `names` names.

    Raises:
        SheetError: a name is not text, has no letter that a slug may have, or two names have one slug; or as
            fit.concepts.sheet.read_sheet.
    """
    from fit.concepts.sheet import Concept, read_sheet
    from fit.io.nearby import slug_of

    if isinstance(names, str) and not Path(names).exists():
        raise SheetError(
            f"names: {shown(names)} is taken for the path of a concept sheet, and there is no such file; give names in "
            "a list"
        )
    if isinstance(names, str | Path):
        return read_sheet(names)
    if _is_table(names) or (isinstance(names, Mapping) and "concept" in names):
        return read_sheet(as_source(names, "the sheet"))
    if isinstance(names, Mapping):
        of_names = {_text(name): _aliases(aliases) for name, aliases in names.items()}
    elif isinstance(names, Iterable) and not isinstance(names, bytes):
        of_names = {_text(name): () for name in (sorted(names, key=str) if isinstance(names, Set) else names)}
    else:
        raise SheetError(f"names: {type(names).__name__} is not names; give a list of names, or the path of a sheet")
    if not of_names:
        raise SheetError("names: there is none; give one or more")
    name_of: dict[str, str] = {}
    for name in of_names:
        slug = slug_of(name)
        if not slug:
            raise SheetError(f"names: {name!r} has no letter a-z and no digit for a slug; give a sheet with its slug")
        if slug in name_of:
            raise SheetError(
                f"names: {name!r} and {name_of[slug]!r} have the same slug, {slug!r}; give one as an alias"
            )
        name_of[slug] = name
    return [Concept(slug, name.strip(), of_names[name]) for slug, name in name_of.items()]


def _is_table(given: object) -> bool:
    """Whether something is a table of polars, pandas or Arrow: it has columns."""
    return hasattr(given, "columns")


def _text(name: object) -> str:
    """Return a name.

    Raises:
        SheetError: it is not text, or has half a character.
    """
    if not isinstance(name, str):
        raise SheetError(f"names: {shown(name)} is not text; write each name in quotation marks")
    if not is_whole(name):
        raise SheetError(f"names: {shown(name)} has half a character (a surrogate); write it again")
    return name


def _aliases(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (_text(given),)
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise SheetError(f"names: {shown(given)} is not a list of aliases; give a list of texts")
    return tuple(_text(one) for one in given)


@contextmanager
def caption_files(captions: Captions, caption_column: str, url_column: str) -> Iterator[list[str]]:
    """Yield the files of `captions`; those in memory are in a temporary file until the block ends.

    Args:
        captions: as Captions says.
        caption_column: column that has them.
        url_column: column of the images' addresses, which captions in memory may lack.

    Raises:
        CorpusError: no file is found.
        DataError: they are neither paths nor captions.
    """
    from fit.captions.sources import find_files
    from fit.io.files import temporary_folder
    from fit.io.parquet import write

    if isinstance(captions, str | Path):
        yield find_files([str(captions)])
        return
    if isinstance(captions, list | tuple) and captions and all(isinstance(one, Path) for one in captions):
        yield find_files([str(one) for one in captions])
        return
    table = _caption_table(captions, caption_column, url_column)
    if not len(table):
        raise CorpusError("the captions: there is none, since there is no row; give one or more")
    with temporary_folder(tempfile.gettempdir(), "fit-captions-") as folder:
        path = folder / "captions.parquet"
        write(table, path, 65_536)
        yield [str(path)]


def _caption_table(captions: Captions, caption_column: str, url_column: str) -> "pa.Table":
    import pyarrow as pa

    from fit.captions.sources.base import check_text

    if _is_table(captions) or isinstance(captions, Mapping):
        table = as_arrow(captions, "the captions")
        if caption_column not in table.schema.names:
            raise DataError(
                f"the captions: no column {caption_column!r} (found: {', '.join(table.schema.names)}); name it with "
                "caption_column"
            )
        if (times := table.schema.names.count(caption_column)) > 1:
            raise DataError(
                f"the captions: {times} columns are named {caption_column!r}; keep one, or rename the others"
            )
        check_text(table.schema, "the captions", caption_column)
    else:
        try:
            is_of_pandas = hasattr(captions, "iloc")  # whose missing texts are NaN
            given = captions if is_of_pandas else list(captions)
            texts = pa.array(given, pa.string(), from_pandas=is_of_pandas)
        except (pa.ArrowException, TypeError, ValueError) as error:
            why = str(error).partition("\n")[0]
            raise DataError(
                f"the captions: not a list of texts ({why}); give texts, a table with the column 'caption', or "
                "pathlib.Path objects of files"
            ) from None
        if len(given) and all(isinstance(one, str) and _names_a_file(one) for one in given):
            raise DataError(
                f"the captions: {shown(given[0])} is the name of a file; give files as pathlib.Path objects, or one as "
                "text without a list"
            )
        table = pa.table({caption_column: texts})
    if url_column not in table.schema.names:
        table = table.append_column(url_column, pa.nulls(len(table), pa.string()))
    return table


def _names_a_file(text: str) -> bool:
    """Whether a text is the path or pattern of a file of captions, as far as its ending tells."""
    from fit.captions.sources import FORMATS
    from fit.io.folders import kind_of

    return len(text) < 1000 and kind_of(text) in FORMATS
