"""Loops of the estimators over many data sets, compiled: segments by dynamic programming, and least squares of a rise.

Rows of counts ascend. Concepts of one count are one place: nothing here depends on their order.
"""

import numba
import numpy as np

_compiled = numba.njit(nogil=True, cache=True)

ITERATIONS = 100
"""Of least squares, from each start; most ways take fewer than ten."""
SETTLED = 1e-10
"""Share of the squared error below which a step gains nothing."""
ROUNDING = 1e-14
"""The same, as a share of the squares of the scores: of scores without noise the error is 0."""
FIRST_DAMPING, LEAST_DAMPING = 1e-3, 1e-7
"""So that the equations of a step can be solved."""
SPLITS = 2
"""Single splits from which narrow fits start."""
APART = 0.05
"""In log(1 + count): these splits are as far from each other."""
NEAR = 0.3
"""In scales, and in their logarithm: fits that are as near to each other are one."""
FLAT = 36.0
"""Scales from the midpoint beyond which a logistic is 0 or 1 to double precision."""
LEAST_RISE = 1e-12
"""Sum of squares of a rise around its mean, below which it is a constant."""
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
def first_changes(scores: np.ndarray, penalty: float) -> np.ndarray:
    """Return the index [R] of the first of N concepts after the first change of each row [R, N], by order; 0: none."""
    places, found = np.arange(float(scores.shape[1])), np.zeros(len(scores), np.int64)
    for row in range(len(scores)):
        changes = segment(places, scores[row], penalty)
        if len(changes):
            found[row] = changes[0]
    return found


@_compiled
def isotonic_middles(counts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the counts [R] at which the isotonic fit of each row [R, N] reaches the middle of its rise; NaN for none.

    The fit pools neighbours that fall (Barlow et al. 1972); fit.thresholds.estimators.isotonic says what the middle is.
    """
    rows, total = scores.shape
    found = np.full(rows, np.nan)
    sums, ends = np.empty(total), np.empty(total + 1, np.int64)
    fifth = max(1, total // 5)
    ends[0] = 0
    for row in range(rows):
        blocks, at = 0, 0
        while at < total:
            value, start = 0.0, at
            while at < total and counts[row, at] == counts[row, start]:
                value += scores[row, at]
                at += 1
            # A block whose mean is not below that of the next one is pooled with it.
            while blocks and sums[blocks - 1] * (at - ends[blocks]) >= value * (ends[blocks] - ends[blocks - 1]):
                blocks -= 1
                value += sums[blocks]
            sums[blocks], ends[blocks + 1] = value, at
            blocks += 1
        low, high = 0.0, 0.0
        for one in range(blocks):
            mean = sums[one] / (ends[one + 1] - ends[one])
            sums[one] = mean
            low += mean * max(min(ends[one + 1], fifth) - ends[one], 0)
            high += mean * max(ends[one + 1] - max(ends[one], total - fifth), 0)
        low, high = low / fifth, high / fifth
        if low < high:
            one = 0
            while sums[one] < (low + high) / 2:
                one += 1
            found[row] = counts[row, ends[one]]
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


# --- the logistic -----------------------------------------------------------------------------------------------------


@_compiled
def _best_of_grid(x: np.ndarray, weights: np.ndarray, sums: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Return for each of S scales which of M midpoints leaves the least squared error, [S]; -1 where none rises.

    Args:
        x, weights, sums: [U] as _at_shape takes them.
        shapes: [BINS, S, M] rises over the range of x.
    """
    bins, scales, midpoints = shapes.shape
    number = scales * midpoints
    rises, squares, with_scores = np.zeros(number), np.zeros(number), np.zeros(number)
    per_bin = (bins - 1) / (x[-1] - x[0])
    at = 0
    while at < len(x):
        its = round((x[at] - x[0]) * per_bin)
        weight, of_scores = 0.0, 0.0
        while at < len(x) and round((x[at] - x[0]) * per_bin) == its:
            weight += weights[at]
            of_scores += sums[at]
            at += 1
        of_bin = shapes[its].ravel()
        for one in range(number):
            rise = of_bin[one]
            rises[one] += weight * rise
            squares[one] += weight * rise * rise
            with_scores[one] += of_scores * rise
    total = weights.sum()
    found = np.full(scales, -1, np.int64)
    for scale in range(scales):
        most = 0.0
        for midpoint in range(midpoints):
            one = scale * midpoints + midpoint
            variance = squares[one] - rises[one] * rises[one] / total
            if with_scores[one] > 0 and variance > LEAST_RISE:
                gain = with_scores[one] * with_scores[one] / variance
                if gain > most:
                    found[scale], most = midpoint, gain
    return found


@_compiled
def _best_rises(x: np.ndarray, before: np.ndarray, sums_before: np.ndarray) -> np.ndarray:
    """Return the middles between places at which single splits rise best, [SPLITS]; NaN where there are fewer.

    They are more than APART from each other.
    """
    removed = np.zeros(len(x))
    for at in range(1, len(x)):
        if sums_before[at] < 0:
            removed[at] = sums_before[at] * sums_before[at] * (1 / before[at] + 1 / (before[-1] - before[at]))
    found = np.full(SPLITS, np.nan)
    for one in range(SPLITS):
        at = int(removed.argmax())
        if removed[at] == 0:
            break
        found[one] = (x[at - 1] + x[at]) / 2
        first = at
        while first > 1 and x[first - 1] > found[one] - APART:
            first -= 1
        last = at
        while last < len(x) and x[last] < found[one] + APART:
            last += 1
        removed[first : last + 1] = 0
    return found


@_compiled
def _at_shape(
    x: np.ndarray,
    weights: np.ndarray,
    sums: np.ndarray,
    before: np.ndarray,
    sums_before: np.ndarray,
    midpoint: float,
    scale: float,
) -> tuple[float, float, float, float, float, float, float, float]:
    """Look at the logistic of one shape, with its best levels, which are linear in the scores.

    Args:
        x: [U] places; weights: concepts at each; sums: of their scores, whose mean is 0.
        before, sums_before: [U + 1] sums of weights and sums before each place.
        midpoint, scale: of the shape.

    Returns:
        (squared error removed, its half derivatives by midpoint / scale and by log scale, its half second derivatives
        downwards, a, b and c of [[a, b], [b, c]], mean of the rise, and height). All are 0 where nothing rises.
    """
    first = np.searchsorted(x, midpoint - FLAT * scale)
    last = np.searchsorted(x, midpoint + FLAT * scale)
    total = before[-1]
    # The rise is 0 before `first`, and 1 from `last` on. Sums over the places: of weights (w) or scores (s) times the
    # rise r, its slope q = r (1 - r), that slope's slope u = q (1 - 2 r), and powers of z.
    w_r = total - before[last]
    w_rr, s_r = w_r, sums_before[-1] - sums_before[last]
    w_q, w_qz, w_u, w_uz, w_uzz = 0.0, 0.0, 0.0, 0.0, 0.0
    w_qr, w_qzr, w_ur, w_uzr, w_uzzr = 0.0, 0.0, 0.0, 0.0, 0.0
    w_qq, w_qqz, w_qqzz = 0.0, 0.0, 0.0
    s_q, s_qz, s_u, s_uz, s_uzz = 0.0, 0.0, 0.0, 0.0, 0.0
    for one in range(first, last):
        z = (x[one] - midpoint) / scale
        r = 1 / (1 + np.exp(-z))
        q = r * (1 - r)
        u = q * (1 - 2 * r)
        qz, uz = q * z, u * z
        uzz = uz * z
        w, s = weights[one], sums[one]
        w_r += w * r
        w_rr += w * r * r
        w_q += w * q
        w_qz += w * qz
        w_u += w * u
        w_uz += w * uz
        w_uzz += w * uzz
        w_qr += w * q * r
        w_qzr += w * qz * r
        w_ur += w * u * r
        w_uzr += w * uz * r
        w_uzzr += w * uzz * r
        w_qq += w * q * q
        w_qqz += w * q * qz
        w_qqzz += w * qz * qz
        s_r += s * r
        s_q += s * q
        s_qz += s * qz
        s_u += s * u
        s_uz += s * uz
        s_uzz += s * uzz
    mean = w_r / total
    variance = w_rr - w_r * mean
    if s_r <= 0 or variance < LEAST_RISE:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    height = s_r / variance
    # Derivatives by midpoint / scale (1) and by log scale (2): of s_r, and half of those of the variance.
    c1, c2 = -s_q, -s_qz
    v1, v2 = w_q * mean - w_qr, w_qz * mean - w_qzr
    q11 = w_qq - w_q * w_q / total
    q12 = w_qqz - w_q * w_qz / total
    q22 = w_qqzz - w_qz * w_qz / total
    h1, h2 = c1 - 2 * height * v1, c2 - 2 * height * v2
    g1, g2 = height * (c1 - height * v1), height * (c2 - height * v2)
    # Of the error removed, s_r^2 / variance, half of the second derivatives: downwards.
    a = height * (height * (q11 + w_ur - mean * w_u) - s_u) - h1 * h1 / variance
    b = height * (height * (q12 + w_uzr + w_qr - mean * (w_uz + w_q)) - s_uz - s_q) - h1 * h2 / variance
    c = height * (height * (q22 + w_uzzr + w_qzr - mean * (w_uzz + w_qz)) - s_uzz - s_qz) - h2 * h2 / variance
    if not (a > 0 and c > 0 and a * c > b * b):
        # There is no maximum ahead: Gauss and Newton's approximation, with Kaufman's derivative (1975).
        a = height * height * (q11 - v1 * v1 / variance)
        b = height * height * (q12 - v1 * v2 / variance)
        c = height * height * (q22 - v2 * v2 / variance)
    return height * s_r, g1, g2, a, b, c, mean, height


@_compiled
def _descend(
    x: np.ndarray,
    weights: np.ndarray,
    sums: np.ndarray,
    before: np.ndarray,
    sums_before: np.ndarray,
    squares: float,
    start: tuple[float, float],
    bounds: tuple[float, float],
    known: tuple[float, float],
) -> tuple[float, float, float, float, float]:
    """Go down from one start, by damped Newton steps: (squared error removed, midpoint, log scale, mean rise, height).

    Args:
        x, weights, sums, before, sums_before: as _at_shape takes them.
        squares: of the scores, whose mean is 0.
        start: midpoint and log scale.
        bounds: of the log scale; the midpoint is bounded by x.
        known: midpoint and log scale of a fit; a way that leads there is left, and nothing is returned.
    """
    midpoint, log_scale = start
    narrow, wide = bounds
    here = _at_shape(x, weights, sums, before, sums_before, midpoint, np.exp(log_scale))
    damping = FIRST_DAMPING
    for _ in range(ITERATIONS):
        removed, g1, g2, a, b, c = here[:6]
        # A parameter at its bound stays there, if the error falls beyond it; so does one that changes nothing.
        is_free = a > 0 and not (midpoint <= x[0] and g1 < 0) and not (midpoint >= x[-1] and g1 > 0)
        is_scale_free = c > 0 and not (log_scale <= narrow and g2 < 0) and not (log_scale >= wide and g2 > 0)
        a, c = a * (1 + damping), c * (1 + damping)
        step, step_scale = 0.0, 0.0
        if is_free and is_scale_free:
            determinant = a * c - b * b
            if determinant > 0:
                step, step_scale = (c * g1 - b * g2) / determinant, (a * g2 - b * g1) / determinant
        elif is_free:
            step = g1 / a
        elif is_scale_free:
            step_scale = g2 / c
        if not step * g1 + step_scale * g2 > SETTLED * (squares - removed) + ROUNDING * squares:
            break
        to = min(max(midpoint + step * np.exp(log_scale), x[0]), x[-1])
        to_scale = min(max(log_scale + step_scale, narrow), wide)
        there = _at_shape(x, weights, sums, before, sums_before, to, np.exp(to_scale))
        if there[0] > removed:
            here, midpoint, log_scale = there, to, to_scale
            damping = max(damping / 10, LEAST_DAMPING)
            if abs(midpoint - known[0]) < NEAR * np.exp(known[1]) and abs(log_scale - known[1]) < NEAR:
                return 0.0, midpoint, log_scale, 0.0, 0.0
        else:
            damping = max(damping * 10, FIRST_DAMPING)
    return here[0], midpoint, log_scale, here[6], here[7]


@_compiled
def fit_logistics(
    x: np.ndarray,
    scores: np.ndarray,
    shapes: np.ndarray,
    midpoints: np.ndarray,
    scales: np.ndarray,
    bounds: tuple[float, float],
) -> np.ndarray:
    """Fit a logistic to each row by least squares: from SPLITS single splits, and the best of a grid at each scale.

    Args:
        x: [R, N] log(1 + count), ascending.
        scores: [R, N].
        shapes: [BINS, S, M] rises of a grid of logistics over the range of x.
        midpoints, scales: [M] and [S] of the grid, in shares of that range.
        bounds: of the scale: the least one, and the largest in shares of the range.

    Returns:
        [R, 4]: midpoint, scale, low, high; NaN where nothing rises.
    """
    found = np.full((len(x), 4), np.nan)
    for row in range(len(x)):
        if x[row, 0] == x[row, -1] or scores[row].min() == scores[row].max():
            continue
        first, sums_before = _places(x[row], scores[row])
        places, sums, before = x[row][first[:-1]], np.diff(sums_before), first.astype(np.float64)
        weights = np.diff(before)
        mean = scores[row].mean()
        squares = ((scores[row] - mean) ** 2).sum()
        span = places[-1] - places[0]
        narrow = np.log(bounds[0])
        wide = max(np.log(bounds[1] * span), np.log(2 * bounds[0]))
        best, splits = _best_of_grid(places, weights, sums, shapes), _best_rises(places, before, sums_before)
        most, known = 0.0, (np.inf, 0.0)
        for start in range(len(splits) + len(best)):
            if start < len(splits):
                midpoint, log_scale = splits[start], narrow
            else:
                of_scale = start - len(splits)
                midpoint = places[0] + span * midpoints[best[of_scale]] if best[of_scale] >= 0 else np.nan
                log_scale = min(max(np.log(span * scales[of_scale]), narrow), wide)
            if np.isnan(midpoint):
                continue
            removed, midpoint, log_scale, rise, height = _descend(
                places, weights, sums, before, sums_before, squares, (midpoint, log_scale), (narrow, wide), known
            )
            if removed > most:
                most, known = removed, (midpoint, log_scale)
                low = mean - height * rise
                found[row] = midpoint, np.exp(log_scale), low, low + height
    return found
