"""Lines of the shapes that public repositories show, and what is read from each."""

# ruff: noqa: E501 - lines of logs are long

from __future__ import annotations

import pytest

from planner.logs.detect import claims_of
from planner.logs.source import Source

# Reader, lines, and the values read from the last of them: by name, at a step; or settings.
LINES = {
    "Megatron-LM, README of a fork with torchrun's ranks": (
        "megatron",
        "[default0]: [2025-05-27 15:23:07] iteration        1/    24000 | consumed samples:          1024 | elapsed time per "
        "iteration (ms): 271607.0 | throughput per GPU (TFLOP/s/GPU): 40.4 | learning rate: 1.500000E-06 | global batch size:  1024 "
        "| lm loss: 1.192634E+01 | load_balancing_loss: 1.041994E+00 | loss scale: 1.0 | grad norm: 5.960 | num zeros: 0.0 | "
        "params norm: 238.330 | number of skipped iterations:    0 | number of nan iterations:    0 |\n",
        1,
        {"lm loss": 11.92634, "consumed samples": 1024, "learning rate": 1.5e-6, "elapsed time per iteration (ms)": 271607.0},
        {"train_iters": 24000, "global_batch_size": 1024},
    ),
    "Megatron-DeepSpeed, BigScience's issue on lm loss after validation": (
        "megatron",
        " iteration     7010/  159576 | consumed samples:       261872 | elapsed time per iteration (ms): 19904.0 | learning rate: "
        "6.000E-05 | global batch size:    96 | lm loss: 1.142026E+01 | loss scale: 2048.0 | grad norm: 219645.978 | num zeros: 0.0 "
        "| number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        " validation loss at iteration 7000 | lm loss value: 7.174200E+00 | lm loss PPL: 1.305315E+03 |\n",
        7000,
        {"lm loss value": 7.1742, "lm loss PPL": 1305.315},
        {"train_iters": 159576},
    ),
    "Megatron-LM, the last evaluations": (
        "megatron",
        " iteration       10/      10 | consumed samples:         2560 | lm loss: 7.500000E+00 |\n"
        " validation loss at the end of training for test data | lm loss value: 7.100000E+00 | lm loss PPL: 1.211967E+03 | \n",
        10,
        {"test lm loss value": 7.1},
        {},
    ),
    "Primus, now and average": (
        "megatron",
        " iteration        5/     100 | consumed samples:        10240 | elapsed time per iteration (ms): 15800.0/15639.0 | "
        "lm loss: 1.344240E+01 |\n",
        5,
        {"elapsed time per iteration (ms)": 15800.0, "lm loss": 13.4424},
        {},
    ),
    "NeMo, NVIDIA's performance recipes": (
        "nemo",
        "Training epoch 0, iteration 74/99 | lr: 1.124e-05 | global_batch_size: 128 | global_step: 74 | max_memory_reserved: "
        "64286097408 | max_memory_allocated: 62777982976 | reduced_train_loss: 11.87 | train_step_timing in s: 8.768 | "
        "TFLOPS_per_GPU: 865.7 | consumed_samples: 9600\n",
        74,
        {"reduced_train_loss": 11.87, "consumed_samples": 9600, "train_step_timing in s": 8.768},
        {"max_steps": 100, "global_batch_size": 128},
    ),
    "NeMo 1, a progress bar that starts its line again": (
        "nemo",
        "Epoch 0: :   9%|9         | 9/100 [00:27<04:38, v_num=0, reduced_train_loss=10.40, global_step=8.000, "
        "consumed_samples=72.00]\rEpoch 0: :  10%|#         | 10/100 [00:30<04:30, v_num=0, reduced_train_loss=10.30, "
        "global_step=9.000, consumed_samples=80.00, val_loss=10.20]\r\n",
        9,
        {"reduced_train_loss": 10.30, "consumed_samples": 80, "val_loss": 10.20},
        {"max_steps": 100},
    ),
    "torchtitan, without colours": (
        "torchtitan",
        "[titan] 2025-06-01 10:00:00,114 - root - INFO - Building 1-D device mesh with ['dp_shard'], [8]\n"
        "[titan] 2025-06-01 10:00:01,114 - root - INFO - Model llama3 debugmodel size: 6,139,136 total parameters\n"
        "[titan] 2025-06-01 10:00:09,114 - root - INFO - step: 10  loss:  4.17040  grad_norm:  1.8422  memory:  0.69GiB(0.72%)  "
        "tps: 87,655  tflops: 1,012.34  mfu: 1.25%\n",
        10,
        {"loss_metrics/global_avg_loss": 4.1704, "throughput(tps)": 87655, "tflops": 1012.34, "mfu(%)": 1.25, "grad_norm": 1.8422},
        {"num_params": 6139136, "world_size": 8},
    ),
    "torchtitan, a config and a loss that is no number": (
        "torchtitan",
        '[rank0]:[titan] 2025-06-01 10:00:00,114 - root - INFO - Running with args: {"training": {"seq_len": 8192}}\n'
        "[rank0]:[titan] 2025-06-01 10:00:01,114 - root - INFO - step:  1  loss: 12.78468  grad_norm:     nan  memory: 1.0GiB(2.0%)\n",
        1,
        {"loss_metrics/global_avg_loss": 12.78468},
        {"training": {"seq_len": 8192}},
    ),
    "nanochat, a validation in bits per byte": (
        "nanochat",
        "step 00249/21400 (1.16%) | loss: 4.123456 | lrm: 1.00 | dt: 312.45ms | tok/sec: 1,678,123 | mfu: 48.31 | total time: 1.25m\n"
        "Step 00250 | Validation bpb: 1.1421\n",
        250,
        {"val/bpb": 1.1421},
        {"num_iterations": 21400},
    ),
    "MaxText, with the times of absl and auxiliary losses": (
        "maxtext",
        "I0804 08:14:00.000000 1 metric_logger.py:196] completed step: 0, seconds: 48.205, TFLOP/s/device: 23.456, Tokens/s/device: "
        "169.941, total_weights: 1048576, loss: 13.498, lm_loss: 12.271, perplexity: 213435.656, moe_lb_loss: 0.000\n",
        0,
        {"learning/loss": 13.498, "learning/lm_loss": 12.271, "perf/per_device_tokens_per_sec": 169.941, "perf/step_time_seconds": 48.205},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_a_public_line_is_read(tmp_path, name):
    reader, text, step, values, settings = LINES[name]
    (tmp_path / "train.log").write_text(text)
    (claim,) = claims_of(Source.of(str(tmp_path)))
    assert claim.reader.name == reader
    (segment,) = claim.reader.read(claim.parts).segments
    for metric, value in values.items():
        one = segment.history[metric]
        assert one.step[-1] == step and one.value[-1] == pytest.approx(value), metric
    assert {key: segment.config.get(key) for key in settings} == settings
