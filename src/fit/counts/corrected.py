"""Effective counts corrected for the recogniser's errors.

An image that shows the concept matches with the true positive rate, another one with the false positive rate. Where few
of many captions show the concept, most matches are false, however small the false positive rate is (Rogan and Gladen
1978, doi 10.1093/oxfordjournals.aje.a112510).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fit.errors import FitError
from fit.io.json_files import read_json
from fit.thresholds.unseen import PRIOR, draw_totals

DRAWS = 4000
"""Of the rates and of the images that were not seen, for the interval."""
_SEED = 20250
"""The draws are the same for each concept, so that a concept's interval does not depend on the others."""


@dataclass(frozen=True)
class Rate:
    """A rate that was measured on so many independent trials."""

    rate: float
    trials: float

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw DRAWS values from its posterior, a beta with Jeffreys' prior."""
        return rng.beta(self.rate * self.trials + PRIOR, (1 - self.rate) * self.trials + PRIOR, DRAWS)


@dataclass(frozen=True)
class ImageErrors:
    """How often an image matches by the rule that counts images, if it shows the concept and if it does not."""

    tpr: Rate
    fpr: Rate
    art_tpr: Rate | None = None
    """How often an artwork passes the art filter; None without a filter. Both rates above are of artworks, so both are
    multiplied by it."""
    of_concepts: Mapping[str, tuple[Rate, Rate]] = field(default_factory=dict)
    """Concept -> its own true and false positive rate; empty if unknown."""
    of_others: tuple[Rate, Rate] | None = None
    """Both rates of a concept that is not in of_concepts, with the spread between concepts; None if unknown."""

    def of(self, concept: str) -> "ImageErrors":
        """Return the errors of one concept: its own, those of others, or if neither is known those of all."""
        known = self.of_concepts.get(concept, self.of_others)
        return self if known is None else replace(self, tpr=known[0], fpr=known[1])

    @property
    def rates(self) -> tuple[float, float]:
        """The true and the false positive rate of an artwork, by match threshold and art filter."""
        art = self.art_tpr.rate if self.art_tpr else 1.0
        return self.tpr.rate * art, self.fpr.rate * art

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw both rates: [DRAWS] each."""
        art = self.art_tpr.draw(rng) if self.art_tpr else 1.0
        return self.tpr.draw(rng) * art, self.fpr.draw(rng) * art


def _rate(found: dict[str, Any], name: str, trials: str) -> Rate | None:
    rate, number = found.get(name), found.get(trials)
    return None if rate is None or not number else Rate(float(rate), float(number))


def _rates_of(found: Mapping[str, Any], path: str | Path) -> tuple[Rate, Rate]:
    """Return the rates of a concept, of a RatesOfConcept."""
    try:
        tpr, fpr = (Rate(*map(float, found[name])) for name in ("tpr", "fpr"))
    except (KeyError, TypeError, ValueError):
        tpr = fpr = Rate(-1.0, 0.0)
    if not all(0 <= rate.rate <= 1 and rate.trials > 0 for rate in (tpr, fpr)):
        raise FitError(f"{path}: image_rates holds something that is not two rates; make the file again")
    return tpr, fpr


def read_image_errors(match_threshold: str | Path, art_threshold: str | Path | None = None) -> ImageErrors | None:
    """Read the rates of images that `fit matches threshold` and, of an art filter, `fit matches art-threshold` wrote.

    Returns:
        None where the references did not suffice to measure them.

    Raises:
        FitError: a file is missing, or another command wrote it.
    """
    keys = ("image_tpr", "image_tpr_trials", "image_fpr", "image_fpr_trials")
    found = read_json(match_threshold, keys, "fit matches threshold")
    tpr, fpr = _rate(found, *keys[:2]), _rate(found, *keys[2:])
    if tpr is None or fpr is None:
        return None
    if not all(0 <= rate.rate <= 1 for rate in (tpr, fpr)):
        raise FitError(f"{match_threshold}: image_tpr and image_fpr are not from 0 to 1; make the file again")
    of_each = found.get("image_rates") or {}
    of_concepts = {concept: _rates_of(rates, match_threshold) for concept, rates in of_each.items()}
    others = found.get("image_rates_of_others")
    of_others = _rates_of(others, match_threshold) if others else None
    if not art_threshold:
        return ImageErrors(tpr, fpr, None, of_concepts, of_others)
    art = _rate(read_json(art_threshold, ("tpr", "positives"), "fit matches art-threshold"), "tpr", "positives")
    return None if art is None else ImageErrors(tpr, fpr, art, of_concepts, of_others)


def corrected_count(
    matches: int, captions: int, downloaded: int, errors: ImageErrors, confidence: float = 0.95
) -> tuple[int, int, int] | None:
    """Return how many images show the concept, if the recogniser errs at known rates.

    The share of matches p becomes (p - FPR) / (TPR - FPR), clipped to 0 and 1. The interval has the percentiles of
    draws of the rates, of the matches among the images not seen (fit.thresholds.unseen), and of the errors themselves:
    of T images that show the concept, T x TPR match on average, with a binomial's variance.

    Args:
        matches: images or faces; beyond `downloaded`, several faces of an image match, which is a factor.
        captions: that mention the concept.
        downloaded: of their images.
        errors: the rates of the concept (ImageErrors.of).
        confidence: of the interval.

    Returns:
        (count, low, high); None where nothing was downloaded, or the rule accepts other images as often as the right
        ones: then matches say nothing.
    """
    tpr, fpr = errors.rates
    if not downloaded or tpr <= fpr:
        return None
    held = min(matches, downloaded)
    faces = max(matches / downloaded, 1.0)
    count = faces * captions * float(np.clip((held / downloaded - fpr) / (tpr - fpr), 0, 1))
    rng = np.random.default_rng(_SEED)
    accepted = draw_totals(np.array([[captions, downloaded, held]], float), DRAWS, rng)[0]
    drawn_tpr, drawn_fpr = errors.draw(rng)
    apart = drawn_tpr - drawn_fpr
    apart = np.where(np.abs(apart) < 1e-9, 1e-9, apart)
    shown = np.clip((accepted - captions * drawn_fpr) / apart, 0, captions)
    variance = shown * drawn_tpr * (1 - drawn_tpr) + (captions - shown) * drawn_fpr * (1 - drawn_fpr)
    noise = rng.normal(size=DRAWS) * np.sqrt(variance) / np.abs(apart)
    shown = np.clip((accepted - captions * drawn_fpr) / apart + noise, 0, captions)
    tail = (1 - confidence) / 2
    low, high = faces * np.quantile(shown, [tail, 1 - tail])
    point = round(count)
    # Quantiles of whole numbers may be a rounding error away from them.
    return point, min(int(np.floor(low + 1e-3)), point), max(int(np.ceil(high - 1e-3)), point)
