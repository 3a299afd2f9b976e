"""Prompts that are rewritten before a model sees them: the pictures stay those of the prompt that was asked for."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fit.concepts.sheet import Concept
from fit.errors import DataError
from fit.generated.base import GeneratedImage, Generator
from fit.generated.settings import ChangeSettings
from fit.io.user_tables import once, read_user_table

COLUMNS = ("prompt", "rewritten")


def _from_table(path: str, concepts: Sequence[Concept], prompts: Sequence[str]) -> dict[str, str]:
    """Return prompt -> what a table makes of it. A row whose prompt is a template stands for every concept.

    A row with the whole text of a prompt goes before one with its template.

    Raises:
        DataError: the table cannot be read, has a prompt twice, or a text with other braces than {name}.
    """
    table = read_user_table(path, COLUMNS)
    once(table, "prompt")
    found: dict[str, str] = {}
    for row in table.rows:
        for concept in concepts:
            for template in prompts:
                text = template.format(name=concept.name)
                if row["prompt"] == text or (row["prompt"] == template and text not in found):
                    found[text] = row["rewritten"].replace("{name}", concept.name)
    return found


def rewrite_prompts(concepts: Sequence[Concept], prompts: Sequence[str], changes: ChangeSettings) -> dict[str, str]:
    """Return prompt -> the text that the model is given, of the prompts that are rewritten.

    The table comes first, then the rules, one after another, on what the one before made. A rule replaces a text
    wherever it is no part of a longer word.

    Args:
        concepts: whose prompts.
        prompts: templates with {name}.
        changes: its fields that begin with `rewrite`.

    Raises:
        DataError: the table cannot be used, or there is no replacement for each text of the rules.
    """
    if len(changes.rewrite_find) != len(changes.rewrite_with):
        raise DataError(
            f"--rewrite-find has {len(changes.rewrite_find)} texts and --rewrite-with {len(changes.rewrite_with)}; "
            "give as many of each"
        )
    of_table = _from_table(changes.rewrite_table, concepts, prompts) if changes.rewrite_table else {}
    found = {}
    for concept in concepts:
        for template in prompts:
            asked = template.format(name=concept.name)
            given = of_table.get(asked, asked)
            for find, text in zip(changes.rewrite_find, changes.rewrite_with, strict=True):
                given = _replaced(given, find.replace("{name}", concept.name), text.replace("{name}", concept.name))
            if given != asked:
                found[asked] = given
    return found


def _replaced(prompt: str, find: str, text: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(find)}(?!\w)", lambda _: text, prompt, flags=re.IGNORECASE)


class Rewritten(Generator):
    """A generator that is given other texts than the prompts that it is asked for."""

    def __init__(self, generator: Generator, texts: Mapping[str, str]):
        """`texts`: prompt -> the text that `generator` gets instead; other prompts stay as they are."""
        super().__init__(generator._settings)
        self._generator, self._texts = generator, dict(texts)

    @property
    def identity(self) -> dict[str, Any]:
        """Return the generator's identity, with the texts."""
        return self._generator.identity | {"rewritten": dict(sorted(self._texts.items()))}

    def load(self) -> None:
        """Load the generator's model."""
        self._generator.load()

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[GeneratedImage]:
        """Return one picture per prompt and seed, made of the rewritten prompts."""
        return self._generator.generate([self._texts.get(prompt, prompt) for prompt in prompts], seeds)

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the generator's provenance, with the texts."""
        return self._generator.provenance | {"rewritten": dict(sorted(self._texts.items()))}
