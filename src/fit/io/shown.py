"""Shows cells, names and ratios in messages."""

from collections.abc import Iterable

SHOWN = 80
"""Characters of a cell that an error shows."""


def shown(value: object) -> str:
    """Return `value` as an error shows it: shortened, with escapes for invisible characters, as Python writes it."""
    if isinstance(value, str) and len(value) > SHOWN:
        return f"{value[:SHOWN]!r}... ({len(value):,} characters)"
    text = repr(value)
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}..."


def plain(names: Iterable[str], most: int = 20) -> str:
    """Return names in a line, each as it is, or as `shown` returns it if it has invisible characters or is long."""
    names = [name for name in names if name]
    few = [name if name.isprintable() and len(name) <= SHOWN else shown(name) for name in names[:most]]
    return ", ".join(few) + (f" and {len(names) - most} more" if len(names) > most else "") or "nothing"


IRREGULAR = {"person": "people"}
"""Nouns whose plural is not made with -s."""
VERBS = {"has": "have", "is": "are", "was": "were", "mentions": "mention"}
"""Verb of one -> of several."""


def number_of(number: int, noun: str, verb: str = "") -> str:
    """Return a number, its noun, and a verb of theirs: "1 concept", "1,200 concepts have", "2 people".

    Args:
        number: how many.
        noun: in the singular.
        verb: of one, a key of VERBS; none if "".
    """
    if number != 1:
        noun, verb = IRREGULAR.get(noun, f"{noun}s"), VERBS[verb] if verb else ""
    return f"{number:,} {noun} {verb}".rstrip()


def ratio(value: float) -> str:
    """Return a ratio in two significant digits, without an exponent: 3.4, 12,000."""
    return f"{value:.2g}" if value < 9.95 else f"{float(f'{value:.2g}'):,.0f}"
