"""What was not seen of a concept's captions: how many of the images behind them may match.

Captions were counted completely, and of some of their images it is known whether they match. Only the others are
uncertain. If downloads are a random part of the captions, the matches among the unseen images have a beta-binomial
distribution: the posterior predictive of a share that has a beta prior (Gelman et al., Bayesian Data Analysis,
section 2.4).
"""

import numpy as np

PRIOR = 0.5
"""Both parameters of the beta prior of the share of matches: Jeffreys'. Of the usual priors, its intervals cover
shares near 0 and 1 best (Brown, Cai and DasGupta 2001, doi 10.1214/ss/1009213286); most shares lie there."""
EXACT = 1 << 12
"""With up to so many unseen captions quantiles are exact; beyond, those of a beta of the same mean and variance."""
_LARGEST = 1 << 62
"""More captions than this cannot be drawn."""


def _quantile(level: float, unseen: int, a: float, b: float) -> int:
    """Return the quantile of the beta-binomial of matches among `unseen` images."""
    from scipy import stats  # takes longer to import than matching a concept takes

    if unseen <= EXACT:
        below = np.cumsum(stats.betabinom.pmf(np.arange(unseen + 1), unseen, a, b))
        return min(int(np.searchsorted(below, level)), unseen)
    size = (a + b) * (unseen - 1) / (a + b + unseen)
    share = a / (a + b)
    return min(round(unseen * float(stats.beta.ppf(level, size * share, size * (1 - share)))), unseen)


def interval_of_total(matches: int, captions: int, downloaded: int, confidence: float = 0.95) -> tuple[int, int]:
    """Return the interval of how many of a concept's images match: those that were seen, and those that were not.

    The low end is at least the matches seen, the high end at most all captions but the images seen not to match. Where
    no image matched, or every one, the end on that side is the extreme (Brown, Cai and DasGupta 2001). Several faces of
    an image may match: `matches` beyond `downloaded` are a factor. If there are fewer captions than downloads, the
    images are another corpus's, and no caption of this one was seen.

    Args:
        matches: of the downloaded images; captions: that mention the concept; downloaded: at least 1.
        confidence: of the interval, whose tails have the same probability.
    """
    held = min(matches, downloaded)
    seen, unseen = (held, captions - downloaded) if captions >= downloaded else (0, captions)
    tail, a, b = (1 - confidence) / 2, held + PRIOR, downloaded - held + PRIOR
    low = _quantile(tail, unseen, a, b) if held else 0
    high = _quantile(1 - tail, unseen, a, b) if held < downloaded else unseen
    factor = max(held, 1)
    return (seen + low) * max(matches, 1) // factor, -(-(seen + high) * max(matches, 1) // factor)


def draw_totals(known: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw how many images of each concept match, from the model of interval_of_total: [N, draws].

    Args:
        known: [N, 3] captions, downloaded (at least 1) and matches, whole numbers.
        draws: how many of each.
        rng: generator of random numbers.
    """
    c, d, m = known.T[:, :, None]
    held = np.minimum(m, d)
    seen, unseen = np.where(c >= d, held, 0), np.minimum(np.where(c >= d, c - d, c), _LARGEST)
    share = rng.beta(held + PRIOR, d - held + PRIOR, (len(known), draws))
    total = seen + rng.binomial(unseen.astype(np.int64), share)
    return np.rint(total * np.where(held > 0, m / np.maximum(held, 1), 1))
