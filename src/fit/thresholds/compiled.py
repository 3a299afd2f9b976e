"""Loops of the estimators over many data sets, compiled: segments by dynamic programming, and least squares of a rise.

Rows of counts ascend. Concepts of one count are one place: nothing here depends on their order.
"""

import numba
import numpy as np

_compiled = numba.njit(nogil=True, cache=True)

ITERATIONS = 40
"""Of least squares, from each start; the fit is found in some ten."""
SETTLED = 1e-9
"""Share of the squared error below which a step gains nothing."""
LEAST_VARIANCE = 1e-9
"""Least variance of noise, in variances of the scores: of scores without noise it would be 0."""


@_compiled
def _places(counts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (first index of each place [U + 1], the last one N; sums of scores - mean before each place [U + 1])."""
    total = len(counts)
    first = np.empty(total + 1, np.int64)
    sums = np.empty(total + 1, np.float64)
    mean = scores.mean()
    running, found = 0.0, 0
    for at in range(total):
        if at == 0 or counts[at] > counts[at - 1]:
            first[found] = at
            sums[found] = running
            found += 1
        running += scores[at] - mean
    first[found] = total
    sums[found] = running
    return first[: found + 1], sums[: found + 1]


@_compiled
def _segments(first: np.ndarray, sums: np.ndarray, penalty: float) -> np.ndarray:
    """Return the places [K] at which the segmentation of least squared error + penalty x K changes, ascending.

    Optimal partitioning (Jackson et al. 2005) with the pruning of PELT (Killick, Fearnhead and Eckley 2012).
    """
    places = len(first) - 1
    best = np.empty(places + 1, np.float64)
    last = np.zeros(places + 1, np.int64)
    values = np.empty(places + 1, np.float64)
    open_at = np.empty(places + 1, np.int64)
    best[0] = -penalty
    open_at[0] = 0
    number = 1
    for end in range(1, places + 1):
        least, chosen = np.inf, 0
        for one in range(number):
            start = open_at[one]
            difference = sums[end] - sums[start]
            # The squares of the scores are the same for every segmentation, and left out.
            values[one] = best[start] - difference * difference / (first[end] - first[start])
            if values[one] + penalty < least:
                least, chosen = values[one] + penalty, start
        best[end], last[end] = least, chosen
        kept = 0
        for one in range(number):
            if values[one] <= least:
                open_at[kept] = open_at[one]
                kept += 1
        open_at[kept] = end
        number = kept + 1
    changes = 0
    at = last[places]
    while at > 0:
        changes += 1
        at = last[at]
    found = np.empty(changes, np.int64)
    at = last[places]
    while at > 0:
        changes -= 1
        found[changes] = at
        at = last[at]
    return found


@_compiled
def segment(counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
    """Return the index of the first of N concepts after each change, ascending: [K]."""
    first, sums = _places(counts, scores)
    found = _segments(first, sums, penalty)
    for one in range(len(found)):
        found[one] = first[found[one]]
    return found


@_compiled
def rises_at(scores: np.ndarray, changes: np.ndarray) -> bool:
    """Whether the first of `changes` is a rise: to the next segment, and of all scores above it over those below."""
    at = changes[0]
    end = changes[1] if len(changes) > 1 else len(scores)
    below = scores[:at].mean()
    return scores[at:end].mean() > below and scores[at:].mean() > below


@_compiled
def noise_variance(counts: np.ndarray, scores: np.ndarray) -> float:
    """Return the variance of N scores around their mean at each count, which a jump does not move.

    Scores of one count differ by noise alone; the means of neighbouring counts differ by noise and by what the score
    gains from one count to the next, which is little, but for a jump (Rice, "Bandwidth choice for nonparametric
    regression", 1984, for counts that may repeat). The largest of those differences is left out, so that one jump
    leaves the variance alone.
    """
    total = len(scores)
    squares, largest, terms = 0.0, 0.0, 0
    start, before_mean, before_size = 0, 0.0, 0
    for at in range(1, total + 1):
        if at < total and counts[at] == counts[start]:
            continue
        size = at - start
        mean = scores[start:at].mean()
        for one in range(start, at):
            squares += (scores[one] - mean) ** 2
        terms += size - 1
        if before_size:
            term = (mean - before_mean) ** 2 / (1 / size + 1 / before_size)
            squares += term
            terms += 1
            largest = max(largest, term)
        start, before_mean, before_size = at, mean, size
    spread = scores.var()
    if terms < 2:
        return spread
    return max((squares - largest) / (terms - 1), LEAST_VARIANCE * spread)


@_compiled
def first_rises(counts: np.ndarray, scores: np.ndarray, penalties: np.ndarray, in_variances: bool) -> np.ndarray:
    """Return the counts [R] at which the first change of each row [R, N] lies; NaN where there is none, or a fall.

    Args:
        counts, scores: [R, N].
        penalties: [R] of each change.
        in_variances: whether the penalties are in units of each row's `noise_variance`.
    """
    found = np.full(len(counts), np.nan)
    for row in range(len(counts)):
        penalty = penalties[row] * (noise_variance(counts[row], scores[row]) if in_variances else 1.0)
        changes = segment(counts[row], scores[row], penalty)
        if len(changes) and rises_at(scores[row], changes):
            found[row] = counts[row, changes[0]]
    return found


@_compiled
def critical_penalty(counts: np.ndarray, scores: np.ndarray) -> float:
    """Return the penalty from which on the best segmentation of N scores has no change.

    It is the largest gain per change of any segmentation: the gain per change of the best one at a penalty is a higher
    penalty, until no segmentation is better (Dinkelbach 1967).
    """
    first, sums = _places(counts, scores)
    penalty = 0.0
    for at in range(1, len(first) - 1):
        size, rest = first[at], first[-1] - first[at]
        penalty = max(penalty, sums[at] ** 2 * (1 / size + 1 / rest))
    while True:
        changes = _segments(first, sums, penalty * (1 + 1e-9))
        if len(changes) == 0:
            return penalty
        gain, start = 0.0, 0
        for one in range(len(changes) + 1):
            end = changes[one] if one < len(changes) else len(first) - 1
            gain += (sums[end] - sums[start]) ** 2 / (first[end] - first[start])
            start = end
        penalty = gain / len(changes)


@_compiled
def _levels(
    x: np.ndarray, y: np.ndarray, midpoint: float, scale: float, rise: np.ndarray
) -> tuple[float, float, float]:
    """Fill `rise` [N], and return the levels low and high - low of least squared error, and that error.

    A fall is fitted by the constant.
    """
    mean_rise = 0.0
    for one in range(len(x)):
        z = (x[one] - midpoint) / scale
        rise[one] = 1 / (1 + np.exp(-z)) if z > -700 else 0.0
        mean_rise += rise[one]
    mean_rise /= len(x)
    mean = y.mean()
    covariance, variance, error = 0.0, 0.0, 0.0
    for one in range(len(x)):
        away = rise[one] - mean_rise
        covariance += away * (y[one] - mean)
        variance += away * away
        error += (y[one] - mean) ** 2
    if covariance <= 0 or variance < 1e-12:
        return mean, 0.0, error
    height = covariance / variance
    return mean - height * mean_rise, height, max(error - height * covariance, 0.0)


@_compiled
def _step(
    x: np.ndarray,
    y: np.ndarray,
    midpoint: float,
    log_scale: float,
    low: float,
    height: float,
    rise: np.ndarray,
    damping: float,
) -> tuple[float, float]:
    """Return a damped Gauss-Newton step in (midpoint, log scale), the levels being solved for.

    The derivative of the residuals is Kaufman's (1975): that of the rise, without what the levels can take up.
    """
    total, scale = len(x), np.exp(log_scale)
    mean_rise = rise.mean()
    variance = 0.0
    means = np.zeros(2)
    with_rise = np.zeros(2)
    derivative = np.empty((2, total))
    for one in range(total):
        slope = height * rise[one] * (1 - rise[one]) / scale
        derivative[0, one] = -slope
        derivative[1, one] = -slope * (x[one] - midpoint)
        away = rise[one] - mean_rise
        variance += away * away
        for which in range(2):
            means[which] += derivative[which, one] / total
            with_rise[which] += derivative[which, one] * away
    a, b, c, of_midpoint, of_scale = 0.0, 0.0, 0.0, 0.0, 0.0
    for one in range(total):
        away = (rise[one] - mean_rise) / variance
        d0 = derivative[0, one] - means[0] - with_rise[0] * away
        d1 = derivative[1, one] - means[1] - with_rise[1] * away
        left = y[one] - low - height * rise[one]
        a += d0 * d0
        b += d0 * d1
        c += d1 * d1
        of_midpoint += d0 * left
        of_scale += d1 * left
    a, c = a * (1 + damping) + 1e-15, c * (1 + damping) + 1e-15
    determinant = a * c - b * b
    if determinant <= 1e-300:
        return 0.0, 0.0
    return (c * of_midpoint - b * of_scale) / determinant, (a * of_scale - b * of_midpoint) / determinant


@_compiled
def _descend(
    x: np.ndarray, y: np.ndarray, midpoint: float, log_scale: float, narrow: float, wide: float
) -> tuple[float, float, float, float, float]:
    """Go down from one start: (squared error, midpoint, log scale, low, high - low)."""
    rise, tried = np.empty(len(x)), np.empty(len(x))
    low, height, error = _levels(x, y, midpoint, np.exp(log_scale), rise)
    damping = 1e-2
    for _ in range(ITERATIONS):
        if height <= 0 or damping > 1e5:
            break
        by_midpoint, by_scale = _step(x, y, midpoint, log_scale, low, height, rise, damping)
        to_midpoint = min(max(midpoint + by_midpoint, x[0]), x[-1])
        to_scale = min(max(log_scale + by_scale, narrow), wide)
        to_low, to_height, to_error = _levels(x, y, to_midpoint, np.exp(to_scale), tried)
        if to_height > 0 and to_error < error:
            gain = error - to_error
            midpoint, log_scale, low, height, error = to_midpoint, to_scale, to_low, to_height, to_error
            rise, tried = tried, rise
            damping = max(damping / 10, 1e-12)
            if gain < SETTLED * error:
                break
        else:
            damping *= 10
    return error, midpoint, log_scale, low, height


@_compiled
def refine_logistics(
    x: np.ndarray,
    y: np.ndarray,
    midpoints: np.ndarray,
    scales: np.ndarray,
    steps: np.ndarray,
    narrow: np.ndarray,
    wide: np.ndarray,
) -> np.ndarray:
    """Fit a logistic to each row by least squares, from several starts around the shape of a grid.

    Args:
        x: [R, N] log(1 + count), ascending.
        y: [R, N] scores.
        midpoints, scales: [R] of the grid; NaN where nothing rises.
        steps: [R] midpoint of the best single split, or NaN.
        narrow, wide: [R] bounds of the logarithm of the scale.

    Returns:
        [R, 4]: midpoint, scale, low, high; NaN where nothing rises.
    """
    found = np.full((len(x), 4), np.nan)
    for row in range(len(x)):
        if np.isnan(midpoints[row]):
            continue
        near, far = narrow[row], wide[row]
        least = np.inf
        for start in range(3):
            midpoint, log_scale = midpoints[row], min(max(np.log(scales[row]), near), far)
            if start == 1:
                midpoint, log_scale = steps[row], near
                if np.isnan(midpoint):
                    continue
            elif start == 2:
                log_scale = (log_scale + far) / 2
            error, midpoint, log_scale, low, height = _descend(x[row], y[row], midpoint, log_scale, near, far)
            if height > 0 and error < least:
                least = error
                found[row] = midpoint, np.exp(log_scale), low, low + height
    return found
