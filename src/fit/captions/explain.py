"""Says why a caption mentions a name, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass

from fit.captions.settings import SamplingSettings
from fit.concepts.analyzer import TOKENS, Analyzer


def _reason(name: Sequence[str], caption: Sequence[str]) -> str:
    """Say why the tokens `name` are a phrase of the tokens `caption`, or why not."""
    if not name:
        return "no: the name has no token, so no caption can mention it"
    for start in range(len(caption) - len(name) + 1):
        if caption[start : start + len(name)] == name:
            return f"yes: tokens {start + 1} to {start + len(name)}" if len(name) > 1 else f"yes: token {start + 1}"
    missing = [token for token in name if token not in caption]
    for token in missing:
        longer = next((other for other in caption if token and token in other), None)
        if longer:
            return f"no: {token!r} is only a part of the token {longer!r}"
    if missing:
        return f"no: no token {missing[0]!r}"
    return "no: its tokens do not follow one another in this order"


@dataclass(frozen=True)
class Reading:
    """How an analyzer sees a name and a caption."""

    tokens: str
    """The analyzer, a name of TOKENS."""
    fold_accents: bool
    name: list[str]
    """Tokens of the name."""
    caption: list[str]
    """Tokens of the caption."""
    mention: str
    """"yes" or "no", and why."""


def readings(name: str, caption: str) -> list[Reading]:
    """Return how each analyzer sees a name and a caption."""
    found = []
    for tokens in TOKENS:
        for fold_accents in (False, True):
            analyzer = Analyzer(tokens, fold_accents)
            of_name, of_caption = list(analyzer.tokens(name)), list(analyzer.tokens(caption))
            found.append(Reading(tokens, fold_accents, of_name, of_caption, _reason(of_name, of_caption)))
    return found


def explain(name: str, caption: str) -> str:
    """Say how each analyzer sees a name and a caption, and which of them counts if nothing else is set."""
    usual = SamplingSettings()
    counts = (usual.tokens, usual.fold_accents)
    return "\n".join(
        line
        for one in readings(name, caption)
        for line in (
            f"{one.tokens}, {'accents folded' if one.fold_accents else 'accents kept'}"
            + " (this one counts, unless set otherwise)" * ((one.tokens, one.fold_accents) == counts),
            f"  name     {' | '.join(one.name)}",
            f"  caption  {' | '.join(one.caption)}",
            f"  mention  {one.mention}",
        )
    )
