"""Seconds of a step by part, each worked out by hand."""

from dataclasses import replace

import pytest

from planner.costs.accelerators import Precision, find_accelerator
from planner.costs.calibration import CALIBRATION, Calibration, validated
from planner.costs.layout import Layout, layouts_of
from planner.costs.step import FITTED, step_of
from planner.costs.workload import workload_of
from planner.models.catalog import find_model
from planner.models.flops import Recomputation, forward_flops
from planner.models.parameters import count_parameters

H100 = find_accelerator("h100")
LLAMA, DEEPSEEK = find_model("llama-3-8b"), find_model("deepseek-v3")
CONTEXT = 4096
FLOPS = forward_flops(LLAMA, CONTEXT)
PARAMS = count_parameters(LLAMA).total
ALONE = Layout(1, 1, 1, 1, 1, 1, 1, 1, Recomputation.SELECTIVE)
UNIT = Calibration(1.0, {"ampere": 1.0, "hopper": 1.0}, 1.0, 1.0, 1.0, 1.0, 1.0)


def step(model=LLAMA, chip=H100, calibration=UNIT, precision=Precision.BF16, **degrees):
    layouts = layouts_of([replace(ALONE, **degrees)])
    return step_of(workload_of(model, CONTEXT), chip, layouts, precision=precision, calibration=calibration)


def micro(part, **given):
    return float(getattr(step(**given).micro, part)[0])


def test_matrix_products_run_at_the_measured_ceiling_three_passes_and_one_more_when_recomputed():
    products = FLOPS.attention + FLOPS.mlp
    assert micro("matmul") == pytest.approx(CONTEXT * 3 * (products + FLOPS.head) / 794.5e12)
    again = micro("matmul", recomputation=Recomputation.FULL)
    assert again == pytest.approx(CONTEXT * (4 * products + 3 * FLOPS.head) / 794.5e12)
    assert micro("matmul", tensor=8, micro_batch=2) == pytest.approx(2 / 8 * micro("matmul"))


def test_fp8_takes_its_share_of_the_time_of_matrix_products_alone():
    assert micro("matmul", precision=Precision.FP8, calibration=replace(UNIT, fp8_matmul=0.5)) == micro("matmul") / 2
    assert micro("attention", precision=Precision.FP8) == micro("attention")


def test_attention_takes_three_and_a_half_forward_passes_at_its_own_rate():
    assert micro("attention") == pytest.approx(CONTEXT * 3.5 * FLOPS.scores / 989e12)
    assert micro("attention", recomputation=Recomputation.FULL) == pytest.approx(CONTEXT * 4.5 * FLOPS.scores / 989e12)
    half = replace(UNIT, attention={"ampere": 1.0, "hopper": 0.5})
    assert micro("attention", calibration=half) == pytest.approx(2 * micro("attention"))


def test_memory_traffic_is_bytes_over_bandwidth():
    work = workload_of(LLAMA, CONTEXT)
    assert micro("activations") == pytest.approx(CONTEXT * work.activation_bytes / 3.35e12)
    assert micro("logits") == pytest.approx(CONTEXT * 4 * LLAMA.vocab_size / 3.35e12)


def test_sharding_passes_weights_and_gradients_every_micro_batch_over_the_slowest_link():
    eighth, one = 7 / 8, 2 * PARAMS
    assert micro("sharding", data=8, zero=3) == pytest.approx(3 * one * eighth / 450e9)
    assert micro("sharding", data=64, zero=3) == pytest.approx(3 * one * 63 / 64 / 400e9)  # eight cards of 50e9 a node
    assert micro("sharding", data=64, zero=2) == pytest.approx(4 * PARAMS * 63 / 64 / 400e9)  # FP32 gradients
    assert micro("sharding", data=64, zero=1) == 0
    assert micro("latency", data=64, zero=3) == pytest.approx(3 * LLAMA.n_layers * 64)
    assert micro("latency", data=8, zero=3) == 0


def test_tensor_parallelism_reduces_four_times_a_layer_and_six_when_recomputed():
    once = CONTEXT * LLAMA.d_model * 2 * 2 * 7 / 8 / 450e9
    assert micro("tensor", tensor=8) == pytest.approx(LLAMA.n_layers * 4 * once)
    assert micro("tensor", tensor=8, recomputation=Recomputation.FULL) == pytest.approx(LLAMA.n_layers * 6 * once)
    assert micro("tensor") == 0


def test_a_pipeline_waits_for_its_stages_and_sends_activations():
    assert step(pipeline=8).pipeline_fill[0] == 7
    assert step(pipeline=8, interleave=4).pipeline_fill[0] == 7 / 4
    sent = 2 * CONTEXT * LLAMA.d_model * 2 / 50e9
    assert micro("pipeline", pipeline=8) == pytest.approx(sent)
    assert micro("pipeline", pipeline=8, interleave=4) == pytest.approx(4 * sent)
    assert micro("pipeline") == 0


def test_a_step_is_its_passes_the_fill_and_what_comes_once():
    found = step(pipeline=4, data=8)
    assert found.seconds(16.0)[0] == pytest.approx((16 + 3) * found.micro.total[0] + found.once[0])


def test_zero_1_reduces_four_bytes_and_hands_out_two_once_a_step():
    ranks = 64
    reduced = 6 * PARAMS * 63 / 64 / 400e9
    optimizer = 2 * 16 * PARAMS / ranks / 3.35e12
    assert float(step(data=ranks).once[0]) == pytest.approx(reduced + optimizer)


def test_the_all_to_all_shows_only_where_compute_does_not_hide_it():
    slow = replace(H100, scaleout_bandwidth_one_way=1e9)
    assert micro("experts", model=DEEPSEEK, data=64, expert=8) == 0  # inside a node
    found = step(model=DEEPSEEK, chip=slow, data=64, expert=64).micro
    sent = CONTEXT * 4 * 58 * 2 * 7168 * 8 * 63 / 64 / 1e9  # and one more layer: the prediction module
    hidden = float(found.matmul[0] + found.attention[0])
    assert float(found.experts[0]) == pytest.approx(sent * 59 / 58 - hidden)


def test_the_context_ring_shows_only_where_compute_does_not_hide_it():
    slow = replace(H100, scaleout_bandwidth_one_way=1e8)
    assert micro("context", context=2) == 0
    assert micro("context", chip=slow, context=16) > 0


def test_no_part_is_negative_and_they_add_up():
    found = step(calibration=CALIBRATION, tensor=2, pipeline=2, data=4, zero=2).micro
    assert min(float(part[0]) for part in vars(found).values()) >= 0
    assert float(found.total[0]) == pytest.approx(sum(float(part[0]) for part in vars(found).values()))
    assert set(FITTED) < set(vars(found))


def test_only_measured_chips_are_called_validated():
    assert validated(H100)
    assert not validated(find_accelerator("h800"))
