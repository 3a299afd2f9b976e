"""Which concepts a caption mentions.

A caption mentions a concept when the tokens of its name, or of an alias, occur in it one after another. Tokens are runs
of letters, marks and digits, compared without regard to case; what stands between them is ignored.
"""

import regex

from fit.errors import SheetError

_TOKEN = regex.compile(r"[\p{Alphabetic}\p{M}\p{Nd}\p{No}]+")


def tokens(text):
    """The tokens of `text`, in lower case, a list of strings."""
    return _TOKEN.findall(text.lower())


class Matcher:
    """Finds the concepts that captions mention."""

    def __init__(self, concepts):
        """Prepare for `concepts`, a list of fit.concepts.Concept.

        Raises:
            SheetError: a name or alias has no token, so no caption could mention it.
        """
        self._phrases: dict[str, dict[tuple[str, ...], set[str]]] = {}
        for concept in concepts:
            for name in concept.names:
                phrase = tuple(tokens(name))
                if not phrase:
                    raise SheetError(
                        f"concept {concept.concept!r}: the name {name!r} has no letter or digit, so no caption can "
                        "mention it; mend it in the sheet"
                    )
                self._phrases.setdefault(phrase[0], {}).setdefault(phrase, set()).add(concept.concept)

    def mentioned(self, caption):
        """The slugs of the concepts that `caption` mentions, a set."""
        found = set()
        of_caption = tokens(caption)
        for start, token in enumerate(of_caption):
            for phrase, concepts in self._phrases.get(token, {}).items():
                if tuple(of_caption[start : start + len(phrase)]) == phrase:
                    found |= concepts
        return found
