"""DBSCAN (Ester et al. 1996) of points in a plane, by SciPy's tree and components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

_MOST = 4_000


def dbscan(points: NDArray[np.float64], eps: float, least: int) -> NDArray[np.intp]:
    """Cluster of each of the points (n, 2), -1 for noise. A point is a core point with `least` points, itself included,
    within eps; core points within eps of each other are one cluster; others join one of a core point within eps.
    Of more than 4000 points the newest, which stand last, are taken."""
    label = np.full(len(points), -1, np.intp)
    used = points[-_MOST:]
    n = len(used)
    if n < least:
        return label
    pairs = cKDTree(used).query_pairs(eps, output_type="ndarray")
    core = np.bincount(pairs.ravel(), minlength=n) + 1 >= least
    both = core[pairs].all(axis=1)
    joined = pairs[both]
    graph = coo_matrix((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(n, n))
    part = connected_components(graph, directed=False)[1]
    names = np.unique(part[core])
    own = np.full(n, -1, np.intp)
    own[core] = np.searchsorted(names, part[core])
    for a, b in ((0, 1), (1, 0)):
        border = ~core[pairs[:, a]] & core[pairs[:, b]]
        own[pairs[border, a]] = own[pairs[border, b]]
    label[-_MOST:] = own
    return label
