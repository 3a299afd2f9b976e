"""The threshold that counts are compared with; and why there is none, where a study does not show one."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fit.errors import DataError
from fit.io.numbers import as_number
from fit.io.shown import as_images
from fit.thresholds.answer import CHANCE, falls, why_none
from fit.thresholds.headline import follow
from fit.thresholds.neighbours import why_no_interval

FEWEST_RESAMPLES = 0.8
"""Share of the resamples with a threshold, below which a study gives no verdict: its interval is of these alone."""
MOST_RESAMPLES = 0.95
"""Share from which on nothing is said: a 95 % interval leaves as many out."""
_REMEDY = "give a number of images, or a file that `fit thresholds detect --out` wrote"


@dataclass(frozen=True)
class Threshold:
    """What counts are compared with, in images: the threshold is above `low`, and at most `high`."""

    images: int | None
    """None if there is no threshold."""
    low: int
    """Counts up to this are below."""
    high: int
    """Counts from this on are above."""
    has_interval: bool
    quantiles: tuple[float, ...] = ()
    """Thresholds, each as likely as another (fit.thresholds.distribution); empty if unknown."""
    refusal: str | None = None
    """Why there is no verdict; None if there may be one."""
    concepts: int | None = None
    """Of the study that found it; None if unknown."""
    remarks: tuple[str, ...] = ()
    """What a reader has to know of it."""

    def place(self, count: int) -> str:
        """Return "below", "within" or "above"."""
        if count <= self.low:
            return "below"
        return "above" if count >= self.high else "within"

    def __str__(self) -> str:
        """Return the threshold in words."""
        if self.images is None:
            return "threshold: none"
        interval = f"above {self.low}, at most {self.high}" if self.has_interval else "no interval"
        return f"threshold: {as_images(self.images)} ({interval})"


def _number(found: dict[str, Any], name: str, of: str | None = None) -> float | None:
    """Return a number of a result; None where it is lacking or null.

    Raises:
        ValueError: it is something else.
    """
    part = found.get(of) if of else found
    value = part.get(name) if isinstance(part, dict) else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return value


def _largest_p_value(found: dict[str, Any]) -> float | None:
    """Return the largest p-value of the tests against no jump, `p_value` and others that begin so; None if unknown."""
    tests = found.get("permutation_test")
    names = [name for name in tests if name.startswith("p_value")] if isinstance(tests, dict) else []
    known = [_number(found, name, "permutation_test") for name in names]
    return max((p_value for p_value in known if p_value is not None), default=None)


def _refusal(found: dict[str, Any]) -> str | None:
    """Return why a study gives no verdict; None if it may give one."""
    if found["threshold"] is None:
        return f"there is no threshold: {why_none(found)}"
    if why := why_none(found):
        return why
    if found.get("direction") == "fall" or falls(found):
        return "the scores fall there, so that it is not a threshold of imitation"
    p_value = _largest_p_value(found)
    if p_value is not None and p_value > CHANCE:
        return f"chance alone often makes such a jump (p = {p_value:.2g})"
    if why := why_no_interval(found.get("neighbours")):
        return f"it is not known how far off the threshold may be: {why}"
    share = _number(found, "resamples_with_a_change")
    if share is not None and share < FEWEST_RESAMPLES:
        return f"only {share:.0%} of the resamples have a threshold (at least {FEWEST_RESAMPLES:.0%} are needed)"
    return None


def _remarks(found: dict[str, Any], quantiles: tuple[float, ...]) -> tuple[str, ...]:
    said = []
    if _largest_p_value(found) is None:
        said.append("Whether chance alone makes such a jump is not known: the file has no permutation test.")
    share = _number(found, "resamples_with_a_change")
    if share is not None and share < MOST_RESAMPLES:
        said.append(f"Only {share:.0%} of the resamples have a threshold; interval and probabilities are of these.")
    if not quantiles:
        said.append(
            "How likely each threshold is is not known (no `quantiles` of the estimator in the file), so P(count >= "
            "threshold) is unknown: run `fit thresholds detect` again."
        )
    return tuple(said)


def _quantiles(found: dict[str, Any]) -> tuple[float, ...]:
    of_all = found.get("estimators")
    of_headline = of_all.get(found.get("estimator")) if isinstance(of_all, dict) else None
    given = of_headline.get("quantiles") if isinstance(of_headline, dict) else None
    quantiles = tuple(sorted(float(one) for one in given or ()))
    if not all(math.isfinite(one) for one in quantiles):
        raise ValueError
    return quantiles


def from_study(found: dict[str, Any]) -> Threshold:
    """Make the threshold of a result of `fit thresholds detect`.

    Raises:
        ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError: it is not such a result.
    """
    concepts = _number(found, "concepts")
    of_study = None if concepts is None else int(concepts)
    refusal = _refusal(found)
    if found["threshold"] is None:
        return Threshold(None, -1, 0, False, refusal=refusal, concepts=of_study)
    interval, quantiles = found.get("interval"), _quantiles(found)
    images, (low, high), has_interval = _ends(found["threshold"], interval)
    remarks = () if refusal else _remarks(found, quantiles)
    return Threshold(images, low, high, has_interval, quantiles, refusal, of_study, remarks)


def _ends(threshold: Any, interval: Any) -> tuple[int, tuple[int, int], bool]:
    images = math.ceil(float(threshold))
    if images < 0:
        raise ValueError
    if not interval:
        return images, (images - 1, images), False
    if not 0 <= interval[0] <= interval[1]:
        raise ValueError
    low, high = math.floor(interval[0]), math.ceil(interval[1])
    return images, (min(low, images - 1), max(high, images)), True


def read_threshold(given: str, name: str = "--threshold") -> Threshold:
    """Read a threshold: a number of images, or the path of JSON as `fit thresholds detect` writes it.

    Its interval is widened where it leaves its own threshold out. Without an interval, a count as large as the
    threshold is above. A study without a threshold, with a fall of the scores, with a jump that chance makes
    (p > CHANCE), whose neighbours in count are alike, or with an answer in fewer than FEWEST_RESAMPLES of its resamples
    gives a threshold with a refusal.

    Raises:
        DataError: it is neither.
    """
    if not Path(given).is_file():
        if str(given).lower().endswith((".json", ".txt")):
            raise DataError(f"{given}: not a threshold; {_REMEDY}")
        try:
            images = as_number(given, name, whole=True, in_table=False)
            number, ends, _ = _ends(images, None)
        except DataError as error:
            raise DataError(f"{error}; or {_REMEDY}") from None
        except (TypeError, ValueError):
            raise DataError(f"{name} is {given or 'empty'}: not a threshold; {_REMEDY}") from None
        return Threshold(number, *ends, False)
    try:
        found = json.loads(Path(given).read_text(encoding="utf-8"))
        found["threshold"]
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{given}: not JSON with `threshold`; give a file that `fit thresholds detect --out` wrote"
        ) from None
    return threshold_of(found, given)


def threshold_of(found: Any, name: str) -> Threshold:
    """Make the threshold of a result of `fit thresholds detect`, which errors call `name`.

    Raises:
        DataError: it is not such a result.
    """
    try:
        return from_study(follow(found))
    except (TypeError, ValueError, OverflowError, IndexError, KeyError, AttributeError):
        raise DataError(f"{name}: not a threshold; {_REMEDY}") from None
