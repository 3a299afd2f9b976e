"""Merges counts: of the same concepts in different files, or of different concepts in the same files."""

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.captions.matched_captions import merge_matched
from fit.captions.phrases import Phrases
from fit.captions.settings import SamplingSettings
from fit.captions.tables import (
    COUNTS,
    NAMES,
    SHARDS,
    CountFiles,
    check_some_row,
    counts_table,
    matched_schema,
    names_table,
    shards_table,
)
from fit.errors import DataError
from fit.io.parquet import read

_NUMBERS = ("captions", "capitalising", "in_lower_case")
"""Columns of NAMES that are counted."""


def merge_counts(parts: Sequence[CountFiles], outputs: CountFiles, sampling: SamplingSettings, seed: int = 0) -> None:
    """Merge counts of the same concepts in different files into what one pass over all of the files gives.

    Args:
        parts: the counts to merge.
        outputs: the files to write.
        sampling: as the parts were counted with.
        seed: as the parts were counted with.

    Raises:
        DataError: the parts are not of the same concepts and names, or two are of one file.
        CorpusError: none has a row.
    """
    shards = _shards_of(parts)
    tables = {kind: [read(getattr(part, kind)) for part in parts] for kind in ("counts", "names")}
    for kind, keys in (("counts", ["concept"]), ("names", ["concept", "name"])):
        for part, table in zip(parts, tables[kind], strict=True):
            if not table.select(keys).equals(tables[kind][0].select(keys)):
                raise DataError(
                    f"{getattr(part, kind)}: its concepts or names are not those of {getattr(parts[0], kind)}; "
                    "count both with the same sheet"
                )

    def total(kind: str, column: str) -> np.ndarray:
        return np.sum([table.column(column).to_numpy() for table in tables[kind]], axis=0)

    concepts = tables["counts"][0].column("concept").to_pylist()
    names = tables["names"][0]
    for column in _NUMBERS:
        names = names.set_column(names.schema.get_field_index(column), column, pa.array(total("names", column)))
    merge_matched(
        [part.matched_captions for part in parts],
        outputs.matched_captions,
        schema=matched_schema(sampling.columns, concepts),
        max_matched_captions=sampling.max_matched_captions,
        seed=seed,
    )
    outputs.write(counts_table(concepts, total("counts", "captions"), shards), names.cast(NAMES), shards)


def _shards_of(parts: Sequence[CountFiles]) -> pa.Table:
    """Return the table SHARDS of the whole; raises as merge_counts."""
    rows = [(part, row) for part in parts for row in read(part.shards, SHARDS.names, schema=SHARDS).to_pylist()]
    first: dict[str, CountFiles] = {}
    for part, row in rows:
        if row["shard"] in first:
            raise DataError(
                f"{part.shards}: {row['shard']} is counted in {first[row['shard']].shards} too; merge counts of "
                "different files, and name each part once"
            )
        first[row["shard"]] = part
    check_some_row([row for _, row in rows], is_part=False)
    return shards_table(row for _, row in rows)


def unite_concepts(
    parts: Sequence[tuple[CountFiles, Collection[str] | None]],
    outputs: CountFiles,
    sampling: SamplingSettings,
    seed: int,
    phrases: Phrases | None = None,
) -> None:
    """Bring counts of different concepts of the same files together.

    Args:
        parts: counts, and the concepts to take from each, or None for all.
        outputs: the files to write.
        sampling: as the parts were counted with.
        seed: as the parts were counted with.
        phrases: of a sheet, whose order the outputs then have.
    """

    def united(schema: pa.Schema, kind: str) -> pa.Table:
        tables = []
        for part, concepts in parts:
            table = read(getattr(part, kind), schema.names)
            if concepts is not None:
                table = table.filter(pc.is_in(table.column("concept"), pa.array(sorted(concepts), pa.string())))
            tables.append(table)
        return pa.concat_tables(tables)

    counts, names = united(COUNTS, "counts"), united(NAMES, "names")
    shards = read(parts[0][0].shards)
    if phrases:
        place = {concept: at for at, concept in enumerate(counts.column("concept").to_pylist())}
        counts = counts.take([place[concept] for concept in phrases.concepts])
        names = _in_order(names, phrases)
    merge_matched(
        [part.matched_captions for part, _ in parts],
        outputs.matched_captions,
        schema=matched_schema(sampling.columns, counts.column("concept").to_pylist()),
        max_matched_captions=sampling.max_matched_captions,
        seed=seed,
        only=[concepts for _, concepts in parts],
    )
    outputs.write(counts, names, shards)


def _in_order(names: pa.Table, phrases: Phrases) -> pa.Table:
    """Return a table NAMES in the order of a sheet; which names overlap is what its phrases say."""
    pairs = zip(names.column("concept").to_pylist(), names.column("name").to_pylist(), strict=True)
    place = {pair: at for at, pair in enumerate(pairs)}
    order = [place[phrases.concepts[c], n] for c, n in zip(phrases.concept_of, phrases.names, strict=True)]
    return names_table(phrases, *(names.column(column).take(order).to_numpy() for column in _NUMBERS))
