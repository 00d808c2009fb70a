"""Pairings against SciPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from velocell.results.assignment import best_pairs


@given(st.integers(0, 9), st.integers(0, 9), st.floats(0, 1), st.integers(0, 4), st.integers(0, 10**6))
def test_no_pairing_is_better(n, m, share, steps, seed):
    rng = np.random.default_rng(seed)
    score = rng.random((n, m)) * (rng.random((n, m)) < share)
    if steps:  # with ties
        score = np.round(score * steps)
    i, j = best_pairs(score)
    assert (np.diff(i) > 0).all()
    assert np.unique(j).size == j.size
    assert (score[i, j] > 0).all()
    np.testing.assert_allclose(score[i, j].sum(), score[linear_sum_assignment(-score)].sum())


def test_the_largest_sum_is_not_the_largest_score_first():
    i, j = best_pairs(np.array([[10.0, 9, 0], [9, 0, 0], [0, 0, 1]]))
    assert (i.tolist(), j.tolist()) == ([0, 1, 2], [1, 0, 2])
