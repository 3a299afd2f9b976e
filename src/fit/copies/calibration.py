"""A cut that prompts of no training image seldom pass, and how often they do pass it."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from fit.errors import DataError

CONFIDENCE = 0.95


def low_cut(values: np.ndarray, share: float) -> float:
    """Return the cut below which a further value of the same kind is with a probability of at most `share`.

    Of n + 1 exchangeable values, the last is among the k smallest with a probability of k / (n + 1) (conformal
    prediction: Vovk, Gammerman and Shafer, 2005): the cut is the k-th smallest, k = floor(share (n + 1)).

    Args:
        values: [n] numbers, of prompts of no training image.
        share: in 0..1.

    Raises:
        DataError: there are too few values for the share.
    """
    rank = int(np.floor(share * (len(values) + 1) + 1e-9))
    if rank < 1:
        needed = int(np.ceil(1 / share - 1e-9)) - 1
        raise DataError(
            f"too few prompts of no training image for `false_positives: {share}`: {len(values)} to find the cut; it "
            f"takes {needed}, and as many to count false positives: raise `others` to {2 * needed}, or the share"
        )
    return float(np.sort(values)[rank - 1])


@dataclass(frozen=True)
class Rate:
    """How many of how many, with the interval of Clopper and Pearson (1934)."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> list[float] | None:
        """The ends of the 95 % interval; None of nothing."""
        if not self.of:
            return None
        found = binomtest(self.hits, self.of).proportion_ci(CONFIDENCE, method="exact")
        return [float(found.low), float(found.high)]

    def as_dict(self) -> dict[str, object]:
        """Return hits, of, value and interval."""
        return {"hits": self.hits, "of": self.of, "value": self.value, "interval": self.interval}


def rate(hits: np.ndarray) -> Rate:
    """Return the rate of true ones in `hits` [N] bool."""
    return Rate(int(np.count_nonzero(hits)), len(hits))
