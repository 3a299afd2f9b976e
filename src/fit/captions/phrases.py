"""The phrases that mention concepts: their names and aliases as tokens, and what is doubtful about them."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fit.concepts.analyzer import END, Analyzer
from fit.concepts.sheet import Concept
from fit.errors import SheetError


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
    phrase_of: list[str] = field(default_factory=list)
    """[names] tokens of each name as it is written, with spaces between them: no token has a space."""
    names_of: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Phrase -> the names that it is, in any of their forms. Flat, since a trie of dicts takes four times the room."""
    lengths: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Token -> how many tokens the phrases have that begin with it."""

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
                forms: dict[str, str] = {}
                for form in reversed(normal_forms(name)):
                    tokens = analyzer.tokens(form)
                    if not tokens:
                        raise SheetError(
                            f"concept {concept.slug!r}: the name {name!r} has no letter or digit, so no caption can "
                            "mention it; correct it in the sheet"
                        )
                    forms[" ".join(tokens)] = form
                new = {
                    phrase: form
                    for phrase, form in forms.items()
                    if all(concept_of[other] != index for other in phrases.names_of.get(phrase, ()))
                }
                if not new:
                    continue
                for phrase, form in new.items():
                    phrases._add(phrase, len(phrases.names))
                    if form != name:
                        phrases.other_forms.append((form, len(phrases.names)))
                phrases.names.append(name)
                phrases.phrase_of.append(next(phrase for phrase, form in forms.items() if form == name))
                concept_of.append(index)
        phrases.concept_of = np.array(concept_of, np.int64)
        return phrases

    def _add(self, phrase: str, name: int) -> None:
        """Enter one more name that `phrase` is."""
        self.names_of[phrase] = (*self.names_of.get(phrase, ()), name)
        first, *others = phrase.split(" ")
        known = self.lengths.get(first, ())
        if len(others) + 1 not in known:
            self.lengths[first] = (*known, len(others) + 1)

    def named_in(self, tokens: Sequence[str]) -> tuple[list[int], list[int]]:
        """Find the names whose phrases occur in `tokens`.

        Args:
            tokens: with END after the tokens of each text.

        Returns:
            (texts, names): which text has which name, lists of indices; a name that a text repeats is repeated.
        """
        texts: list[int] = []
        names: list[int] = []
        text = 0
        for start, token in enumerate(tokens):
            if token == END:
                text += 1
            for length in self.lengths.get(token, ()):
                for name in self.names_of.get(" ".join(tokens[start : start + length]), ()):
                    texts.append(text)
                    names.append(name)
        return texts, names

    def overlaps(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Find the names that other concepts' captions count for, and the reverse.

        Returns:
            (same_as, contains): name -> list of the names of other concepts that are the same phrase, and that are
            part of it. Names without any are left out.
        """
        same_as: dict[int, list[int]] = {}
        contains: dict[int, list[int]] = {}
        tokens = [token for phrase in self.phrase_of for token in (*phrase.split(" "), END)]
        found = [np.array(places, np.int64) for places in self.named_in(tokens)]
        others = self.concept_of[found[0]] != self.concept_of[found[1]]
        for name, other in dict.fromkeys(zip(*(places[others].tolist() for places in found), strict=True)):
            # Compared composed: one name may be written in either form.
            is_same = self._composed(name) == self._composed(other)
            (same_as if is_same else contains).setdefault(name, []).append(other)
        return same_as, contains

    def _composed(self, name: int) -> list[str]:
        """Return the tokens of a name in NFC."""
        return self.analyzer.tokens(unicodedata.normalize("NFC", self.names[name]))
