"""What one picture is asked for where this is more than a prompt of the domain; and tables of such prompts.

A row of a table of prompts has a prompt, or a *composition* of weighted prompts ("5 * a harbour by Ada | -2.5 * a
harbour"). A prompt may have a negative prompt of its own, and a prefix of token embeddings, which is a file.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fit.concepts.sheet import Concept
from fit.errors import DataError
from fit.io.digest import sha256_of
from fit.io.shown import plain, shown
from fit.io.user_tables import UserTable, read_user_table

COLUMNS = ("concept", "prompt")
OPTIONAL = ("negative_prompt", "composition", "prefix")
_TERM = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*(.*?)\s*")
Term = tuple[float, str]
"""A weight, and a prompt."""


@dataclass(frozen=True)
class Conditioning:
    """What a picture is asked for."""

    prompt: str = ""
    """Empty where there are terms."""
    negative_prompt: str | None = None
    """None: that of the model's settings."""
    terms: tuple[Term, ...] = ()
    """Of composed guidance; empty: the usual guidance by `prompt`."""
    prefix: str = ""
    """A file of token embeddings (safetensors) that go before the prompt; "": none."""
    digest: str = ""
    """Of the contents of that file."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The prompt, or the prompts of the composition."""
        return tuple(prompt for _, prompt in self.terms) or (self.prompt,)

    @property
    def seeded_by(self) -> str:
        """The prompt, or the prompts of the composition: what a picture's seed depends on.

        Pictures that differ in weights, in the negative prompt or in the prefix begin with the same noise, so that
        a comparison of them is of pairs.
        """
        return " | ".join(self.texts)

    @property
    def label(self) -> str:
        """What stands in the column `prompt` of the pictures; two conditionings of a table have different ones."""
        prefix = f" [prefix {Path(self.prefix).stem} {self.digest[:8]}]" if self.prefix else ""
        negative = "" if self.negative_prompt is None else f" [without: {self.negative_prompt}]"
        return (composition_text(self.terms) if self.terms else self.prompt) + prefix + negative

    @property
    def is_plain(self) -> bool:
        """Whether it is a prompt and nothing else, which every generator takes."""
        return self.negative_prompt is None and not self.terms and not self.prefix


Prompt = str | Conditioning
"""What a generator that takes conditionings makes a picture of."""
Prompts = Sequence[str] | Mapping[str, Sequence[Conditioning]]
"""Templates with {name}; or concept (slug) -> what its pictures are asked for."""


def asked_texts(concept: Concept, prompts: Prompts) -> list[str]:
    """Return the texts that a concept's pictures are asked for, each once; of a composition, each of its prompts.

    Args:
        concept: whose.
        prompts: of all concepts; the name is filled into templates.
    """
    if isinstance(prompts, Mapping):
        return list(dict.fromkeys(text for one in prompts[concept.slug] for text in one.texts))
    return list(dict.fromkeys(prompt.format(name=concept.name) for prompt in prompts))


def composition_text(terms: Iterable[Term]) -> str:
    """Return terms as a table has them; `read_composition` reads them back."""
    return " | ".join(f"{weight:g} * {prompt}" for weight, prompt in terms)


def read_composition(text: str) -> tuple[Term, ...]:
    """Return the terms of a composition: "WEIGHT * PROMPT", with " | " between two of them.

    Raises:
        ValueError: it is not one; the message says what is wrong.
    """
    terms = []
    for part in text.split("|"):
        found = _TERM.fullmatch(part)
        if not found or not math.isfinite(float(found.group(1))):
            raise ValueError(f'{shown(part.strip())} is not WEIGHT * PROMPT, such as "5 * a harbour | -2.5 * a boat"')
        terms.append((float(found.group(1)), found.group(2)))
    return tuple(terms)


def _of_row(table: UserTable, index: int) -> Conditioning:
    where, row = table.where(index), table.rows[index]
    cells = {name: (row.get(name) or "").strip() for name in ("prompt", "composition", "prefix")}
    if bool(cells["prompt"]) == bool(cells["composition"]):
        both = "both a prompt and a composition" if cells["prompt"] else "neither a prompt nor a composition"
        raise DataError(f"{where}: {both}; write one of them")
    if cells["composition"] and cells["prefix"]:
        raise DataError(f"{where}: a prefix goes before a prompt, not before a composition; take one of them out")
    negative = row.get("negative_prompt")
    try:
        terms = read_composition(cells["composition"]) if cells["composition"] else ()
    except ValueError as error:
        raise DataError(f"{where}: composition: {error}; correct it") from None
    digest = ""
    if cells["prefix"]:
        if not Path(cells["prefix"]).is_file():
            raise DataError(
                f"{where}: prefix: there is no file {cells['prefix']}; make it with `fit attacks prefix`, or correct it"
            )
        digest = sha256_of(cells["prefix"])
    # An empty cell of a text file is no negative prompt: the model's own setting.
    return Conditioning(cells["prompt"], negative or None, terms, cells["prefix"], digest)


def read_prompts(path: str | Path, concepts: Sequence[str]) -> dict[str, list[Conditioning]]:
    """Read a table of prompts: CSV, TSV or Parquet with the columns concept and prompt (which may be empty).

    Optional columns are negative_prompt, composition and prefix; others are ignored. A prompt is taken as it is: it is
    not a template.

    Args:
        path: of the table.
        concepts: slugs whose rows are wanted, others are passed over.

    Returns:
        Slug -> what its pictures are asked for, in the table's order.

    Raises:
        DataError: it can't be read, lacks a concept, or has a row twice or one that says nothing or too much.
    """
    table = read_user_table(path, COLUMNS, optional=OPTIONAL, short_rows=True)
    found: dict[str, list[Conditioning]] = {concept: [] for concept in concepts}
    rows: dict[tuple[str, str], int] = {}
    for index, row in enumerate(table.rows):
        concept = (row["concept"] or "").strip()
        if concept not in found:
            continue
        asked = _of_row(table, index)
        if (concept, asked.label) in rows:
            raise DataError(
                f"{table.where(index)}: the same prompt of {concept} as in {table.unit} "
                f"{table.lines[rows[concept, asked.label]]}; keep one, their pictures would be the same"
            )
        rows[concept, asked.label] = index
        found[concept].append(asked)
    if lacking := [concept for concept in concepts if not found[concept]]:
        raise DataError(
            f"{path}: this table of prompts has no row of {plain(lacking, 5)}; add one for each, or take them off"
        )
    return found


def as_rows(concept: str, asked: Iterable[Conditioning]) -> list[dict[str, Any]]:
    """Return rows of a table that `read_prompts` reads."""
    return [
        {
            "concept": concept,
            "prompt": one.prompt,
            "negative_prompt": one.negative_prompt or "",
            "composition": composition_text(one.terms),
            "prefix": one.prefix,
        }
        for one in asked
    ]
