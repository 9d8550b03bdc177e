"""MaxText's stdout.

Lines as src/MaxText/metric_logger.py (`log_metrics`) and src/MaxText/pyconfig.py print them::

    completed step: 7, seconds: 6.051, TFLOP/s/device: 451.236, Tokens/s/device: 8123.462, total_weights: 393216, loss: 6.765
    eval metrics after step: 10, loss=3.201, total_weights=1048576.0
    Config param max_target_length: 2048

A printed value gets the name under which MaxText writes it to TensorBoard. `loss` has three decimals and includes the auxiliary
losses; `lm_loss`, where it is printed, does not.
"""

from __future__ import annotations

import re

from planner.logs.curves import number, setting
from planner.logs.stdout import Parse, Point, Settings, Stdout

_STEP = re.compile(r"completed step: (\d+(?:,\d{3})*), (.*)")
_EVALUATION = re.compile(r"eval metrics after step: (\d+(?:,\d{3})*),(.*)")
_CONFIG = re.compile(r"Config param (\w+): (.*)")
_PARAMS = re.compile(r"number parameters: ([\d.]+) billion")
_NAMES = {
    "seconds": "perf/step_time_seconds", "TFLOP/s/device": "perf/per_device_tflops_per_sec",
    "Tokens/s/device": "perf/per_device_tokens_per_sec", "total_weights": "learning/total_weights",
}  # fmt: skip


def parser() -> Parse:
    """A parser of one log's lines."""
    return _parse


def _parse(line: str) -> Point | Settings | None:
    if found := _STEP.search(line):
        values = _pairs(found[2].split(", "), ": ")
        return Point(number(found[1]) or 0.0, {_NAMES.get(name, f"learning/{name}"): v for name, v in values.items()})
    if found := _EVALUATION.search(line):
        values = _pairs(found[2].split(","), "=")
        named = {f"eval/avg_{name}" if name == "loss" else f"eval/{name}": v for name, v in values.items()}
        return Point(number(found[1]) or 0.0, named, training=False)
    if found := _CONFIG.search(line):
        return Settings({found[1]: setting(found[2])}, starts=True)
    if found := _PARAMS.search(line):
        return Settings({"num_params": round(float(found[1]) * 1e9)})
    return None


def _pairs(pieces: list[str], between: str) -> dict[str, float]:
    split = (piece.strip().partition(between) for piece in pieces)
    return {name: found for name, _, value in split if (found := number(value.rstrip("%"))) is not None}


MAXTEXT = Stdout(
    name="maxtext",
    reads="stdout of MaxText",
    mark=re.compile(rb"completed step: [\d,]+, seconds: [\d.]+, TFLOP/s/device: "),
    parser=parser,
)

__all__ = ["MAXTEXT"]
