"""Megatron-LM's stdout, and that of its forks (Megatron-DeepSpeed, Primus, GPT-NeoX).

Lines as `training_log` and `evaluate_and_print_results` of megatron/training/training.py print them, and `_print_args` of
megatron/training/arguments.py::

    [2024-10-24 21:02:23] iteration       20/   40000 | consumed samples:         1280 | elapsed time per iteration (ms): 826.6 |
     throughput per GPU (TFLOP/s/GPU): 23.5 | learning rate: 1.200000E-05 | global batch size:    64 | lm loss: 1.145711E+01 | ...
     validation loss at iteration 7000 | lm loss value: 7.174200E+00 | lm loss PPL: 1.305315E+03 |
      seq_length ...................................... 4096
"""

from __future__ import annotations

import math
import re

from planner.logs.curves import number, setting
from planner.logs.stdout import Parse, Point, Settings, Stdout

_ITERATION = re.compile(r"iteration\s+(\d+(?:,\d{3})*)\s*/\s*(\d+(?:,\d{3})*)\s*\|")
_VALIDATION = re.compile(r"(validation|test) loss at (?:iteration\s+(\d+(?:,\d{3})*)|the end of training)([^|]*)\|")
_ARGUMENT = re.compile(r"\s*(\w+) \.{2,} (.*)")
_WORLD = re.compile(r"using world size: (\d+(?:,\d{3})*)")


def parser() -> Parse:
    """A parser of one log's lines."""
    last = math.nan

    def parse(line: str) -> Point | Settings | None:
        nonlocal last
        if found := _ITERATION.search(line):
            last = number(found[1]) or 0.0
            return _training(last, number(found[2]), _pairs(line[found.end() :]))
        if found := _VALIDATION.search(line):
            step = number(found[2]) if found[2] else last
            test = found[1] == "test" or "test" in found[3]
            values = _pairs(line[found.end() :])
            return Point(step or 0.0, {f"test {k}": v for k, v in values.items()} if test else values, training=False)
        if found := _ARGUMENT.fullmatch(line):
            return Settings({found[1]: setting(found[2])})
        if found := _WORLD.search(line):
            return Settings({"world_size": setting(found[1])}, starts=True)
        return None

    return parse


def _training(step: float, steps: float | None, values: dict[str, float]) -> Point:
    settings = {"train_iters": steps} if steps else {}
    if "global batch size" in values:
        settings["global_batch_size"] = values["global batch size"]
    return Point(step, values, settings=settings)


def _pairs(text: str) -> dict[str, float]:
    values = {}
    for piece in text.split("|"):
        name, _, value = piece.rpartition(":")
        found = number(value.split("/")[0])  # Primus prints now/average
        if found is not None:
            values[name.strip()] = found
    return values


MEGATRON = Stdout(
    name="megatron",
    reads="stdout of Megatron-LM",
    mark=re.compile(rb"iteration +[\d,]+ */ *[\d,]+ *\|[^\n]*\| *(?:lm )?loss"),
    parser=parser,
)

__all__ = ["MEGATRON"]
