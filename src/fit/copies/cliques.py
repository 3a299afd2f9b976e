"""Pictures that are all near each other."""

from itertools import islice

import networkx
import numpy as np

MOST = 20_000
"""Maximal cliques that are looked at before a search is given up."""


def find_clique(near: np.ndarray, size: int, most: int = MOST) -> tuple[list[int] | None, bool]:
    """Look for `size` pictures that are all near each other.

    The search is that of networkx (Bron and Kerbosch, with pivots) among the pictures that have neighbours enough; it
    is exact, unless it would take too long.

    Args:
        near: [N, N] bool, symmetric; the diagonal does not count.
        size: of the clique.
        most: maximal cliques that are looked at.

    Returns:
        (rows of `size` pictures, ascending, or None; whether the answer is exact: without a clique, whether all were
        looked at).
    """
    graph = networkx.from_numpy_array(near & ~np.eye(len(near), dtype=bool))
    core = networkx.k_core(graph, size - 1)
    if len(core) < size:
        return None, True
    looked = 0
    for clique in islice(networkx.find_cliques(core), most):
        looked += 1
        if len(clique) >= size:
            return sorted(clique)[:size], True
    return None, looked < most


def tightest_clique(distances: np.ndarray, size: int, most: int = MOST) -> tuple[float, list[int], bool]:
    """Find the `size` pictures whose largest distance to each other is smallest.

    A clique's members have size - 1 neighbours within its width, which bounds the width from below; a picture and its
    size - 1 nearest are a clique, which bounds it from above. In between, the distances that occur are halved.

    Args:
        distances: [N, N], symmetric.
        size: of the clique.
        most: as find_clique takes it.

    Returns:
        (width: the largest distance in it, inf where N < size; its rows; whether the width is the smallest there is.)
        It is a true clique's in any case.
    """
    count = len(distances)
    if count < size:
        return np.inf, [], True
    others = np.where(np.eye(count, dtype=bool), -np.inf, distances)
    nearest = np.argsort(others, axis=1, kind="stable")[:, :size]
    lowest = np.take_along_axis(distances, nearest[:, -1:], axis=1).min()
    widths = [distances[np.ix_(rows, rows)].max() for rows in nearest]
    best = int(np.argmin(widths))
    width, clique, exact = float(widths[best]), sorted(nearest[best].tolist()), True
    steps = np.unique(distances[np.triu_indices(count, 1)])
    low, high = np.searchsorted(steps, lowest), np.searchsorted(steps, width)
    while low < high:
        middle = (low + high) // 2
        found, is_exact = find_clique(distances <= steps[middle], size, most)
        if found is None:
            exact, low = exact and is_exact, middle + 1
        else:
            width, clique, high = float(steps[middle]), found, middle
    return width, clique, exact
