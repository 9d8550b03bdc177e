"""What one run costs: the modelled hours, the given ones, dollars and their ranges."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.costs.accelerators import Precision, find_accelerator
from planner.costs.cost import cost, reasons, step_law_batch
from planner.costs.planned import TYPICAL, Offer, kept_hours, measured_yardstick, planned_hours, whole_nodes
from planner.costs.prices import Basis
from planner.costs.reliability import Reliability
from planner.costs.run_cost import PRODUCTION, lognormal
from planner.costs.search import Cluster, fastest_layout
from planner.errors import InputError
from planner.models.catalog import find_model

H100, H800 = find_accelerator("h100"), find_accelerator("h800")


def deepseek(**changes):
    given = {"accelerator": "h800", "count": 2048, "batch_tokens": 62.9e6, "precision": Precision.FP8, **changes}
    return cost("deepseek-v3", 14.8e12, **given)


def test_deepseek_v3s_given_hours_days_and_dollars_against_published():
    # arXiv 2412.19437, table 1: 2.664M H800-hours at $2, 3.7 days per trillion tokens on 2,048
    measured = deepseek(gpu_hours_per_trillion_tokens=180e3, usd_per_gpu_hour=2.0).measured
    assert measured.hours.expected == pytest.approx(2.664e6)
    assert measured.usd_rental.p50 == pytest.approx(5.328e6)
    assert round(measured.days / 14.8, 1) == 3.7
    assert measured.hours.percentiles.p10 == measured.hours.percentiles.p90 == measured.hours.expected


def test_deepseek_v3s_published_hours_lie_within_the_modelled_range():
    spread = deepseek().modelled.hours.percentiles
    assert spread.p10 < 2.664e6 < spread.p90


def test_modelled_hours_do_not_know_the_given_ones():
    assert deepseek(gpu_hours_per_trillion_tokens=180e3).modelled == deepseek().modelled


def test_the_gap_between_both_is_explained_with_its_figures():
    found = deepseek(gpu_hours_per_trillion_tokens=180e3, precision=Precision.BF16)
    told = " ".join(reasons(found))
    assert f"{2.664e6 / found.modelled.hours.expected:.2f} times the modelled" in told
    assert "35.2% of the BF16 peak" in told
    assert "--precision fp8" in told
    assert not reasons(deepseek())
    assert "--batch" not in told
    assumed = deepseek(gpu_hours_per_trillion_tokens=180e3, batch_tokens=None)
    assert "at a larger one: --batch" in " ".join(reasons(assumed))


def test_hours_are_the_fastest_layouts_over_goodput_and_production():
    hours = deepseek().modelled.hours
    assert hours.expected == pytest.approx(hours.ideal / hours.goodput / PRODUCTION)
    assert hours.steps == -(-14_800_000_000_000 // deepseek().modelled.fastest.batch_tokens)


def test_dollars_are_hours_times_the_price_and_its_range_widens_theirs():
    found = cost("llama-3-8b", 1e12, accelerator="h100", count=512, basis=Basis.LIST).modelled
    assert found.usd_rental.p50 == pytest.approx(found.hours.expected * 2.95)
    given = cost("llama-3-8b", 1e12, accelerator="h100", count=512, usd_per_gpu_hour=2.95).modelled
    assert given.usd_rental.p50 == pytest.approx(found.usd_rental.p50)
    assert found.usd_rental.p10 < given.usd_rental.p10 < given.usd_rental.p90 < found.usd_rental.p90


def test_a_chip_nobody_sells_has_no_owned_dollars_unless_its_price_is_given():
    assert cost("gpt-2-xl", 1e10, accelerator="tpu-v4", count=8).modelled.usd_owned is None
    assert cost("gpt-2-xl", 1e10, accelerator="tpu-v4", count=8, usd_per_chip=1e4).modelled.usd_owned.p50 > 0


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from(["gpt-2-xl", "llama-3-8b", "deepseek-v2-lite"]), st.floats(1e9, 1e13),
    st.sampled_from(["a100", "h100", "b200"]), st.sampled_from([64, 96, 512]), st.none() | st.floats(1e3, 1e7),
)  # fmt: skip
def test_no_amount_is_negative_and_percentiles_are_in_order(model, tokens, chip, count, rate):
    found = cost(model, tokens, accelerator=chip, count=count, gpu_hours_per_trillion_tokens=rate)
    run = found.best_known
    for spread in (run.hours.percentiles, run.usd_rental, run.usd_owned):
        assert 0 < spread.p10 <= spread.p50 <= spread.p90
    assert min(run.flops, run.days, run.energy_kwh, run.co2_kg, run.mfu, run.utilisation) > 0
    assert 0 < found.modelled.utilisation < found.modelled.mfu < 1
    twice = cost(model, 2 * tokens, accelerator=chip, count=count, batch_tokens=step_law_batch(tokens))
    once = cost(model, tokens, accelerator=chip, count=count, batch_tokens=step_law_batch(tokens))
    assert twice.modelled.hours.expected >= once.modelled.hours.expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accelerator": "h8000"}, "unknown accelerator"),
        ({"accelerator": "a100", "precision": Precision.FP8}, "a100 has no fp8 peak"),
        ({"count": 2047}, "not a whole number of nodes"),
        ({"count": 8}, "cannot hold a model"),
        ({"batch_tokens": 1e14}, "more than the run's"),
        ({"batch_tokens": -1.0}, "batch_tokens = -1.0 is not positive"),
        ({"gpu_hours_per_trillion_tokens": 0.0}, "gpu_hours_per_trillion_tokens = 0.0"),
        ({"usd_per_gpu_hour": float("nan")}, "usd_per_gpu_hour = nan"),
        ({"grid": "mars"}, "unknown grid"),
        ({"basis": Basis.SPOT}, "no spot rent is known for h800"),
        ({"context_length": 0}, "context_length = 0"),
    ],
)
def test_what_cannot_be_priced_is_refused_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as refusal:
        deepseek(**changes)
    assert "\n" not in str(refusal.value)
    assert refusal.value.hint


def test_a_lognormal_has_its_published_quantiles():
    spread = lognormal(10.0, 0.5)
    assert (spread.p10, spread.p50, spread.p90) == pytest.approx((10 * 0.5269, 10.0, 10 * 1.8980), rel=1e-4)


OFFER = Offer(H800, 2048, 7.0)
SMALL = find_model("deepseek-v2-lite")


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(1e10, 1e12), st.sampled_from([8, 16, 64, 2048]), st.floats(1, 30))
def test_a_planned_run_gets_powers_of_two_of_nodes_that_end_in_time(tokens, count, max_days):
    n, hours = planned_hours(SMALL, tokens, Offer(H100, count, max_days), 4e6, 4096, TYPICAL)
    assert n in (8 * 2**power for power in range(9))
    assert n <= count
    assert n * 2 > count or hours / n / 24 <= max_days * (1 + 1e-9)
    assert hours > 0


def test_a_planned_run_gets_as_many_chips_as_hold_it():
    n, _ = planned_hours(find_model("deepseek-v3"), 1e9, OFFER, 4e6, 4096, TYPICAL)
    assert n >= 128
    with pytest.raises(InputError, match="cannot hold"):
        planned_hours(find_model("deepseek-v3"), 1e9, replace(OFFER, count=8), 4e6, 4096, TYPICAL)


def test_kept_hours_are_steps_seconds_and_chips_over_goodput():
    cluster = Cluster(H800, 64)
    best = fastest_layout(SMALL, cluster, 4e6, 4096)
    steps = 1e12 / best.batch_tokens
    lost = Reliability().goodput(64)
    assert kept_hours(SMALL, 1e12, cluster, 4e6, 4096) == pytest.approx(steps * best.seconds * 64 / 3600 / lost)
    assert kept_hours(SMALL, 1e12, Cluster(H800, 66), 4e6, 4096) == kept_hours(SMALL, 1e12, cluster, 4e6, 4096)


def test_a_measured_run_sets_the_yardstick_of_the_others():
    kept = kept_hours(SMALL, 1e12, Cluster(H800, 64), 4e6, 4096)
    slow = measured_yardstick(3 * kept, kept)
    assert slow.factor == pytest.approx(3.0)
    ours = planned_hours(SMALL, 1e10, OFFER, 4e6, 4096, slow)[1]
    assert ours == pytest.approx(3 * PRODUCTION * planned_hours(SMALL, 1e10, OFFER, 4e6, 4096, TYPICAL)[1])


@pytest.mark.parametrize(("count", "whole"), [(1, 1), (3, 2), (7, 4), (8, 8), (20, 16), (2047, 2040)])
def test_only_whole_nodes_are_counted_on(count, whole):
    assert whole_nodes(H100, count) == whole
