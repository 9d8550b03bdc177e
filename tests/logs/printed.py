"""The lab's runs as trainers print them, and as they save their own records."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from simulated import BATCH, CONTEXT, EVERY, PEAK, SHAPE, STEPS, Run


def megatron(folder: Path, runs: Sequence[Run]) -> None:
    """One file per run, restarts inside it, as Slurm appends them."""
    for run in runs:
        text = ""
        for process in run.processes:
            text += f"using world size: 8, data-parallel size: 8, context-parallel size: 1\n{'-' * 24} arguments {'-' * 24}\n"
            arguments = {"train_iters": STEPS, "lr": PEAK, **run.config}
            text += "".join(f"  {name} {'.' * (48 - len(name))} {value}\n" for name, value in sorted(arguments.items()))
            for step, time, loss, lr, evaluated in process.rows():
                text += (
                    f" [{stamp(time)}] iteration {step:8d}/{STEPS:8d} | consumed samples: {step * BATCH:12d} | elapsed time per "
                    f"iteration (ms): 1000.0 | throughput per GPU (TFLOP/s/GPU): 401.5 | learning rate: {lr:.6E} | global batch "
                    f"size: {BATCH:5d} | lm loss: {_g(loss, '.6E')} | loss scale: 1.0 | grad norm: 0.512 | number of skipped "
                    "iterations:   0 | number of nan iterations:   0 |\n"
                )
                if evaluated is not None:
                    text += f"{'-' * 96}\n validation loss at iteration {step} | lm loss value: {evaluated:.6E} | lm loss PPL: "
                    text += f"{math.exp(evaluated):.6E} | \n{'-' * 96}\n"
            text += "" if process.finished else "srun: error: node-17: task 3: Killed\n"
        (folder / f"slurm-{run.name}.out").write_text(text)


def nemo(folder: Path, runs: Sequence[Run]) -> None:
    """The lines of ProgressPrinter, one for every tenth step: it averages the samples over the ten."""
    for run in runs:
        text = ""
        for process in run.processes:
            text += f"[NeMo I {stamp(process.started)} exp_manager:382] Experiments will be logged\n"
            last = ""
            for step, time, loss, lr, evaluated in process.rows():
                samples = BATCH * (step - (EVERY - 1) / 2)
                last = last if evaluated is None else f" | val_loss: {evaluated}"
                text += (
                    f"[{stamp(time)}] Training epoch 0, iteration {step - 1}/{STEPS - 1} | lr: {lr:.4}"
                    f" | global_batch_size: {BATCH} | global_step: {step - 1} | reduced_train_loss: {loss:.4}"
                    " | train_step_timing in s: 1.0"
                    f" | consumed_samples: {_nemo(samples)}{last}\n"
                )
        (folder / f"nemo-{run.name}.log").write_text(text)


def torchtitan(folder: Path, runs: Sequence[Run]) -> None:
    """With colours and torchrun's rank; each rank prints every line."""
    red, green, orange, cyan, off = (f"\x1b[3{n}m" for n in "12369")
    for run in runs:
        text = ""
        for process in run.processes:
            mesh = "Building device mesh with parallelism: pp=1, dp_replicate=1, dp_shard=8, cp=1, tp=1, ep=1"
            text += "".join(
                f"[rank{rank}]:[titan] {stamp(process.started)},001 - root - INFO - {mesh}\n" for rank in (0, 1)
            )
            text += (
                f"[rank0]:[titan] Trainer is initialized with local batch size 8, global batch size {BATCH}, gradient "
            )
            text += f"accumulation steps 1, sequence length {CONTEXT}, total steps {STEPS} (warmup 20)\n"
            for step, time, loss, _, evaluated in process.rows():
                lines = [
                    f"{red}step: {step:2}  {green}loss: {loss:7.4f}  {orange}grad_norm: {1.0:7.4f}  "
                    f"{cyan}memory: {40.5:5.2f}GiB(50.63%)  {red}tps: {BATCH * CONTEXT // 8:,}  "
                    f"{green}tflops: {1234.5:,.2f}  {cyan}mfu: 41.20%{off}"
                ]
                if evaluated is not None:
                    lines.append(
                        f"{red}validate step: {step:2}  {green}loss: {evaluated:7.4f}  "
                        f"{cyan}memory: 40.5GiB(50.63%)  tps: 90,210{off}"
                    )
                for rank in (0, 1):
                    text += "".join(
                        f"[rank{rank}]:[titan] {stamp(time)},000 - root - INFO - {line}\n" for line in lines
                    )
        (folder / f"titan-{run.name}.log").write_text(text)


def nanochat(folder: Path, runs: Sequence[Run]) -> None:
    """Nothing in it tells the time of day."""
    model = {"sequence_len": CONTEXT, "vocab_size": 50304, "n_layer": 4, "n_head": 4, "n_kv_head": 4, "n_embd": 256}
    start = (
        f"GPU: NVIDIA H100 80GB HBM3 | Peak FLOPS (BF16): 9.89e+14\nVocab size: {50304:,}\nModel config:\n"
        f"{json.dumps(model, indent=2)}\nParameter counts:\nwte                     : 12,877,824\n"
        "total                   : 28,900,000\n"
        f"Total batch size {BATCH * CONTEXT:,} => gradient accumulation steps: 1\n"
    )
    for run in runs:
        text = ""
        for process in run.processes:
            text += start
            for step, _, loss, _, evaluated in process.rows():
                if evaluated is not None:
                    text += f"Step {step:05d} | Validation loss: {evaluated:.6f}\n"
                text += f"step {step:05d}/{STEPS:05d} ({step / STEPS:.2f}%) | loss: {loss:.6f} | lrm: 1.00 | dt: 1000.00ms | "
                text += f"tok/sec: {BATCH * CONTEXT:,} | bf16_mfu: 41.20 | epoch: 1 | total time: {step / 60:.2f}m | eta: 1.0m\n"
        (folder / f"nano-{run.name}.txt").write_text(text)


def maxtext(folder: Path, runs: Sequence[Run]) -> None:
    """Steps count from 0 there; here they are the lab's."""
    config = {
        "global_batch_size_to_train_on": BATCH,
        "max_target_length": CONTEXT,
        "steps": STEPS,
        "learning_rate": PEAK,
    }
    for run in runs:
        text = ""
        for process in run.processes:
            text += "".join(f"Config param {name}: {value}\n" for name, value in sorted(config.items()))
            text += "number parameters: 0.029 billion\n"
            for step, time, loss, _, evaluated in process.rows():
                text += f"[{stamp(time)}] completed step: {step}, seconds: 1.000, TFLOP/s/device: 401.500, Tokens/s/device: "
                text += f"{BATCH * CONTEXT / 8:.3f}, total_weights: {BATCH * CONTEXT}, loss: {loss:.3f}\n"
                if evaluated is not None:
                    text += f"[{stamp(time)}] eval metrics after step: {step}, loss={evaluated:.3f}, total_weights=1048576.0\n"
        (folder / f"maxtext-{run.name}.log").write_text(text)


def olmo_core(folder: Path, runs: Sequence[Run]) -> None:
    """Blocks of metrics; numbers over a thousand are grouped by commas."""
    for run in runs:
        text = ""
        for process in run.processes:
            for step, time, loss, lr, evaluated in process.rows():
                head = f"{stamp(time)}.000 node-0:0 olmo_core.train"
                text += f"{head}.callbacks.console_logger:112 INFO [step={step}/{STEPS},epoch=1,eta=1m]\n"
                text += f"    train/CE loss={loss}\n    optim/LR (group 0)={lr}\n"
                text += f"    throughput/total tokens={step * BATCH * CONTEXT:,}\n"
                text += "" if evaluated is None else f"    c4_en-validation/CE loss={evaluated}\n"
                text += f"{head}:7 INFO Saving checkpoint\n" if step % 100 == 0 else ""
        (folder / f"olmo-{run.name}.log").write_text(text)


def levanter(folder: Path, runs: Sequence[Run]) -> None:
    """Events of the JSON logger behind the prefix that Python's logging puts there."""
    for run in runs:
        lines = []
        for process in run.processes:
            lines.append((process.started, {"event": "hparams", "hparams": run.config}))
            for step, time, loss, lr, evaluated in process.rows():
                metrics = {
                    "train/loss": loss,
                    "optim/learning_rate": lr,
                    "throughput": {"total_tokens": step * BATCH * CONTEXT},
                }
                lines.append((time, {"event": "log", "step": step, "metrics": metrics}))
                if evaluated is not None:
                    lines.append((time, {"event": "log", "step": step, "metrics": {"eval/loss": evaluated}}))
        text = "".join(
            f"{stamp(time)} - 0 - levanter.json_logger - INFO :: {json.dumps({'tracker': 'json_logger', **event})}\n"
            for time, event in lines
        )
        (folder / f"levanter-{run.name}.log").write_text(text)


def trainer_state(folder: Path, runs: Sequence[Run]) -> None:
    """A restart goes on from the state of its checkpoint, so that the log has no overlap."""
    for run in runs:
        model = {"model_type": "llama", "num_hidden_layers": 4, **SHAPE, "planner_run_id": run.config["planner_run_id"]}
        history: list[dict] = []
        for process in run.processes:
            history = [row for row in history if row["step"] < process.steps[0]]
            for step, _, loss, lr, evaluated in process.rows():
                history.append(
                    {"epoch": step / STEPS, "grad_norm": 0.5, "learning_rate": lr, "loss": loss, "step": step}
                )
                if evaluated is not None:
                    history.append({"epoch": step / STEPS, "eval_loss": evaluated, "eval_runtime": 3.1, "step": step})
                if step % 200 == 0:
                    checkpoint = folder / run.name / f"checkpoint-{step}"
                    checkpoint.mkdir(parents=True, exist_ok=True)
                    state = {"best_metric": None, "epoch": step / STEPS, "global_step": step, "log_history": history,
                             "max_steps": STEPS, "num_train_epochs": 1, "train_batch_size": 8}  # fmt: skip
                    (checkpoint / "trainer_state.json").write_text(json.dumps(state, indent=2))
                    (checkpoint / "config.json").write_text(json.dumps(model))


def stamp(time: float) -> str:
    """A time as a logger prints it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _nemo(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.4}"


def _g(value: float, form: str) -> str:
    return "nan" if math.isnan(value) else format(value, form)
