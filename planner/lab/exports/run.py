"""The runs of a plan as exports need them: typed values, a safe name, nodes, hours, the trunk they branch from."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from planner.costs.accelerators import accelerators
from planner.errors import InputError
from planner.lab.exports.settings import Settings
from planner.text import short, slug

Value = str | int | float | bool

# Columns that are names, whatever they look like: an idea may be called "1e5".
TEXTS = frozenset(
    ("run_id", "study", "kind", "group", "variant", "status", "model", "flops_rule", "recomputation", "schedule",
     "optimizer", "precision",
     "hyperparameter_source", "accelerator", "gpu_hours_source", "purpose", "trunk_id", "loss_name", "loss_unit")
)  # fmt: skip
# Columns that say what a run is for or costs, and what follows from others; every other column changes what is trained.
BOOKKEEPING = frozenset(
    ("run_id", "study", "group", "stage", "status", "model", "params_total", "params_active", "params_non_embedding",
     "params_active_non_embedding", "tokens_per_param", "flops", "flops_rule", "hyperparameter_source",
     "hyperparameters_extrapolated", "accelerator", "n_accelerators", "nodes", "gpu_hours", "gpu_hours_source", "usd",
     "energy_kwh", "days", "memory_bytes", "memory_fraction", "zero_stage",
     "micro_batch_sequences", "recomputation", "priority", "chance", "kind", "purpose",
     "tokens_unique", "loss_name", "loss_unit", "is_final", "loss")
)  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LARGEST_NAME = 4096  # characters; more cannot be an argument's sane value


@dataclass(frozen=True)
class Run:
    """One planned run: its cells as numbers or text, and what a launcher has to know of it.

    `name` is `run_id` as a file name (letters, digits, dots, dashes); `hours` is wall-clock, None when not planned;
    `trunk` is the name of the run it branches from, "" for none; `branches` are the tokens at which others branch from it;
    `trained` are the cells that change what is trained.
    """

    run_id: str
    name: str
    values: Mapping[str, Value]
    nodes: int
    gpus_per_node: int
    hours: float | None
    trunk: str = ""
    branches: tuple[int, ...] = ()
    trained: Mapping[str, Value] = field(default_factory=dict)

    def whole(self, column: str) -> int | None:
        """A count, None when the plan does not have it. Raises InputError when it is not a whole number."""
        value = self.values.get(column)
        if value is None:
            return None
        if isinstance(value, str) or value != int(value):
            raise InputError(f"run {self.run_id!r}: {column} = {value!r} is not a whole number", "mend the plan")
        return int(value)

    def number(self, column: str) -> float | None:
        """A number, None when the plan does not have it. Raises InputError when it is text."""
        value = self.values.get(column)
        if isinstance(value, str):
            raise InputError(f"run {self.run_id!r}: {column} = {value!r} is not a number", "mend the plan")
        return None if value is None else float(value)

    def text(self, column: str) -> str:
        """A name, "" when the plan does not have it."""
        return str(self.values.get(column, ""))


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The plan with numbers as numbers: a column of numbers, of whole numbers, of true/false, or of text; missing stays missing.

    Raises InputError for text that no file or command line can hold: a NUL, or half a surrogate pair.
    """
    return pd.DataFrame({str(name): _column(str(name), frame[name]) for name in frame.columns})


def runs_of(frame: pd.DataFrame, settings: Settings) -> list[Run]:
    """The runs of a `typed` plan in its order.

    Raises InputError for a plan without run_id, an id that is missing or twice, a number of accelerators that no whole
    nodes give, and a trunk that is not in the plan.
    """
    if "run_id" not in frame:
        raise InputError("the plan has no column 'run_id'", "give the plan that `planner propose` wrote")
    runs = [_run({str(k): v for k, v in row.items() if not _missing(v)}, settings) for row in frame.to_dict("records")]
    branches: dict[str, set[int]] = {}
    for run in runs:
        if run.name in branches:
            raise InputError(f"run {short(run.run_id)!r} is planned twice", "leave one of them out")
        branches[run.name] = set()
    for run in runs:
        if run.trunk and run.trunk not in branches:
            trunk = run.text("trunk_id")
            raise InputError(
                f"run {run.run_id!r} resumes from {trunk!r}, which is not in the plan", "plan its trunk too"
            )
        if run.trunk and (tokens := run.whole("resumed_tokens")):
            branches[run.trunk].add(tokens)
    return [replace(run, branches=tuple(sorted(branches[run.name]))) for run in runs]


def waves(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs in the order they can start: trunks, then what branches from them. Raises InputError for a circle."""
    left, done, found = list(runs), {""}, []
    while left:
        wave = [run for run in left if run.trunk in done]
        if not wave:
            raise InputError(f"run {left[0].run_id!r} resumes from itself in a circle", "mend trunk_id")
        found.append(wave)
        done |= {run.name for run in wave}
        left = [run for run in left if run.name not in done]
    return found


def _column(name: str, column: pd.Series) -> pd.Series:
    cells = ["" if _missing(cell) else str(cell) for cell in column]
    for cell in (name, *cells):
        _require_text(name, cell)
    there = [cell for cell in cells if cell]
    if name in TEXTS or not there:
        return pd.Series([cell or None for cell in cells], dtype=object)
    if all(cell.lower() in ("true", "false") for cell in there):
        return pd.Series([cell.lower() == "true" if cell else None for cell in cells], dtype="boolean")
    if all(_NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in there):
        numbers = [float(cell) if cell else None for cell in cells]
        if all(number is None or (number == int(number) and abs(number) < 2**53) for number in numbers):
            return pd.Series([None if number is None else int(number) for number in numbers], dtype="Int64")
        return pd.Series(numbers, dtype=float)
    return pd.Series([cell or None for cell in cells], dtype=object)


def _require_text(column: str, cell: str) -> None:
    if "\0" in cell:
        raise InputError(f"column {column!r}: {short(cell)!r} holds a NUL, which no command line can", "take it out")
    if len(cell) > _LARGEST_NAME:
        raise InputError(f"column {column!r}: a cell of {len(cell):,} characters", "shorten it")
    if not cell.isascii():
        try:
            cell.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"column {column!r}: {short(cell)!r} is not text: half a character", "mend it") from None


def _missing(cell: object) -> bool:
    return cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell))


def _run(row: dict[str, Value], settings: Settings) -> Run:
    run_id = str(row.get("run_id", ""))
    if not run_id:
        raise InputError("a planned run has no run_id", "give the plan that `planner propose` wrote")
    bare = Run(run_id, run_name(run_id), row, 1, 1, None)
    nodes, gpus = _nodes(bare, settings)
    trunk = bare.text("trunk_id")
    idle = [name for name in ("resumed_tokens", "cooldown_fraction") if not row.get(name)]  # 0: nothing to tell
    trained = {name: value for name, value in row.items() if name not in BOOKKEEPING and name not in idle}
    hours = _hours(bare, nodes * gpus)
    return Run(run_id, bare.name, row, nodes, gpus, hours, run_name(trunk) if trunk else "", trained=trained)


def run_name(run_id: str) -> str:
    """A run_id as the name of its files, job, tag and label: itself where that is safe, else with 12 digits of a hash.

    At most 63 letters, digits, dots, dashes and underscores (Kubernetes labels; W&B tags take 64), the first and the last a
    letter or digit.
    """
    name = slug(run_id, longest=50, digits=12)
    return name if name[0] != "_" and name[-1] != "_" else slug(f"x {run_id}", longest=50, digits=12)


def _nodes(run: Run, settings: Settings) -> tuple[int, int]:
    count, nodes = run.whole("n_accelerators") or 1, run.whole("nodes")
    known = accelerators().get(run.text("accelerator").lower())
    per_node = settings.gpus_per_node or (known.per_node if known else 8)
    if nodes is None:
        nodes = math.ceil(count / per_node)
    if nodes < 1 or count < 1 or count % nodes:
        raise InputError(
            f"run {run.run_id!r}: {count} accelerators on {nodes} nodes leave some unused",
            "set --gpus-per-node to a divisor",
        )
    return nodes, count // nodes


def _hours(run: Run, count: int) -> float | None:
    hours, days = run.number("gpu_hours"), run.number("days")
    if hours is not None:
        return hours / count
    return None if days is None else days * 24
