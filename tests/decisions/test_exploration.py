"""What exploration is worth: the value of loss, the optimum, implied elasticities, the stop rule."""

import functools
import math

import numpy as np
import pytest
from truths import TRUTHS, noisy

from planner.decisions.allocation import flops_at
from planner.decisions.exploration import (
    EXCESSES,
    LAW,
    TUNING,
    IdeaPool,
    Learning,
    best_of_fixed_total,
    best_saved,
    compute_worth,
    frontier_elasticity,
    implied,
    law_learning,
    spend_to_confidence,
    stop_rule,
    value_of_loss,
)
from planner.errors import InputError
from planner.fitting.fit import fit
from planner.fitting.predict import predict
from planner.runs.columns import Count
from planner.runs.sample import Sample


@functools.cache
def made():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, 0)
    return fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))


@pytest.mark.parametrize("law", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize("excess", [*EXCESSES, 0.1, 0.5])
def test_the_value_of_loss_is_found_along_the_frontier(law, excess):
    for flops in (1e22, 6.3e24):
        higher = float(law(*law.optimum(flops))) * (1 + excess)
        assert compute_worth(law, flops, excess) == pytest.approx(1 - flops_at(law, higher) / flops, abs=1e-8)


def test_a_tenth_of_a_percent_of_loss_is_a_tenth_of_the_final_compute_against_published():
    # This project's figures at 6.3e24 FLOPs on Besiroglu's law: s = .0095, 10 % for 0.1 %, 41 % for 0.5 % (first order).
    law = TRUTHS["besiroglu"]
    s = frontier_elasticity(law, 6.3e24)
    assert s == pytest.approx(0.0095, abs=2e-4)
    closed = law.alpha * law.beta / (law.alpha + law.beta) * (1 - law.E / float(law(*law.optimum(6.3e24))))
    assert s == pytest.approx(closed, rel=1e-5)
    assert compute_worth(law, 6.3e24, 0.001) == pytest.approx(0.10, abs=0.005)
    assert compute_worth(law, 6.3e24, 0.005) == pytest.approx(0.41, abs=0.02)


def test_values_have_intervals_that_hold_the_truth():
    for value in value_of_loss(made(), flops=1e23):
        low, high = value.interval
        assert low <= value.waste <= high
        assert low <= compute_worth(TRUTHS["coupled"], 1e23, value.excess) <= high


def test_the_best_spending_on_law_and_tuning_is_four_percent_against_published():
    assert LAW.best + TUNING.best == pytest.approx(0.039, abs=0.001)
    left = LAW.left(LAW.best) + TUNING.left(TUNING.best)
    assert LAW.best + TUNING.best + left == pytest.approx(0.117, abs=0.002)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_the_best_spending_is_the_lowest_of_spending_and_waste(power):
    learning = Learning("", 0.08, 0.01, power, "")
    spent = np.geomspace(1e-4, 1, 100_001)
    total = spent + np.minimum(1, 0.08 * (spent / 0.01) ** -power)
    assert learning.best == pytest.approx(spent[int(np.argmin(total))], rel=1e-3)


# This project's simulations: ranked ideas, the k-th worth .15 k^-.8 nats, three quarters kept.
PUBLISHED = {0.0006: (0.95, 0.75), 0.003: (0.41, 0.98), 0.01: (0.26, 1.1), 0.05: (0.15, 1.2)}


@pytest.mark.parametrize(("cost", "multiples"), PUBLISHED.items())
def test_the_best_multiple_for_ideas_against_published(cost, multiples):
    pool = IdeaPool(cost)
    found = best_of_fixed_total(pool).multiple, best_saved(pool, 10).multiple
    assert found == pytest.approx(
        multiples, rel=0.09
    )  # the published ones were read off a coarse grid of a flat optimum
    at = best_of_fixed_total(pool)
    assert at.ideas == int(at.multiple / cost)
    assert at.net == pytest.approx(at.log_gain - math.log1p(at.multiple))


def test_an_elasticity_is_the_slope_of_the_gain():
    pool, spent = IdeaPool(0.0001), 1.0
    ideas = spent / pool.cost
    slope = float(pool.log_gain(np.array([spent * 1.1]))[0] - pool.log_gain(np.array([spent / 1.1]))[0]) / (
        2 * math.log(1.1)
    )
    assert pool.elasticity(spent) == pytest.approx(slope, rel=0.01)
    assert pool.elasticity(spent) == pytest.approx(0.75 * 0.15 * ideas**0.2)


def test_a_multiple_says_which_elasticity_times_reuse_it_implies():
    found = implied(3.0, 2.0, IdeaPool(0.003))
    assert found.elasticity == 1.5
    assert found.reuse_needed == pytest.approx(3 / found.pool_elasticity)
    assert "elasticity x reuse = 3" in found.sentence
    assert "which would need" in found.sentence
    assert "which is enough" in implied(3.0, 20.0, IdeaPool(0.003)).sentence
    for multiple in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="not above zero"):
            implied(multiple, 1.0, IdeaPool(0.003))


def test_ideas_that_cost_more_than_they_give_are_not_worth_any():
    assert best_of_fixed_total(IdeaPool(5.0, first=0.01)).multiple == 0
    for bad in ({"cost": 0.0}, {"cost": 0.1, "kept": 1.1}, {"cost": math.nan}, {"cost": 0.1, "decay": -1.0}):
        with pytest.raises(InputError, match="out of range"):
            IdeaPool(**bad)


def test_the_stop_rule_stops_where_the_next_doubling_costs_more_than_it_saves():
    early, late = (stop_rule(law_learning(made(), flops=1e24, spent=spent)) for spent in (1e-6, 0.5))
    assert not early.stop
    assert late.stop
    assert early.sentence.startswith("go on: ")
    assert late.sentence.startswith("stop: ")
    assert "less than it costs" in late.sentence
    for found in (early, late):
        assert found.stop == (found.next_saves <= found.spent)
        assert "\n" not in found.sentence
        assert found.next_saves == pytest.approx(found.waste * (1 - 2**-0.5))
    with pytest.raises(InputError, match="not above zero"):
        law_learning(made(), flops=1e24, spent=0.0)


def test_confidence_falls_with_spending_to_the_floor_of_the_laws_own_error():
    rows = spend_to_confidence(made(), flops=1e25, spent=0.01)
    low, high = predict(made(), params=(best := made().law.optimum(1e25)).params, tokens=best.tokens).interval_mean
    assert rows[0].half_width == pytest.approx(math.log(high / low) / 2)
    widths = [row.half_width for row in rows]
    assert widths == sorted(widths, reverse=True)
    assert all(row.half_width > row.floor > 0 for row in rows)
    letters = [math.sqrt(row.half_width**2 - row.floor**2) for row in rows]
    assert letters[0] / letters[-1] == pytest.approx(math.sqrt(rows[-1].spent / rows[0].spent))
