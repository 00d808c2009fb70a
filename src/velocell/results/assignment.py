"""The best one-to-one pairing of two sets. SciPy has it too, but is 110 MB for this one function."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats

Indices = NDArray[np.intp]


def best_pairs(score: Floats) -> tuple[Indices, Indices]:
    """Rows and columns of a matrix (n, m) of scores from 0 on that pair so that the sum is largest; each at most once,
    and none with a score of 0. Rows rise."""
    wanted = score > 0
    alone = wanted & (wanted.sum(axis=1, keepdims=True) == 1) & (wanted.sum(axis=0) == 1)
    rows, columns = np.nonzero(alone)
    # What nobody else wants is settled; the rest is solved together.
    i, j = np.flatnonzero((wanted & ~alone).any(axis=1)), np.flatnonzero((wanted & ~alone).any(axis=0))
    if i.size:
        rest = score[np.ix_(i, j)]
        a, b = _solved(rest) if i.size <= j.size else _solved(rest.T)[::-1]
        good = rest[a, b] > 0
        rows, columns = np.concatenate((rows, i[a[good]])), np.concatenate((columns, j[b[good]]))
    order = np.argsort(rows)
    return rows[order], columns[order]


def _solved(score: Floats) -> tuple[Indices, Indices]:
    """The Hungarian method by shortest augmenting paths (Jonker and Volgenant 1987), for n <= m: each row with one
    column. Potentials u, v keep cost - u - v from 0 on, and 0 where paired."""
    cost = -score
    n, m = cost.shape
    u, v = np.zeros(n), np.zeros(m)
    row_of = np.full(m, -1)
    for start in range(n):
        least, via = np.full(m, np.inf), np.full(m, -1)
        done = np.zeros(m, bool)
        row, column = start, -1
        while True:
            slack = cost[row] - u[row] - v
            if column >= 0:
                slack = slack + least[column]
            closer = ~done & (slack < least)
            least[closer], via[closer] = slack[closer], column
            column = int(np.argmin(np.where(done, np.inf, least)))
            done[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        reached = done & (row_of >= 0)
        shift = least[column] - least[reached]
        u[row_of[reached]] += shift
        v[reached] -= shift
        u[start] += least[column]
        while column >= 0:
            previous = int(via[column])
            row_of[column] = start if previous < 0 else row_of[previous]
            column = previous
    columns = np.flatnonzero(row_of >= 0)
    return row_of[columns], columns
