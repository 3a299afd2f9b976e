"""Prompts that are rewritten before a model sees them: the pictures stay those of the prompt that was asked for.

What is rewritten is each text that somebody asks for: the domain's prompts; of a table of prompts, the prompt of a row,
or each prompt of a composition. A row's negative prompt stays as it is: the model is led away from it, so there is
nothing to take out of it, and a name that is taken out of it would be led away from no longer. A row's prefix of
embeddings is no text, and goes before the rewritten prompt.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fit.concepts.sheet import Concept
from fit.errors import DataError
from fit.generated.base import GeneratedImage, Generator
from fit.generated.conditioning import Prompt, Prompts, asked_texts
from fit.generated.settings import ChangeSettings
from fit.io.shown import shown
from fit.io.user_tables import once, read_user_table

COLUMNS = ("prompt", "rewritten")


def _from_table(rows: Iterable[Mapping[str, str]], concept: Concept) -> dict[str, str]:
    """Return prompt -> what the rows make of it for a concept. A row with a whole text goes before one with {name}."""
    texts = [(row["prompt"] or "", (row["rewritten"] or "").replace("{name}", concept.name)) for row in rows]
    found = dict(texts)
    for prompt, rewritten in texts:
        found.setdefault(prompt.replace("{name}", concept.name), rewritten)
    return found


def rewrite_prompts(concepts: Sequence[Concept], prompts: Prompts, changes: ChangeSettings) -> dict[str, str]:
    """Return prompt -> the text that the model is given, of the prompts that are rewritten.

    The table comes first, then the rules, one after another, on what the one before made. A rule replaces a text
    wherever it is no part of a longer word. {name} is the name of the concept whose prompt it is.

    Args:
        concepts: whose prompts.
        prompts: templates with {name}; or what each concept's pictures are asked for, whose texts are no templates.
        changes: its fields that begin with `rewrite`.

    Raises:
        DataError: the table cannot be read or has a prompt twice; there is no replacement for each text of the rules;
            or two concepts have a prompt of which different texts are made.
    """
    if len(changes.rewrite_find) != len(changes.rewrite_with):
        raise DataError(
            f"--rewrite-find has {len(changes.rewrite_find)} texts and --rewrite-with {len(changes.rewrite_with)}; "
            "give as many of each"
        )
    rows: list[dict[str, Any]] = []
    if changes.rewrite_table:
        table = read_user_table(changes.rewrite_table, COLUMNS)
        once(table, "prompt")
        rows = table.rows
    found: dict[str, tuple[str, Concept]] = {}
    for concept in concepts:
        of_table = _from_table(rows, concept)
        for asked in asked_texts(concept, prompts):
            given = of_table.get(asked, asked)
            for find, text in zip(changes.rewrite_find, changes.rewrite_with, strict=True):
                given = _replaced(given, find.replace("{name}", concept.name), text.replace("{name}", concept.name))
            before, other = found.setdefault(asked, (given, concept))
            if before != given:
                raise DataError(
                    f"the prompt {shown(asked)} is one of {other.slug} and of {concept.slug}, and is rewritten to "
                    f"{shown(before)} for the one and to {shown(given)} for the other; write the names themselves in "
                    "place of {name} where prompts are rewritten, or change the prompt of one of them"
                )
    return {asked: given for asked, (given, _) in found.items() if given != asked}


def _replaced(prompt: str, find: str, text: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(find)}(?!\w)", lambda _: text, prompt, flags=re.IGNORECASE)


class Rewritten(Generator):
    """A generator that is given other texts than the prompts that it is asked for."""

    def __init__(self, generator: Generator, texts: Mapping[str, str]):
        """`texts`: prompt -> the text that `generator` gets instead; other prompts stay as they are."""
        self._generator, self._texts = generator, dict(texts)
        self.takes_conditionings = generator.takes_conditionings

    @property
    def identity(self) -> dict[str, Any]:
        """Return the generator's identity, with the texts."""
        return self._generator.identity | {"rewritten": dict(sorted(self._texts.items()))}

    def load(self) -> None:
        """Load the generator's model."""
        self._generator.load()

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[GeneratedImage]:
        """Return one picture per prompt and seed, made of the rewritten prompts."""
        return self._generator.generate([self._given(prompt) for prompt in prompts], seeds)

    def _given(self, asked: Prompt) -> Any:
        """Return what the generator gets: the texts are others; negative prompt, weights and prefix are the same."""
        if isinstance(asked, str):
            return self._texts.get(asked, asked)
        if asked.terms:
            return replace(asked, terms=tuple((weight, self._texts.get(text, text)) for weight, text in asked.terms))
        return replace(asked, prompt=self._texts.get(asked.prompt, asked.prompt))

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the generator's provenance, with the texts."""
        return self._generator.provenance | {"rewritten": dict(sorted(self._texts.items()))}
