"""How often single images are taken for a concept: the rates of the rule that counts training images.

The match threshold is found on means over sets of references, but a training image matches when its *highest* cosine to
any reference exceeds it. The highest of twenty is larger than their mean, so both rates are larger than those of means.
"""

from typing import TypedDict

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEWEST = 1.0
"""Images that the mean of all concepts is worth to a concept, at least."""


class WorstPair(TypedDict):
    """Two concepts of which one is taken for the other most often."""

    images_of: str
    """Whose references were compared."""
    taken_for: str
    """With whose references."""
    rate: float
    images: int


class RatesOfConcept(TypedDict):
    """Both rates of one concept: [rate, how many independent images it is worth] each."""

    tpr: list[float]
    fpr: list[float]


class ImageRates(TypedDict):
    """Rates of single images; a number is None where the references do not suffice to measure it."""

    image_tpr: float | None
    """Share of references whose highest cosine to the concept's other references exceeds the match threshold."""
    image_tpr_interval: list[float] | None
    image_tpr_trials: float
    """How many independent images the references are worth: no more than there are."""
    image_fpr: float | None
    """Share of comparisons of a reference with another concept's references in which the highest cosine exceeds it."""
    image_fpr_interval: list[float] | None
    image_fpr_trials: float
    image_positives: int
    """References of which the true positive rate is a share."""
    image_negatives: int
    """Comparisons of which the false positive rate is a share."""
    worst_pair: WorstPair | None
    """None where no reference exceeds it."""
    image_rates: dict[str, RatesOfConcept]
    """Concept -> its own rates, each between what its references say and the mean of all; empty if unknown."""
    image_rates_of_others: RatesOfConcept | None
    """Rates of a concept of which nothing is known: how the rates of concepts are spread."""


def count_accepted(references: list[np.ndarray], match_threshold: float) -> np.ndarray:
    """Count the references of each concept that would match each concept.

    Args:
        references: C arrays [R_i, D] of unit vectors, R_i at least 1.
        match_threshold: cosine.

    Returns:
        accepted [C, C]: of the references of concept j (column), how many have a highest cosine to the references of
        concept i (row) above the match threshold. On the diagonal, an image is not compared with itself.
    """
    every = np.concatenate(references)
    starts = np.concatenate([[0], np.cumsum([len(vectors) for vectors in references])])
    accepted = np.zeros((len(references), len(references)), np.int64)
    for row, vectors in enumerate(references):
        cosines = vectors @ every.T
        own = np.arange(len(vectors))
        cosines[own, starts[row] + own] = -np.inf
        accepted[row] = np.add.reduceat(cosines.max(axis=0) > match_threshold, starts[:-1], dtype=np.int64)
    return accepted


def worth(rate: float, images: int, without: np.ndarray) -> float:
    """Return how many independent images a rate is worth, whose images are of some concepts (Korn and Graubard 1998).

    Args:
        rate: of all; images: how many there are, the most that they can be worth.
        without: [C] the rate without each concept, for the jackknife.
    """
    concepts = len(without)
    if concepts < 3 or not np.isfinite(without).all():
        return float(min(concepts, images))  # nothing is known of how concepts differ
    variance = (concepts - 1) / concepts * ((without - without.mean()) ** 2).sum()
    if not 0 < rate < 1 or variance <= 0:
        return float(images)
    tail = (1 + CONFIDENCE) / 2
    few = (stats.norm.ppf(tail) / stats.t.ppf(tail, concepts - 1)) ** 2
    return float(np.clip(rate * (1 - rate) / variance * few, 1, images))


def _interval(rate: float, trials: float) -> list[float]:
    """Return the Clopper-Pearson interval of a rate that is worth so many trials, which need not be whole."""
    tail, accepted = (1 - CONFIDENCE) / 2, rate * trials
    low = stats.beta.ppf(tail, accepted, trials - accepted + 1) if rate > 0 else 0.0
    high = stats.beta.ppf(1 - tail, accepted + 1, trials - accepted) if rate < 1 else 1.0
    return [float(low), float(high)]


def measure_image_rates(references: dict[str, np.ndarray], match_threshold: float) -> ImageRates:
    """Measure how often single images match, from references: a concept's own, and those of the other concepts.

    A reference is left out of those that it is compared with, so an image meets one reference fewer than a training
    image does. References are chosen because they resemble each other: training images match less often.

    Args:
        references: concept -> [R, D] unit vectors of its kept references, R at least 1.
        match_threshold: cosine above which the highest one makes a match.

    Returns:
        The rates, with intervals of Clopper and Pearson for as many images as the references are worth, since those of
        one concept are not independent: by a jackknife over concepts, and never more than there are.
    """
    concepts = list(references)
    if not concepts:
        return _unknown()
    accepted = count_accepted(list(references.values()), match_threshold)
    sizes = np.array([len(vectors) for vectors in references.values()])
    found = _unknown()

    own, tried = np.diag(accepted), np.where(sizes > 1, sizes, 0)
    found["image_positives"] = int(tried.sum())
    if tried.sum():
        rate = float((own * (tried > 0)).sum() / tried.sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            without = ((own * (tried > 0)).sum() - own * (tried > 0)) / (tried.sum() - tried)
        trials = worth(rate, int(tried.sum()), without[tried > 0])
        found |= {"image_tpr": rate, "image_tpr_interval": _interval(rate, trials), "image_tpr_trials": trials}

    others = accepted * (1 - np.eye(len(sizes), dtype=np.int64))
    compared = np.tile(sizes, (len(sizes), 1)) * (1 - np.eye(len(sizes), dtype=np.int64))
    found["image_negatives"] = int(compared.sum())
    if compared.sum():
        rate = float(others.sum() / compared.sum())
        taken, asked = (m.sum() - m.sum(axis=0) - m.sum(axis=1) for m in (others, compared))
        with np.errstate(invalid="ignore", divide="ignore"):
            without = taken / asked
        trials = worth(rate, int(sizes.sum()), without)
        found |= {"image_fpr": rate, "image_fpr_interval": _interval(rate, trials), "image_fpr_trials": trials}
        found["worst_pair"] = _worst_pair(concepts, others, sizes)
    if found["image_tpr_trials"] and found["image_fpr_trials"]:
        of_each, of_others = rates_of_concepts(accepted, sizes, found["image_tpr_trials"], found["image_fpr_trials"])
        found["image_rates"] = dict(zip(concepts, of_each, strict=True))
        found["image_rates_of_others"] = of_others
    return found


def _spread_of_rates(
    rates: np.ndarray, images: np.ndarray, variances: np.ndarray, trials: float
) -> tuple[float, float]:
    """Return the beta distribution of the rates of concepts, by its moments: (mean, how many images it is worth).

    Args:
        rates: [C] of the concepts.
        images: [C] of which each is a share.
        variances: [C] of each rate, by which images were taken.
        trials: how many independent images the mean of all is worth: the concepts are never taken for more alike.
    """
    mean = float(rates @ images / images.sum())
    number, worth = len(rates), 0.0
    if number > 1:
        observed = float(rates.var(ddof=1))
        # A standard error is added: an estimate of no spread does not show that there is none.
        between = max(observed - float(variances.mean()), 0.0) + (2 / (number - 1)) ** 0.5 * observed
        worth = mean * (1 - mean) / between - 1 if between > 0 else trials
    return mean, float(np.clip(worth, FEWEST, max(trials, FEWEST)))


def _updated(of_all: tuple[float, float], accepted: float, images: float) -> list[float]:
    """Return [rate, images it is worth] of a concept, from the distribution of all and the concept's own images."""
    mean, worth = of_all
    return [_short((mean * worth + accepted) / (worth + images)), _short(worth + images)]


def rates_of_concepts(
    accepted: np.ndarray, sizes: np.ndarray, tpr_trials: float, fpr_trials: float
) -> tuple[list[RatesOfConcept], RatesOfConcept]:
    """Return the rates of each concept, and of a concept of which nothing is known.

    Some concepts are confused with many others, most with none. The rates of concepts have a beta distribution, whose
    parameters are found from all of them by moments; with a concept's own images it gives the concept's rate
    (empirical Bayes with a beta-binomial: Gelman et al., Bayesian Data Analysis, section 5.1). The
    fewer images a concept has, and the more alike concepts are, the nearer is its rate to the mean of all.

    Images of one concept are taken for another's together or not at all. So of the false positive rate, an image is
    worth as much less than one as the variance between concepts of origin says (the design effect of Kish 1965).

    Args:
        accepted: [C, C], as count_accepted returns it.
        sizes: [C] references of each concept.
        tpr_trials, fpr_trials: how many independent images the rates of all concepts are worth.

    Returns:
        (rates of the C concepts, rates of others).
    """
    number = len(sizes)
    own, tried = np.diag(accepted).astype(float), np.where(sizes > 1, sizes, 0).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr = np.where(tried > 0, own / tried, 0.0)
    known = tried > 0
    of_tpr = _spread_of_rates(tpr[known], tried[known], (tpr * (1 - tpr) / np.maximum(tried - 1, 1))[known], tpr_trials)

    apart = 1 - np.eye(number)
    taken, asked = (accepted * apart).sum(axis=1), (sizes * apart).sum(axis=1)
    fpr = taken / asked
    residuals = (accepted - fpr[:, None] * sizes) * apart
    variances = (number - 1) / max(number - 2, 1) * (residuals**2).sum(axis=1) / asked**2
    by_chance = float((fpr * (1 - fpr) / asked).sum())
    effect = max(1.0, float(variances.sum()) / by_chance) if by_chance > 0 else 1.0
    of_fpr = _spread_of_rates(fpr, asked, variances, fpr_trials)
    each: list[RatesOfConcept] = [
        {
            "tpr": _updated(of_tpr, float(own[i]), float(tried[i])),
            "fpr": _updated(of_fpr, float(taken[i] / effect), float(asked[i] / effect)),
        }
        for i in range(number)
    ]
    return each, {"tpr": _updated(of_tpr, 0.0, 0.0), "fpr": _updated(of_fpr, 0.0, 0.0)}


def _short(number: float) -> float:
    """Return a number to six digits."""
    return float(f"{number:.6g}")


def _worst_pair(concepts: list[str], others: np.ndarray, sizes: np.ndarray) -> WorstPair | None:
    """Return the pair with the highest rate; of several, that with the most images, then the first by name.

    None where no image is taken for another concept's.
    """
    shares = others / sizes
    best = shares.max()
    if best <= 0:
        return None
    pairs = [
        (-int(sizes[column]), concepts[column], concepts[row], int(sizes[column]))
        for row, column in zip(*np.nonzero(shares >= best), strict=True)
    ]
    _, images_of, taken_for, images = min(pairs)
    return {"images_of": images_of, "taken_for": taken_for, "rate": float(best), "images": images}


def _unknown() -> ImageRates:
    return {
        "image_tpr": None,
        "image_tpr_interval": None,
        "image_tpr_trials": 0.0,
        "image_fpr": None,
        "image_fpr_interval": None,
        "image_fpr_trials": 0.0,
        "image_positives": 0,
        "image_negatives": 0,
        "worst_pair": None,
        "image_rates": {},
        "image_rates_of_others": None,
    }
