"""Finds names that are nearly the one that was asked for: slugs and folders that somebody wrote in another way."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

NEAR = 0.8
"""Ratio of `difflib` from which on two slugs are near each other."""


def slug_of(text: str) -> str:
    """Return `text` as a slug: that of "Vincent van Gogh" and "Vincent_van_Gogh" is "vincent-van-gogh"."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")


def entries(folder: str | Path) -> list[str]:
    """Return the names in `folder`, sorted, without hidden ones; none if it can't be read."""
    try:
        return sorted(path.name for path in Path(folder).iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def nearest(name: str, among: Iterable[str]) -> str | None:
    """Return which of `among` `name` may mean; None if unknown.

    It is one with the same slug, or one that differs in few letters, or the only one that has the words of `name` among
    its own, such as "monet" of "claude-monet".
    """
    by_slug = {slug_of(Path(other).stem): other for other in reversed(list(among))}
    slug = slug_of(Path(name).stem)
    if slug in by_slug:
        return by_slug[slug]
    close = difflib.get_close_matches(slug, by_slug, n=1, cutoff=NEAR)
    if close:
        return by_slug[close[0]]
    longer = with_words(name, by_slug.values())
    return longer[0] if len(longer) == 1 else None


def with_words(name: str, among: Iterable[str]) -> list[str]:
    """Return which of `among` have all words of `name` among their own, such as "claude-monet" those of "Monet"."""
    words = set(filter(None, slug_of(name).split("-")))
    return [other for other in among if words and words <= set(slug_of(Path(other).stem).split("-"))]


def paired(names: Iterable[str], among: Iterable[str]) -> dict[str, str]:
    """Return which of `among` each of `names` may mean, as `nearest` does, but each of `among` for one name at most.

    Those with the same slug are paired first, then those that differ least.

    Returns:
        name -> one of `among`; names that are near to none are not in it.
    """
    wanted, others = list(dict.fromkeys(names)), list(dict.fromkeys(among))
    slugs = {name: slug_of(Path(name).stem) for name in (*wanted, *others)}
    pairs: list[tuple[float, str, str]] = []
    for name in wanted:
        for other in others:
            if slugs[name] == slugs[other]:
                pairs.append((1.0, name, other))
                continue
            matcher = difflib.SequenceMatcher(None, slugs[other], slugs[name])
            if matcher.real_quick_ratio() >= NEAR and matcher.quick_ratio() >= NEAR and matcher.ratio() >= NEAR:
                pairs.append((matcher.ratio(), name, other))
    found: dict[str, str] = {}
    taken: set[str] = set()
    for _, name, other in sorted(pairs, key=lambda pair: -pair[0]):
        if name not in found and other not in taken:
            found[name] = other
            taken.add(other)
    return {name: found[name] for name in wanted if name in found}


def near(path: str | Path) -> str | None:
    """Return a path that exists beside `path`, which does not, and has nearly its name; None if there is none."""
    found = nearest(Path(path).name, entries(Path(path).parent))
    return str(Path(path).with_name(found)) if found and found != Path(path).name else None
