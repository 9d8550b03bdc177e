"""Layouts, the memory they take and the seconds they need."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.costs.accelerators import Precision, accelerators, find_accelerator
from planner.costs.layout import Layout, candidate_layouts, layouts_of
from planner.costs.memory import memory_of, usable_bytes
from planner.costs.search import Cluster, alternatives, fastest_layout, step_seconds, whole_batch
from planner.costs.step import step_of
from planner.costs.workload import workload_of
from planner.errors import InputError
from planner.models.architecture import Architecture, Norm
from planner.models.catalog import find_model
from planner.models.flops import Recomputation
from planner.models.parameters import count_parameters

FULL, SELECTIVE = Recomputation.FULL, Recomputation.SELECTIVE
H100, H800 = find_accelerator("h100"), find_accelerator("h800")
LLAMA, DEEPSEEK = find_model("llama-3-70b"), find_model("deepseek-v3")
PLAIN = Layout(1, 1, 1, 1, 1, 1, 1, 1, SELECTIVE)
models = st.sampled_from([find_model(name) for name in ("llama-3-8b", "gpt-2-xl", "qwen3-30b-a3b", "deepseek-v2-lite")])
chips = st.sampled_from([find_accelerator(name) for name in ("a100", "h100", "h800", "b200", "mi300x", "tpu-v4")])
counts = st.sampled_from([32, 64, 96, 256, 1024])


@cache
def held(model, context_length=4096, **degrees):
    """Bytes by part of one layout."""
    found = memory_of(workload_of(model, context_length), layouts_of([replace(PLAIN, **degrees)]))
    return {**{part: float(bytes_[0]) for part, bytes_ in vars(found).items()}, "total": float(found.total[0])}


def states(model, **degrees):
    found = held(model, **degrees)
    return found["weights"] + found["gradients"] + found["optimizer"]


def test_mixed_precision_adam_takes_18_bytes_a_parameter_and_16_when_sharded_against_published():
    # 2 for weights, 12 for FP32 weight and moments (arXiv 1910.02054, section 3.1), 4 for gradients summed in FP32
    params = count_parameters(LLAMA).total
    assert states(LLAMA) == pytest.approx(18 * params, rel=1e-6)
    for ranks in (2, 8, 64):
        assert states(LLAMA, data=ranks) == pytest.approx((6 + 12 / ranks) * params, rel=1e-6)
        assert states(LLAMA, data=ranks, zero=2) == pytest.approx((2 + 16 / ranks) * params, rel=1e-6)
        assert states(LLAMA, data=ranks, zero=3) == pytest.approx(16 / ranks * params, rel=1e-6)


def test_a_plain_layer_leaves_32_bytes_a_channel_against_published():
    # 34 s b h with dropout masks, scores apart: arXiv 2205.05198, eq. 2
    shape = Architecture("gpt", "gpt", 10, 512, 8, 8, 64, 2048, 1000, gated_mlp=False, norm=Norm.LAYER)
    assert workload_of(shape, 1024).activation_bytes == 10 * 32 * 512


def test_a_gated_layers_activations_by_hand():
    # inputs of two norms and two blocks, queries, keys, values and attention's output, gate, up and their product
    channels = 4 * 8192 + 8192 + 2 * 1024 + 8192 + 3 * 28_672
    kept = 2 * 8192 + 8192 + 2 * 1024 + 8192 + 2 * 28_672  # norms and the product are computed again
    work = workload_of(LLAMA, 4096)
    assert work.activation_bytes == 80 * 2 * channels
    assert work.kept_bytes == 80 * 2 * kept


def test_the_first_stage_of_a_pipeline_keeps_a_micro_batch_for_every_stage():
    # 1F1B, arXiv 2104.04473, section 2.2; interleaved schedules keep (p - 1) / (p v) more
    assert held(LLAMA, pipeline=8)["activations"] == held(LLAMA)["activations"]
    more = held(LLAMA, pipeline=8, interleave=2)["activations"] / held(LLAMA)["activations"]
    assert more == pytest.approx(1 + 7 / 16)


def test_a_stage_of_a_pipeline_holds_one_table():
    work = workload_of(LLAMA, 4096)
    assert held(LLAMA)["weights"] == pytest.approx(2 * work.params)
    assert held(LLAMA, pipeline=8)["weights"] == pytest.approx(2 * (work.layer_params / 8 + work.table_params))


@pytest.mark.parametrize("degree", ["tensor", "pipeline", "data", "context"])
@pytest.mark.parametrize("model", [LLAMA, DEEPSEEK], ids=["dense", "experts"])
def test_memory_falls_with_every_degree(model, degree):
    totals = [held(model, **{degree: 2**power})["total"] for power in range(4)]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < totals[0]


@pytest.mark.parametrize("zero", [1, 2, 3])
def test_memory_falls_with_data_ranks_at_every_zero_stage_and_with_the_stage(zero):
    totals = [held(LLAMA, data=2**power, zero=zero)["total"] for power in range(1, 7)]
    assert totals == sorted(totals, reverse=True)
    if zero > 1:
        assert held(LLAMA, data=8, zero=zero)["total"] < held(LLAMA, data=8, zero=zero - 1)["total"]


def test_experts_are_split_over_expert_ranks():
    params = count_parameters(DEEPSEEK)
    whole, split = held(DEEPSEEK, data=64), held(DEEPSEEK, data=64, expert=64)
    assert split["weights"] < whole["weights"] / 10
    assert whole["weights"] == pytest.approx(2 * params.trained, rel=0.01)


def test_recomputation_and_smaller_micro_batches_save_activations():
    full, selective = held(LLAMA, recomputation=FULL)["activations"], held(LLAMA)["activations"]
    assert full == 2 * LLAMA.d_model * 4096 * LLAMA.n_layers
    assert full < selective / 5
    assert held(LLAMA, micro_batch=2)["activations"] == 2 * selective


def test_fp8_keeps_half_of_the_activations_and_unfused_attention_its_scores():
    work, layouts = workload_of(DEEPSEEK, 4096), layouts_of([PLAIN])
    kept = memory_of(work, layouts).activations[0]
    assert memory_of(work, layouts, Precision.FP8).activations[0] == kept / 2
    scores = memory_of(work, layouts, scores_kept=True).activations[0] - kept
    assert scores == pytest.approx(5 * 128 * 4096 * 4096 * work.n_layers)  # arXiv 2205.05198, eq. 1: 5 a s^2 b


@settings(max_examples=40, deadline=None, derandomize=True)
@given(models, chips, counts)
def test_every_candidate_uses_every_accelerator_and_divides_what_it_splits(model, chip, count):
    layouts = candidate_layouts(workload_of(model, 4096), chip, count)
    assert len(layouts)
    assert (layouts.tensor * layouts.pipeline * layouts.context * layouts.data == count).all()
    assert (model.n_heads % layouts.tensor == 0).all()
    assert (layouts.data % layouts.expert == 0).all()
    assert (layouts.tensor <= chip.scaleup_domain).all()
    assert (layouts.interleave * layouts.pipeline <= model.n_layers).all()
    assert layouts[0].count == count


@pytest.mark.parametrize(("count", "near"), [(12, "use 8 or 16"), (2047, "use 2040 or 2048"), (5, "use 8")])
def test_a_count_that_is_not_whole_nodes_is_refused_with_those_near(count, near):
    with pytest.raises(InputError, match="not a whole number of nodes") as refusal:
        candidate_layouts(workload_of(LLAMA, 4096), H100, count)
    assert near in refusal.value.hint


def test_a_layout_says_itself_in_words():
    layout = Layout(8, 16, 1, 128, 1, 1, 1, 4, FULL)
    assert layout.count == 16_384
    assert str(layout) == (
        "tensor 8, pipeline 16, data 128, 4 chunks a stage, ZeRO-1, micro-batch 1, full recomputation"
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(models, chips, counts, st.floats(1e5, 5e7), st.sampled_from([2048, 4096, 32_768]))
def test_the_fastest_layout_fits_divides_the_batch_and_its_parts_add_up(model, chip, count, batch, context_length):
    found = fastest_layout(model, Cluster(chip, count), batch, context_length)
    memory = memory_of(workload_of(model, context_length), layouts_of([found.layout]))
    assert memory.total[0] <= usable_bytes(chip)
    assert sum(found.bytes_by_part.values()) == pytest.approx(float(memory.total[0]))
    assert found.batch_tokens % (found.layout.data * found.layout.micro_batch * context_length) == 0
    assert found.layout.count == count
    assert sum(found.seconds_by_part.values()) == pytest.approx(found.seconds)
    assert min(found.seconds_by_part.values()) >= 0
    assert found.seconds > 0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(models, counts, st.floats(1e6, 5e7))
def test_no_other_kind_of_layout_is_faster(model, count, batch):
    cluster = Cluster(H100, count)
    best = fastest_layout(model, cluster, batch, 4096)
    for other in alternatives(model, cluster, batch, 4096):
        assert other.seconds is None or other.seconds >= best.seconds
        assert other.against


@settings(max_examples=25, deadline=None, derandomize=True)
@given(models, counts, st.floats(1e6, 5e7))
def test_a_slower_link_or_memory_never_helps(model, count, batch):
    base = fastest_layout(model, Cluster(H100, count), batch, 4096).seconds
    assert fastest_layout(model, Cluster(H800, count), batch, 4096).seconds >= base
    for field in ("memory_bandwidth", "scaleout_bandwidth_one_way", "bf16_flops", "memory_bytes"):
        worse = replace(H100, **{field: getattr(H100, field) / 1.5})
        if field == "bf16_flops":
            worse = replace(worse, measured_matmul_flops=H100.measured_matmul_flops / 1.5)
        assert fastest_layout(model, Cluster(worse, count), batch, 4096).seconds >= base


def test_llama_3_405b_runs_near_its_published_utilisation():
    # arXiv 2407.21783, table 4: 8-way tensor, 16-way pipeline, 128-way data on 16,384 H100, batch 16M tokens: 41 % MFU
    model = find_model("llama-3-405b")
    layout = Layout(8, 16, 1, 128, 1, 1, 1, 4, SELECTIVE)
    work = workload_of(model, 8192)
    seconds = float(step_of(work, H100, layouts_of([layout])).seconds(np.array(16.0))[0])
    flops = 6 * count_parameters(model).active * 16 * 128 * 8192
    assert flops / (seconds * 16_384 * 989e12) == pytest.approx(0.41, rel=0.15)


def test_a_model_that_fits_nowhere_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"8 x h100 cannot hold a model of 6\.8\d+e\+11 parameters") as refusal:
        fastest_layout(DEEPSEEK, Cluster(H100, 8), 1e6, 4096)
    assert "more accelerators" in refusal.value.hint
    assert "\n" not in str(refusal.value)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(1, 1e8), st.sampled_from([512, 4096]), st.sampled_from([1, 8, 24, 96, 992, 2048, 10_000]))
def test_a_batch_is_rounded_to_sequences_that_spread_evenly(batch, context_length, count):
    odd = count // (count & -count)
    if 2 * max(1, round(batch / context_length)) < odd:
        with pytest.raises(InputError, match="too small"):
            whole_batch([batch], context_length, count)
        return
    whole = int(whole_batch([batch], context_length, count)[0])
    sequences = whole // context_length
    assert whole % context_length == 0
    assert sequences % odd == 0
    if sequences >= count:
        assert sequences % count == 0
    if batch / context_length >= odd:
        assert 0.5 <= whole / max(batch, context_length) <= 2


def test_many_batches_at_once_are_each_one_alone():
    cluster, batches = Cluster(H100, 256), np.array([1e6, 4e6, 1.7e7])
    together, _, rounded = step_seconds(LLAMA, cluster, batches, 4096)
    assert rounded.tolist() == whole_batch(batches, 4096, 256).tolist()
    alone = [fastest_layout(LLAMA, cluster, batch, 4096).seconds for batch in batches]
    assert together.tolist() == alone


@pytest.mark.parametrize("name", accelerators())
def test_every_accelerator_of_the_catalog_can_train_something(name):
    chip = find_accelerator(name)
    assert fastest_layout(find_model("gpt-2-medium"), Cluster(chip, 8 * chip.per_node), 1e6, 1024).seconds > 0
