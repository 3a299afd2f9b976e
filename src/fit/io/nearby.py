"""Finds names that are nearly the one that was asked for: slugs and folders that somebody wrote in another way."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path


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
    """Return which of `among` `name` may mean: one with the same slug, or one that differs in few letters; or None."""
    by_slug = {slug_of(Path(other).stem): other for other in reversed(list(among))}
    slug = slug_of(Path(name).stem)
    if slug in by_slug:
        return by_slug[slug]
    close = difflib.get_close_matches(slug, by_slug, n=1, cutoff=0.8)
    return by_slug[close[0]] if close else None


def near(path: str | Path) -> str | None:
    """Return a path that exists beside `path`, which does not, and has nearly its name; None if there is none."""
    found = nearest(Path(path).name, entries(Path(path).parent))
    return str(Path(path).with_name(found)) if found and found != Path(path).name else None
