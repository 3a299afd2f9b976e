"""How a polite program behaves: it leaves what servers keep from AI, and waits as long as they ask."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version

USER_AGENT = f"fit-imitation-threshold/{version('fit')} (+https://arxiv.org/abs/2410.15002)"

OPT_OUTS = {"noai", "noimageai"}

VALUED_DIRECTIVES = {"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"}
"""Directives of X-Robots-Tag that have a value after a colon, where other tags have a bot's name before it."""

BOT = re.compile(r"\*|[a-z][\w.*-]*")


@dataclass(frozen=True, kw_only=True)
class FetchTuning:
    """What fetching goes by that nobody has to set; only tests and benchmarks change it."""

    max_held_bytes: int = 128_000_000
    """Bytes of all bodies in memory at once, until they are handled; at least twice FetchSettings.max_bytes."""
    max_redirects: int = 5
    """Redirects that one attempt follows."""
    backoff_s: float = 1.0
    """Seconds before the first retry, doubled for each further one; times 0.5 to 1.5, by url and attempt."""
    max_retry_after_s: float = 30.0
    """A server that asks (Retry-After) for a longer wait than these seconds is not asked again."""
    user_agent: str = USER_AGENT
    """What this program calls itself; up to the first "/" it is its name in X-Robots-Tag."""


def opted_out(tags: Iterable[str], bot: str) -> bool:
    """Whether X-Robots-Tag headers ask `bot`, or every bot, to keep an image from AI.

    Args:
        tags: values of the headers, such as "noai", "noindex, noimageai", "otherbot: noai, noindex".
        bot: our name in lower case.
    """
    for tag in tags:
        addressee = "*"
        for part in tag.lower().split(","):
            before, colon, after = part.strip().partition(":")
            before = before.strip()
            if colon and before in VALUED_DIRECTIVES:
                continue
            # A name holds for the rest of the header. What can't be a bot's name (the "25-jun-2030 15" of a date) is
            # none: better to leave an image than to take one because its tag is odd.
            if colon and BOT.fullmatch(before):
                addressee = before
            if (after if colon else before).strip() in OPT_OUTS and addressee in ("*", bot):
                return True
    return False


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for; None if it is neither seconds nor an HTTP date.

    Args:
        value: the header; now: with a time zone.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:  # the zone "-0000", which a date in HTTP never has
        date = date.replace(tzinfo=UTC)
    return max((date - now).total_seconds(), 0.0)


def retry_wait_s(tuning: FetchTuning, link: str, attempt: int, asked_s: float | None) -> float | None:
    """Return the seconds to wait after a failed attempt, or None to leave the server alone.

    Args:
        attempt: its number; the first is 1.
        asked_s: seconds that the server asked for, or None.
    """
    if asked_s is not None and asked_s > tuning.max_retry_after_s:
        return None
    # Jitter keeps links that failed together from coming back together; from the link, so that runs are alike.
    jitter = 0.5 + random.Random(f"{attempt} {link}").random()
    return max(tuning.backoff_s * 2 ** (attempt - 1) * jitter, asked_s or 0.0)
