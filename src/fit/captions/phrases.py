"""The phrases that mention concepts: their names and aliases as tokens, and what is doubtful about them."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fit.concepts.analyzer import END, Analyzer
from fit.concepts.sheet import Concept
from fit.errors import SheetError

NAMES = None  # no token is None


def normal_forms(name: str) -> list[str]:
    """Return `name` as it is written, composed (NFC) and decomposed (NFD), without repetitions."""
    if name.isascii():
        return [name]
    return list(dict.fromkeys([name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)]))


@dataclass
class Phrases:
    """Every name of every concept, as tokens.

    A *name* is one name or alias of one concept; several names may be the same phrase.
    """

    analyzer: Analyzer
    """Cuts names and captions into tokens."""
    concepts: list[str]
    """Slugs, in the sheet's order."""
    names: list[str] = field(default_factory=list)
    """As the sheet writes them; a name whose tokens an earlier name of its concept has is left out."""
    concept_of: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """[names] int64, index of each name's concept."""
    other_forms: list[tuple[str, int]] = field(default_factory=list)
    """(a name in another normal form of Unicode, index of the name), where its tokens are others."""
    trie: dict[Any, Any] = field(default_factory=lambda: {END: {}})
    """Token -> what may follow it, a dict of the same kind, in which NAMES -> the names that end there."""

    @classmethod
    def of(cls, concepts: Sequence[Concept], analyzer: Analyzer) -> "Phrases":
        """Return the phrases of concepts.

        Raises:
            SheetError: a name or alias has no token, so no caption could mention it.
        """
        phrases = cls(analyzer, [concept.slug for concept in concepts])
        concept_of: list[int] = []
        for index, concept in enumerate(concepts):
            for name in concept.names:
                # A sheet and a caption may write one name composed (é) and decomposed (e and an accent): either counts.
                forms = {tuple(analyzer.tokens(form)): form for form in reversed(normal_forms(name))}
                if not all(forms):
                    raise SheetError(
                        f"concept {concept.slug!r}: the name {name!r} has no letter or digit, so no caption can "
                        "mention it; correct it in the sheet"
                    )
                ends = [(phrases._end_of(tokens), form) for tokens, form in forms.items()]
                new = [pair for pair in ends if all(concept_of[other] != index for other in pair[0])]
                for end, form in new:
                    end.append(len(phrases.names))
                    if form != name:
                        phrases.other_forms.append((form, len(phrases.names)))
                if new:
                    phrases.names.append(name)
                    concept_of.append(index)
        phrases.concept_of = np.array(concept_of, np.int64)
        return phrases

    def _end_of(self, tokens: Sequence[str]) -> list[int]:
        """Return the names whose phrase is `tokens`, a list to add to."""
        node = self.trie
        for token in tokens:
            node = node.setdefault(token, {})
        return node.setdefault(NAMES, [])

    def named_in(self, tokens: Sequence[str]) -> tuple[list[int], list[int]]:
        """Find the names whose phrases occur in `tokens`.

        Args:
            tokens: with END after the tokens of each text.

        Returns:
            (texts, names): which text has which name, lists of indices; a name that a text repeats is repeated.
        """
        texts: list[int] = []
        names: list[int] = []
        trie, text = self.trie, 0
        for start in [place for place, token in enumerate(tokens) if token in trie]:
            if tokens[start] == END:
                text += 1
            node, place = trie[tokens[start]], start
            while node:
                for name in node.get(NAMES, ()):
                    texts.append(text)
                    names.append(name)
                place += 1
                node = node.get(tokens[place])
        return texts, names

    def overlaps(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Find the names that other concepts' captions count for, and the reverse.

        Returns:
            (same_as, contains): name -> list of the names of other concepts that are the same phrase, and that are
            part of it. Names without any are left out.
        """
        same_as: dict[int, list[int]] = {}
        contains: dict[int, list[int]] = {}
        phrases = [tuple(self.analyzer.tokens(name)) for name in self.names]
        composed = [tuple(self.analyzer.tokens(unicodedata.normalize("NFC", name))) for name in self.names]
        for name, phrase in enumerate(phrases):
            inside = dict.fromkeys(self.named_in([*phrase, END])[1])
            others = [other for other in inside if self.concept_of[other] != self.concept_of[name]]
            # Compared composed: one name may be written in either form.
            same = [other for other in others if composed[other] == composed[name]]
            part = [other for other in others if composed[other] != composed[name]]
            if same:
                same_as[name] = same
            if part:
                contains[name] = part
        return same_as, contains
