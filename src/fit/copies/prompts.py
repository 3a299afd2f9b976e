"""Which prompts are looked at: the most duplicated captions of a corpus or a user's; and some of no training image."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from fit.captions.sources import find_files, open_captions
from fit.copies.settings import PromptSettings
from fit.errors import ConfigError, CorpusError, DataError
from fit.io.parquet import write
from fit.io.shown import number_of, shown
from fit.io.user_tables import read_user_table

PROMPTS = pa.schema(
    [
        ("concept", pa.string()),
        ("caption", pa.string()),
        ("is_other", pa.bool_()),
        ("times", pa.int64()),
        ("memorised", pa.bool_()),
    ]
)
"""A row is a prompt. concept: its slug; is_other: whether it is of no training image; times: how often the corpus has
the caption, null where it was not counted; memorised: whether a user knows it to be, null where that is not known."""
KEPT = 1_000_000
"""Different captions that are counted at once."""
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def read_captions(files: Sequence[str], column: str, encoding: str) -> Iterator[pl.Series]:
    """Yield the captions of a corpus, without blanks at their ends and without empty ones, some at a time.

    Raises:
        CorpusError: a file can't be read, or has no such column.
    """
    for path in files:
        file = open_captions(path, encoding)
        file.check([column], [column])
        for batch in file.batches([column]):
            texts = pl.Series("caption", batch.column(0).cast(pa.large_string())).str.strip_chars()
            yield texts.filter((texts != "").fill_null(False))


class FrequentCaptions:
    """Counts captions in bounded memory (Misra and Gries, 1982, in the mergeable form of Agarwal et al., 2012).

    Every caption that occurs more than `missed` times is among those that are kept.
    """

    def __init__(self, kept: int = KEPT):
        """`kept`: captions that are counted at once, at least."""
        self._kept = kept
        self.counts = pl.DataFrame(schema={"caption": pl.String, "count": pl.Int64})
        """Columns caption and count; at least as many as counted, at most `missed` more than that."""
        self.missed = 0
        """How often, at most, a caption occurs that is not among them, and how many a count lacks."""

    def add(self, captions: pl.Series) -> None:
        """Count some more."""
        here = captions.to_frame("caption").group_by("caption").agg(pl.len().cast(pl.Int64).alias("count"))
        self.counts = pl.concat([self.counts, here]).group_by("caption").agg(pl.col("count").sum())
        if len(self.counts) > 2 * self._kept:
            cut = int(self.counts["count"].top_k(self._kept + 1).min())  # type: ignore[arg-type]
            self.counts = self.counts.with_columns(pl.col("count") - cut).filter(pl.col("count") > 0)
            self.missed += cut


def recombined(drawn: Sequence[str], count: int) -> list[str]:
    """Return up to `count` prompts, each the first half of the words of a caption and the second half of another's.

    Args:
        drawn: captions, in pairs; one of a single word is left out.
        count: how many prompts.
    """
    halves = [text.split() for text in drawn if len(text.split()) > 1]
    found = [
        " ".join([*one[: -(-len(one) // 2)], *other[-(-len(other) // 2) :]])
        for one, other in zip(halves[::2], halves[1::2], strict=False)
    ]
    return list(dict.fromkeys(found))[:count]


def _draw(
    files: Sequence[str], column: str, encoding: str, count: int, seed: int
) -> tuple[FrequentCaptions, list[str]]:
    """Count the captions of a corpus, and draw `count` rows at random."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    frequent = FrequentCaptions()
    sample = pl.DataFrame(schema={"key": pl.Float64, "caption": pl.String})
    for captions in read_captions(files, column, encoding):
        frequent.add(captions)
        drawn = pl.DataFrame({"key": rng.random(len(captions)), "caption": captions})
        sample = pl.concat([sample, drawn]).bottom_k(count, by="key")
    return frequent, sample.sort("key")["caption"].to_list()


def count_exactly(files: Sequence[str], column: str, encoding: str, captions: Sequence[str]) -> dict[str, int]:
    """Return caption -> how often a corpus has it."""
    found = dict.fromkeys(captions, 0)
    wanted = pl.Series(list(found), dtype=pl.String)
    for batch in read_captions(files, column, encoding):
        for caption, times in batch.filter(batch.is_in(wanted.implode())).value_counts().iter_rows():
            found[caption] += times
    return found


def read_prompts(path: str | Path) -> list[tuple[str, bool | None]]:
    """Return (caption, whether it is known to be memorised) of each row of a user's table; None: not known.

    Raises:
        DataError: it has no column `caption`, a row without one or one twice, or `memorised` is neither true nor false.
    """
    table = read_user_table(path, ["caption"], optional=["memorised"])
    found: dict[str, bool | None] = {}
    for index, row in enumerate(table.rows):
        caption = str(row["caption"] or "").strip()
        if not caption:
            raise DataError(f"{table.where(index)}: the caption is empty; write one, or take the row out")
        if caption in found:
            raise DataError(f"{table.where(index)}: {shown(caption)} is there twice; keep one of the rows")
        said = str(row.get("memorised") if row.get("memorised") is not None else "").strip().lower()
        if said and said not in (*_TRUE, *_FALSE):
            raise DataError(
                f"{table.where(index)}: `memorised` is {shown(said)}; write true or false, or nothing where it is not "
                "known"
            )
        found[caption] = said in _TRUE if said else None
    return list(found.items())


def choose_prompts(
    *,
    files: Sequence[str],
    column: str,
    encoding: str,
    settings: PromptSettings,
    seed: int,
    table: str | None = None,
    others: str | None = None,
) -> pa.Table:
    """Return the prompts to look at: a table of the schema PROMPTS.

    Args:
        files: of the corpus's captions; none, where it has no such files.
        column: with the captions.
        encoding: of text files.
        settings: how many.
        seed: of the prompts of no training image.
        table: a user's prompts; None: the most duplicated captions of the corpus.
        others: a user's prompts of no training image; None: captions of the corpus, recombined.

    Raises:
        ConfigError: there is neither a corpus nor the tables.
        CorpusError: the corpus has no caption, too few of them, or no such column.
        DataError: a user's table is not one, or a prompt is in both.
    """
    if not files and not (table and others):
        raise ConfigError(
            "config.yaml: the model's corpus has no files of captions; name tables with a column `caption`, of prompts "
            "(`copies.prompts`) and of prompts that are of no training image (`copies.other_prompts`)"
        )
    files = find_files(files)
    frequent = FrequentCaptions()
    drawn: list[str] = []
    if files and not (table and others):
        frequent, drawn = _draw(files, column, encoding, 8 * settings.others, seed)
        if not len(frequent.counts):
            raise CorpusError(
                f"{files[0]}: the corpus has no caption; check `captions.files`, or give `copies.prompts`"
            )
    if table:
        named: list[tuple[str, bool | None]] = read_prompts(table)
    else:
        # Counts of the first pass may lack `missed`: so many more are counted exactly.
        most = frequent.counts.sort(["count", "caption"], descending=[True, False]).head(20 * settings.captions)
        exact = count_exactly(files, column, encoding, most["caption"].to_list())
        named = [(text, None) for text in sorted(exact, key=lambda text: (-exact[text], text))[: settings.captions]]
        last = exact[named[-1][0]]
        if frequent.missed >= last:
            print(
                f"fit: the corpus has so many different captions that one with up to {frequent.missed} duplicates may "
                f"be missing; the last of those that are looked at has {last}",
                file=sys.stderr,
            )
    known = {text for text, _ in named}
    wanted = [text for text, _ in read_prompts(others)] if others else []
    if not others:
        made = recombined([text for text in drawn if text not in known], 4 * settings.others)
        there = count_exactly(files, column, encoding, made)
        wanted = [text for text in made if not there[text]][: settings.others]
        if len(wanted) < settings.others:
            raise CorpusError(
                f"{files[0]}: the corpus has few different captions: {number_of(len(wanted), 'prompt')} of no training "
                f"image can be made of them, and `others` is {settings.others}; name a table of such prompts "
                "(`copies.other_prompts`), or lower `others`"
            )
    if both := known & set(wanted):
        raise DataError(f"{others}: {shown(min(both))} is in `copies.prompts` too; keep it in one of them")
    times = count_exactly(files, column, encoding, [*known, *wanted]) if files else {}
    if others and (there_too := [text for text in wanted if times.get(text)]):
        raise DataError(
            f"{others}: {shown(there_too[0])} is a caption of the corpus, so there is a training image of it; take it "
            "out"
        )
    rows = [
        {
            "concept": f"{kind}-{number:05d}",
            "caption": text,
            "is_other": kind == "other",
            "times": times.get(text),
            "memorised": memorised,
        }
        for kind, prompts in (("caption", named), ("other", [(text, None) for text in wanted]))
        for number, (text, memorised) in enumerate(prompts, 1)
    ]
    return pa.Table.from_pylist(rows, schema=PROMPTS)


def write_prompts(table: pa.Table, path: str | Path) -> None:
    """Write a table of the schema PROMPTS."""
    write(table, path, row_group=65_536)
