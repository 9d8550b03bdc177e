import numpy as np
import pytest
from scipy import stats

from planner.fitting.ranks import spearman


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_with_ties_against_scipy(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 6, 40).astype(float)
    y = x * rng.normal() + rng.normal(size=40).round(1)
    theirs = stats.spearmanr(x, y)
    assert spearman(x, y) == pytest.approx((theirs.statistic, theirs.pvalue))
