"""Says why a caption mentions a name, or why not."""

from collections.abc import Sequence

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


def explain(name: str, caption: str) -> str:
    """Say how each analyzer sees a name and a caption."""
    lines = []
    for tokens in TOKENS:
        for fold_accents in (False, True):
            analyzer = Analyzer(tokens, fold_accents)
            of_name, of_caption = analyzer.tokens(name), analyzer.tokens(caption)
            lines += [
                f"{tokens}, {'accents folded' if fold_accents else 'accents kept'}",
                f"  name     {' | '.join(of_name)}",
                f"  caption  {' | '.join(of_caption)}",
                f"  mention  {_reason(of_name, of_caption)}",
            ]
    return "\n".join(lines)
