"""Settings of how captions are read, counted and sampled."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """Which columns hold what, what a mention is, and how many captions of a concept are kept."""

    __pydantic_config__: ClassVar[Any] = STRICT

    caption_column: str = "caption"
    """Column (or field) with the caption."""
    url_column: str = "url"
    """Column with the image's address."""
    columns: list[str] = field(default_factory=list)
    """Other columns to carry into the matched captions, as text: width, similarity, hash ..."""
    tokens: Literal["standard", "words"] = "standard"
    """What a name is compared with: the tokens of Elasticsearch's standard analyzer (the paper's; "Picasso's" does not
    mention Picasso), or runs of letters and digits (it does). An index has its own analyzer."""
    fold_accents: bool = False
    """Whether "Durer" mentions Dürer."""
    max_matched_captions: Annotated[int, Ge(0), Le(10**9)] = 100_000
    """Largest sample of captions per concept whose images are collected; 0 for a corpus that is only counted."""


MATCHED_COLUMNS = ("concept", "shard", "row", "url", "caption")
"""Columns that every table of matched captions has (fit.captions.tables.MATCHED, which takes longer to import)."""


def column_problem(settings: SamplingSettings) -> str | None:
    """Return what is wrong with the further columns that are carried along; None if nothing is."""
    for name in settings.columns:
        if list(settings.columns).count(name) > 1:
            return f"the column {name!r} is named twice in `columns`; name each once"
        if name in (settings.caption_column, settings.url_column):
            return f"the column {name!r} is kept anyway, as the caption or the address; take it off `columns`"
        if name in MATCHED_COLUMNS:
            own = f"matched captions have a column {name!r} of their own"
            return f"{own}; take it off `columns`, or rename it in the corpus"
    return None


@dataclass(frozen=True, kw_only=True)
class ReadingSettings:
    """How files of captions are read."""

    __pydantic_config__: ClassVar[Any] = STRICT

    encoding: str = "utf-8"
    """Of text files (CSV, TSV, JSON lines): utf-8, windows-1252, latin-1, utf-16 ... A byte order mark overrides it."""
    on_bad_shard: Literal["fail", "skip"] = "fail"
    """What a broken or missing file leads to: an error, or counts without it, which say so."""
