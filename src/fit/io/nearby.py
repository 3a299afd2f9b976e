"""Names that are nearly the one that was asked for: slugs and folders that somebody wrote in another way."""

import difflib
import re
import unicodedata
from pathlib import Path


def slug_of(text):
    """`text` as a slug would have it: "Vincent van Gogh", "Vincent_van_Gogh" and "vincent-van-gogh" are one."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")


def entries(folder):
    """Names of what lies in `folder`, sorted, hidden ones left out; none where it can't be read."""
    try:
        return sorted(path.name for path in Path(folder).iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def nearest(name, among):
    """Which of `among` `name` may mean: one of the same slug, else one that differs in few letters; None if none."""
    by_slug = {slug_of(Path(other).stem): other for other in reversed(list(among))}
    slug = slug_of(Path(name).stem)
    if slug in by_slug:
        return by_slug[slug]
    close = difflib.get_close_matches(slug, by_slug, n=1, cutoff=0.8)
    return by_slug[close[0]] if close else None


def near(path):
    """A path beside `path`, which does not exist, that has nearly its name and does; None if there is none."""
    found = nearest(Path(path).name, entries(Path(path).parent))
    return str(Path(path).with_name(found)) if found and found != Path(path).name else None
