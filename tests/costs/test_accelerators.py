"""Accelerators have dense peaks and prices with a basis; runs get whole nodes."""

from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.costs.accelerators import accelerators, find_accelerator
from planner.costs.energy import energy_kwh
from planner.costs.throughput import accelerators_for, measured_utilisation, typical_utilisation
from planner.errors import InputError

every_chip = pytest.mark.parametrize("name", accelerators())
H100 = find_accelerator("h100")

DENSE = {  # NVIDIA data sheets, BF16 and FP8 tensor core, the figures without sparsity
    "a100": (312e12, None),
    "h100": (989e12, 1979e12),
    "h800": (989e12, 1979e12),
    "h200": (989e12, 1979e12),
    "b200": (2250e12, 4500e12),
}


@every_chip
def test_peaks_are_dense_against_published(name):
    found = find_accelerator(name)
    assert (found.bf16_flops, found.fp8_flops) == DENSE[name]


def test_no_bf16_peak_is_a_sparse_one():
    sparse = {624e12, 1979e12, 1979.5e12, 4500e12}  # twice the dense figure, as printed on the same sheets
    assert not sparse & {chip.bf16_flops for chip in accelerators().values()}


@every_chip
def test_every_price_has_a_basis_with_its_date_or_paper(name):
    found = find_accelerator(name)
    assert found.usd_per_hour > 0
    assert "202" in found.price_basis or "arXiv" in found.price_basis


@every_chip
def test_every_figure_is_in_raw_units(name):
    found = find_accelerator(name)
    assert 1e14 < found.bf16_flops < 1e16
    assert 4e10 <= found.memory_bytes < 1e12
    assert 300 <= found.tdp_watts <= 2000
    assert 1 < found.server_power_factor < 3
    assert found.per_node == 8
    assert len(astuple(found)) == 9


def test_the_name_is_found_in_any_case():
    assert find_accelerator("H100") is H100


@pytest.mark.parametrize(("name", "hint"), [("h10", "did you mean 'h100'"), ("abacus", "one of: a100, h100")])
def test_an_unknown_name_is_refused_with_what_to_try(name, hint):
    with pytest.raises(InputError, match=f"unknown accelerator '{name}'") as refusal:
        find_accelerator(name)
    assert hint in refusal.value.hint


def test_an_h100_hour_takes_1_05_kwh_against_published():
    # 700 W x 1.82 x .75 x 1.1: server power and draw of Cottier et al., arXiv 2405.21015
    assert round(energy_kwh(1.0, H100), 2) == 1.05
    assert energy_kwh(2e6, H100) == pytest.approx(2e6 * energy_kwh(1.0, H100))
    assert energy_kwh(0.0, H100) == 0


def test_utilisation_and_hours_are_inverse():
    hours = typical_utilisation().gpu_hours(1e22, H100)
    assert measured_utilisation(1e22, hours, H100).fraction == pytest.approx(typical_utilisation().fraction)


@pytest.mark.parametrize(
    ("gpu_hours", "cluster", "count"),
    [
        (1.0, 2048, 8),  # one node at least
        (8 * 24 * 7, 2048, 8),  # just fits one node for a week
        (8 * 24 * 7 + 1, 2048, 16),
        (5 * 8 * 24 * 7, 2048, 64),  # five nodes are rounded up to eight
        (1e9, 2048, 2048),  # all there is
        (0.0, 2048, 8),
    ],
)
def test_a_run_gets_the_smallest_power_of_two_of_nodes(gpu_hours, cluster, count):
    assert accelerators_for(gpu_hours, H100, cluster, max_days=7.0) == count


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(0, 1e10), st.sampled_from(list(accelerators().values())), st.integers(1, 4096), st.floats(0.1, 365))
def test_a_run_gets_whole_nodes_within_the_cluster_and_ends_in_time(gpu_hours, chip, nodes, max_days):
    cluster = nodes * chip.per_node
    count = accelerators_for(gpu_hours, chip, cluster, max_days)
    assert count % chip.per_node == 0
    assert chip.per_node <= count <= cluster
    assert count == cluster or gpu_hours / count / 24 <= max_days * (1 + 1e-9)


def test_a_run_gets_whole_nodes_of_a_cluster_that_ends_in_part_of_one():
    assert accelerators_for(1e9, H100, 20, max_days=7.0) == 16
