"""torchtitan's stdout, with or without its colours.

Lines as torchtitan/components/metrics.py (`log`, `log_validation`) and torchtitan/train.py print them::

    [titan] 2025-05-27 15:23:07,114 - root - INFO - step: 10  loss:  4.1704  grad_norm:  1.8422  memory:  0.69GiB(0.72%)
      tps: 87,655  tflops: 12.34  mfu: 1.25%
    validate step: 10  loss:  4.2011  memory:  0.69GiB(0.72%)  tps: 90,210
    Trainer is initialized with local batch size 8, global batch size 64, gradient accumulation steps 1, sequence length 2048,
      total steps 1000 (warmup 200)

A printed value gets the name under which torchtitan sends it to TensorBoard and W&B. `tps` is tokens per second and device.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from planner.logs.curves import number, setting
from planner.logs.stdout import Parse, Point, Settings, Stdout

_STEP = re.compile(r"(validate )?step:\s*(\d+(?:,\d{3})*)\s+(loss:.*)")
_PAIR = re.compile(r"([\w/]+):\s*([-+\d.,a-zA-Z]+)")
_NAMES = {
    "loss": "loss_metrics/global_avg_loss", "tps": "throughput(tps)", "mfu": "mfu(%)", "tflops": "tflops",
    "grad_norm": "grad_norm",
}  # fmt: skip
_TRAINER = {
    "training.local_batch_size": r"local batch size (\d+(?:,\d{3})*)",
    "training.global_batch_size": r"global batch size (\d+(?:,\d{3})*)",
    "training.seq_len": r"sequence length (\d+(?:,\d{3})*)",
    "training.steps": r"total steps (\d+(?:,\d{3})*)",
    "lr_scheduler.warmup_steps": r"\(warmup (\d+(?:,\d{3})*)\)",
}
_SIZE = re.compile(r"Model (\S+) (\S+) size: (\d+(?:,\d{3})*) total parameters")
_CONFIG = re.compile(r"Running with (?:args|configs?): (\{.*\})")
_MESH = re.compile(r"Building (?:\d+-D )?device mesh with (?:\[.*?\], \[([\d, ]+)\]|parallelism: (.*))")
_SHARDS = ("pp", "dp_replicate", "dp_shard", "cp", "tp")  # expert parallelism borrows the ranks of these


def parser() -> Parse:
    """A parser of one log's lines."""
    return _parse


def _parse(line: str) -> Point | Settings | None:
    if found := _STEP.search(line):
        prefix = "validation_metrics/" if found[1] else ""
        return Point(number(found[2]) or 0.0, _values(found[3], prefix), training=not prefix)
    if "Trainer is initialized with" in line:
        return Settings(
            {name: setting(found[1]) for name, look in _TRAINER.items() if (found := re.search(look, line))}
        )
    if found := _SIZE.search(line):
        return Settings({"model.name": found[1], "model.flavor": found[2], "num_params": setting(found[3])})
    if found := _MESH.search(line):
        return Settings({"world_size": _ranks(found[1], found[2])}, starts=True)
    if found := _CONFIG.search(line):
        return Settings(_config(found[1]), starts=True)
    return None


def _values(text: str, prefix: str) -> dict[str, float]:
    values = {}
    for name, value in _PAIR.findall(text):
        found = number(value)
        if found is not None:
            ours = _NAMES.get(name, name)
            values[f"{prefix}{name if prefix and name == 'loss' else ours}"] = found
    return values


def _ranks(sizes: str | None, degrees: str | None) -> int:
    if sizes:
        return math.prod(int(size) for size in re.findall(r"\d+", sizes))
    found = dict(re.findall(r"(\w+)=(\d+)", degrees or ""))
    return math.prod(int(found.get(name, 1)) for name in _SHARDS)


def _config(text: str) -> Mapping[str, object]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


TORCHTITAN = Stdout(
    name="torchtitan",
    reads="stdout of torchtitan",
    # Colours stand between the words.
    mark=re.compile(
        rb"step: *[\d,]+(?:\x1b\[[0-9;]*m|\s)+loss: *[\d.naninf-]+(?:\x1b\[[0-9;]*m|\s)+(?:grad_norm|memory): "
    ),
    parser=parser,
)

__all__ = ["TORCHTITAN"]
