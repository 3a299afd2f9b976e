"""Captions and names with which something goes wrong somewhere, for tests and benchmarks/captions.py."""

import random
import unicodedata

from captions_reference import tokens

from fit.concepts.analyzer import Analyzer, fold

MODES = [("standard", False), ("standard", True), ("words", False), ("words", True)]
"""Ways to cut a text into tokens, and whether accents are folded."""

# Joiners and separators, marks, scripts without spaces, letters with odd lower case or folding, emoji and their parts.
HOSTILE = (
    "aAbBzZkKsSiI019 _'\"’.:,;-#*()/&\n\t\0\u00a0\u200b\u200c\u200d\u200e\u2028\ufe0f\u20e3\u0301\u0308\u00ad©®™"
    "〰🏻😀👩🇩🇪漢々ひカｶーกำאב״ıİſΣςσßæøłđÉéÅ\u212aﬁ½²①ⅧⓂ🅰ℹ㊗㌀가ᄀ\u1161\u3099\U00016ff0‿𝚺\ufffd"
)
WORDS = ["ann", "Lee", "O'Keeffe", "van", "Gogh", "Dürer", "Émile", "3D", "José", "MARY", "st.", "saint-saëns"]


def reference_tokens(text: str, cut: str, folding: bool) -> list[str]:
    """Return the reference's tokens. It has `words` without folding only; tokens are folded, so that comes after."""
    found = tokens(text, "fold" if folding and cut == "standard" else cut)
    return [fold(token) for token in found] if folding and cut == "words" else found


def hostile_caption(names: list[str], rng: random.Random) -> str:
    """Return a caption made of names, in other letters and other company."""
    parts = []
    for _ in range(rng.randint(1, 5)):
        part = rng.choice(names) if rng.random() < 0.6 else "".join(rng.choices(HOSTILE, k=rng.randint(1, 4)))
        change = rng.choice([str.upper, str.lower, str.title, str, str, lambda t: unicodedata.normalize("NFD", t)])
        part = change(part)
        if rng.random() < 0.2:
            at = rng.randrange(len(part) + 1)
            part = part[:at] + rng.choice(HOSTILE) + part[at:]
        parts.append(part)
    return rng.choice(["", " ", " ", " - ", ", ", "\u200b", "_", "'s "]).join(parts)


def hostile_names(rng: random.Random, analyzer: Analyzer) -> list[str]:
    """Return names that have a token."""
    made = ["".join(rng.choices(HOSTILE, k=rng.randint(1, 3))) for _ in range(2)]
    made += [rng.choice([" ", "-", "'", ". ", ""]).join(rng.choices(WORDS, k=rng.randint(1, 3))) for _ in range(4)]
    return [name for name in made if analyzer.tokens(name)]
