"""NeMo's stdout: lines of its ProgressPrinter, and the bars of its older MegatronProgressBar.

Lines as nemo/lightning/pytorch/callbacks/progress_printer.py prints them, and as tqdm prints the metrics of Lightning::

    Training epoch 0, iteration 74/99 | lr: 1.124e-05 | global_batch_size: 128 | global_step: 74 | reduced_train_loss: 11.87 |
     train_step_timing in s: 8.768 | consumed_samples: 9600 | val_loss: 2.861
    Epoch 0: :  10%|#  | 10/100 [00:30<04:30, v_num=0, reduced_train_loss=10.30, global_step=9.000, consumed_samples=80.0]

The printer averages every metric but `global_step` over the steps since its last line, `consumed_samples` too; that one is put
right here, from the batch. A `val_loss` is repeated on every line after the evaluation; it is taken where it changes.
"""

from __future__ import annotations

import math
import re

from planner.logs.curves import number
from planner.logs.stdout import Parse, Point, Settings, Stdout

_PRINTED = re.compile(r"Training epoch \d+, iteration (\d+(?:,\d{3})*)/(\d+(?:,\d{3})*) \| (.*)")
_BAR = re.compile(r"Epoch \d+:.*?(\d+(?:,\d{3})*)/(\d+(?:,\d{3})*) \[[^,\]]*, (.*)\]")
_EVALUATED = ("val_", "validation_", "test_")


def parser() -> Parse:
    """A parser of one log's lines."""
    last, interval, evaluated = -1.0, 1.0, dict[str, float]()

    def parse(line: str) -> Point | Settings | None:
        nonlocal last, interval
        if found := _PRINTED.search(line):
            values = _pairs(found[3].split(" | "), ": ")
        elif found := _BAR.search(line):
            values = _pairs(found[3].split(", "), "=")
        else:
            return None
        iteration, total = number(found[1]) or 0.0, number(found[2]) or 0.0
        step = values.pop("global_step", iteration)
        if step > last:
            interval = step - last
        else:  # a restart: its lines are printed at the same distances, its evaluations are new
            evaluated.clear()
        if "consumed_samples" in values:
            values["consumed_samples"] = _consumed(values, step, interval)
        for name in [name for name in values if name.startswith(_EVALUATED)]:
            if evaluated.get(name) == values[name]:
                del values[name]
            else:
                evaluated[name] = values[name]
        last = step
        settings = {"max_steps": total + 1 if iteration == step else total}  # it counts from 0 where the two agree
        if "global_batch_size" in values:
            settings["global_batch_size"] = values["global_batch_size"]
        return Point(step, values, settings=settings)

    return parse


def _pairs(pieces: list[str], between: str) -> dict[str, float]:
    split = (piece.strip(" |").rpartition(between) for piece in pieces)
    return {name.strip(): found for name, _, value in split if name and (found := number(value)) is not None}


def _consumed(values: dict[str, float], step: float, interval: float) -> float:
    """Samples after `step`, where the printed ones may be their mean over `interval` steps of equal batches."""
    printed, batch = values["consumed_samples"], values.get("global_batch_size", math.nan)
    mean = (step + 1 - (interval - 1) / 2) * batch
    return (step + 1) * batch if interval > 1 and abs(printed / mean - 1) < 1e-3 else printed


NEMO = Stdout(
    name="nemo",
    reads="stdout of NeMo",
    mark=re.compile(rb"Training epoch \d+, iteration \d+/\d+ \||Epoch \d+:[^\n]*reduced_train_loss="),
    parser=parser,
)

__all__ = ["NEMO"]
