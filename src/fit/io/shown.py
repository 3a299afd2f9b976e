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


def is_whole(text: str) -> bool:
    """Whether a text can be written: it has no half of a character, as a shell's bytes that are not UTF-8 become."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def plain(names: Iterable[str], most: int = 20) -> str:
    """Return names in a line, each as it is, or as `shown` returns it if it has invisible characters or is long."""
    names = [name for name in names if name]
    few = [name if name.isprintable() and len(name) <= SHOWN else shown(name) for name in names[:most]]
    return ", ".join(few) + (f" and {len(names) - most} more" if len(names) > most else "") or "nothing"


IRREGULAR = {"person": "people", "corpus": "corpora", "family": "families", "study": "studies", "patch": "patches"}
"""Nouns whose plural is not made with -s."""
VERBS = {
    **{"has": "have", "is": "are", "was": "were", "mentions": "mention", "matches": "match", "names": "name"},
    **{"shows": "show", "writes": "write"},
}
"""Verb of one -> of several."""


def noun_of(number: float, noun: str, verb: str = "") -> str:
    """Return the noun of a number that stands before it, and a verb of theirs: "concept", "concepts have", "people".

    Args:
        number: how many, as it is shown without decimals: 1.2 is shown as 1.
        noun: in the singular.
        verb: of one, a key of VERBS; none if "".
    """
    if round(number) != 1:
        noun, verb = IRREGULAR.get(noun, f"{noun}s"), VERBS[verb] if verb else ""
    return f"{noun} {verb}".rstrip()


def number_of(number: float, noun: str, verb: str = "") -> str:
    """Return a number without decimals, its noun, and a verb of theirs: "1 concept", "1,200 concepts have", "2 people".

    Args: as noun_of.
    """
    return f"{number:,.0f} {noun_of(number, noun, verb)}"


def as_images(number: float, noun: str = "image") -> str:
    """Return a threshold, or a count beside one: "1 image", "12000 images". Their intervals have no commas either."""
    return f"{number:.0f} {noun_of(number, noun)}"


def ratio(value: float) -> str:
    """Return a ratio in two significant digits, without an exponent: 3.4, 12,000."""
    return f"{value:.2g}" if value < 9.95 else f"{float(f'{value:.2g}'):,.0f}"
