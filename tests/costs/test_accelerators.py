"""Accelerators have dense peaks and prices with a basis; runs get whole nodes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truths import REPOSITORY

from planner.costs.accelerators import Precision, accelerators, find_accelerator, typical_ceiling
from planner.costs.energy import energy_kwh
from planner.costs.throughput import accelerators_for, utilisation_of
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


@pytest.mark.parametrize("name", DENSE)
def test_peaks_are_dense_against_published(name):
    found = find_accelerator(name)
    assert (found.bf16_flops, found.fp8_flops) == DENSE[name]


def test_no_bf16_peak_is_a_sparse_one():
    sparse = {624e12, 1979e12, 1979.5e12, 4500e12}  # twice the dense figure, as printed on the same sheets
    assert not sparse & {chip.bf16_flops for chip in accelerators().values()}


@every_chip
def test_every_figure_is_in_raw_units(name):
    found = find_accelerator(name)
    assert 1e14 < found.bf16_flops < 1e16
    assert 1e10 < found.memory_bytes < 1e12
    assert 5e11 < found.memory_bandwidth < 1e13
    assert 5e10 < found.scaleup_bandwidth_one_way < 1e12
    assert found.scaleout_bandwidth_one_way is None or 1e10 < found.scaleout_bandwidth_one_way < 2e11
    assert found.tdp_watts is None or 100 <= found.tdp_watts <= 2000
    assert 1 < found.server_power_factor < 3
    assert found.scaleup_domain % 2 == found.per_node % 2 == 0
    assert 0.5 < found.matmul_ceiling < 0.9
    assert found.source


@every_chip
def test_lower_precision_is_never_slower(name):
    found = find_accelerator(name)
    peaks = [peak for peak in (found.bf16_flops, found.fp8_flops, found.fp4_flops) if peak]
    assert peaks == sorted(peaks)


def test_links_are_one_way_against_published():
    # NVLink 4: 900 GB/s both ways on an H100, 400 on an H800; 400 Gbit/s network cards (NVIDIA data sheets)
    assert H100.scaleup_bandwidth_one_way == 450e9
    assert find_accelerator("h800").scaleup_bandwidth_one_way == 200e9
    assert H100.scaleout_bandwidth_one_way == 50e9


def test_a_chip_without_a_measured_matmul_gets_the_median_of_the_others():
    assert find_accelerator("h20").matmul_ceiling == pytest.approx(typical_ceiling())
    assert round(H100.matmul_ceiling, 3) == 0.803


def test_a_peak_that_a_chip_lacks_is_refused():
    assert H100.peak(Precision.FP8) == 1979e12
    with pytest.raises(InputError, match="a100 has no fp8 peak") as refusal:
        find_accelerator("a100").peak(Precision.FP8)
    assert refusal.value.hint == "it has bf16"


def test_a_users_chip_may_start_from_one_of_the_catalog():
    chip = find_accelerator("ours.toml", 'like = "h100"\nmemory_bytes = 96e9\nusd_per_hour = 1.9')
    assert (chip.name, chip.memory_bytes, chip.bf16_flops, chip.usd_per_hour) == ("ours", 96e9, 989e12, 1.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bf16_flops = 1e15", "memory_bytes is missing"),
        ('like = "h100"\nbf16_flop = 1e15', "bf16_flop: unexpected"),
        ('like = "h100"\nbf16_flops = -1', "bf16_flops = -1 is not positive"),
        ('like = "h100"\nmemory_bytes = inf', "memory_bytes = inf is not positive"),
        ('like = "h100"\nmemory_bytes = nan', "memory_bytes = nan is not positive"),
        ('like = "h100"\nper_node = 2.5', "per_node: input should be a valid integer"),
        ('like = "h100"\nbf16_flops = "1e15"', "bf16_flops: input should be a valid number"),
        ('like = "h1000"', "unknown accelerator 'h1000'"),
        ("bf16_flops =", "not TOML"),
    ],
)
def test_a_file_that_is_no_accelerator_is_refused_with_its_place(text, message):
    with pytest.raises(InputError) as refusal:
        find_accelerator("ours.toml", text)
    assert message in str(refusal.value)
    assert "ours.toml" in str(refusal.value) or "unknown" in str(refusal.value)
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("line", "chip"),
    [("bf16_flops = 1979e12", "h100"), ("bf16_flops = 624e12", "a100"), ("fp8_flops = 3958e12", "h100"),
     ("bf16_flops = 4.5e15", "b200"), ("fp4_flops = 20e15", "gb200")],
)  # fmt: skip
def test_a_sparse_peak_is_refused_unless_asked_for(line, chip):
    # 2:4 sparsity doubles the figure on NVIDIA's sheets: 1,979 for H100 BF16, 3,958 for FP8, 624 for A100
    with pytest.raises(InputError, match="peak with sparsity; its dense peak is") as refusal:
        find_accelerator("ours.toml", f'like = "h100"\n{line}')
    assert chip[0] in str(refusal.value)
    assert "allow_sparse_peak = true" in refusal.value.hint
    assert find_accelerator("ours.toml", f'like = "h100"\n{line}\nallow_sparse_peak = true')


@every_chip
def test_a_dense_peak_of_the_catalog_is_never_taken_for_a_sparse_one(name):
    assert find_accelerator("ours.toml", f'like = "{name}"').bf16_flops == find_accelerator(name).bf16_flops


def test_the_name_is_found_in_any_case():
    assert find_accelerator("H100") is H100


@pytest.mark.parametrize(("name", "hint"), [("h10", "did you mean 'h100'"), ("abacus", "planner hardware")])
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
    reached = utilisation_of(1e22, 1e4, H100, "measured")
    assert reached.gpu_hours(1e22, H100) == pytest.approx(1e4)
    assert reached.fraction == pytest.approx(1e22 / (1e4 * 3600 * 989e12))


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


def test_the_documented_accelerator_file_is_one():
    text = (REPOSITORY / "docs/costs.md").read_text(encoding="utf-8")
    block = text.partition("```toml\n")[2].partition("```")[0]
    chip = find_accelerator("ours.toml", block)
    assert (chip.bf16_flops, chip.usd_per_hour) == (989e12, 1.9)
    alone = "\n".join(line for line in block.splitlines() if not line.startswith("like"))
    assert find_accelerator("ours.toml", alone) == replace(chip, source="ours.toml")
