"""A plan's table as jobs: whole nodes, hours of wall-clock, priorities, gates between stages and trunks before branches."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from planner.errors import InputError
from planner.laws.centre import Array
from planner.runs.columns import Status
from planner.sweep.schedule.jobs import Gate, Index, Jobs
from planner.text import short

GATED = ("ideas",)  # studies whose stages wait for each other
ENDED = (Status.COMPLETED, Status.FAILED, Status.DIVERGED, Status.PREEMPTED, Status.CANCELLED)
MOST_PRIORITY = 10**9


@dataclass(frozen=True)
class Part:
    """The runs of one stage of a study, which answer a question together."""

    study: str
    stage: int


@dataclass(frozen=True)
class PlannedRuns:
    """Runs still to be done, as jobs, with what people call them.

    `chips` `(n,)` a run trains on (its nodes may hold more), `part` `(n,)` is an index into `parts`; `ended` counts rows of
    the table that need no time any more.
    """

    jobs: Jobs
    chips: Index
    part: Index
    parts: tuple[Part, ...]
    ended: int

    @property
    def gpu_hours(self) -> Array:
        """Accelerator-hours planned of each run `(n,)`."""
        return self.jobs.hours * self.chips

    def only(self, kept: Index) -> PlannedRuns:
        """Some of the runs, and the parts that they belong to."""
        used, part = np.unique(self.part[kept], return_inverse=True)
        parts = tuple(self.parts[index] for index in used)
        return PlannedRuns(self.jobs.only(kept), self.chips[kept], part, parts, self.ended)


def planned_runs(
    frame: pd.DataFrame, source: str, *, chips_per_node: int, gated: tuple[str, ...] = GATED
) -> PlannedRuns:
    """The runs of a plan's table that have not ended.

    Columns: `run_id`, `gpu_hours`, and `n_accelerators` or `nodes`; where there are any, `study`, `stage`, `priority` (1 is
    first), `trunk_id` (the run that must end first), `status`, `line`. Runs take whole nodes. Raises InputError for a
    missing column, a cell that is no number, two rows of one run, and a `trunk_id` that is not in the plan.
    """
    _require_columns(frame, source)
    names = frame["run_id"].astype(str).str.strip()
    _require_names(frame, names, source)
    status = _text(frame, "status", Status.PLANNED)
    left = ~status.isin(ENDED).to_numpy()
    done = set(names[(status == Status.COMPLETED).to_numpy()])
    frame, names = frame[left].reset_index(drop=True), names[left].reset_index(drop=True)
    if frame.empty:
        raise InputError(f"{source}: no run is left to schedule", "every row's status says that it has ended")
    chips, nodes = _sizes(frame, source, chips_per_node)
    study = _text(frame, "study", "runs")
    stage = _whole(frame, "stage", source) if "stage" in frame else np.ones(len(frame), int)
    priority = _whole(frame, "priority", source) if "priority" in frame else np.ones(len(frame), int)
    gates = _stages(study, stage, gated) + _trunks(frame, names, done, source)
    hours = _positive(frame, "gpu_hours", source) / chips
    try:
        jobs = Jobs(tuple(names), hours, nodes, priority, tuple(gates))
    except InputError as error:
        raise InputError(f"{source}: {error.message}", error.hint) from None
    part, parts = _parts(study, stage)
    return PlannedRuns(jobs, chips, part, parts, int((~left).sum()))


def _parts(study: pd.Series, stage: Index) -> tuple[Index, tuple[Part, ...]]:
    """Which part each run belongs to; studies in the plan's order, their stages in their own."""
    place = {name: index for index, name in enumerate(dict.fromkeys(study))}
    keys = list(zip(study, stage.tolist(), strict=True))
    parts = sorted(set(keys), key=lambda key: (place[key[0]], key[1]))
    index = {key: number for number, key in enumerate(parts)}
    return np.array([index[key] for key in keys]), tuple(Part(*key) for key in parts)


def _require_columns(frame: pd.DataFrame, source: str) -> None:
    missing = [name for name in ("run_id", "gpu_hours") if name not in frame]
    if not {"n_accelerators", "nodes"} & set(frame):
        missing.append("n_accelerators")
    if missing:
        raise InputError(
            f"{source}: no column {' or '.join(map(repr, missing))}", "give a plan, as `planner propose` writes it"
        )


def _require_names(frame: pd.DataFrame, names: pd.Series, source: str) -> None:
    if (names == "").any():
        raise InputError(f"{source}: line {_line(frame, names == '')}: run_id is empty", "name every run")
    if (twice := names.duplicated()).any():
        raise InputError(
            f"{source}: line {_line(frame, twice)}: run {short(names[twice].iloc[0])!r} is there twice",
            "give one row per run",
        )


def _sizes(frame: pd.DataFrame, source: str, chips_per_node: int) -> tuple[Index, Index]:
    """Chips and whole nodes of every run."""
    nodes = _count(frame, "nodes", source) if "nodes" in frame else None
    if "n_accelerators" not in frame:
        assert nodes is not None  # noqa: S101 - one of the two columns is there
        return nodes * chips_per_node, nodes
    chips = _count(frame, "n_accelerators", source)
    if nodes is None:
        return chips, -(-chips // chips_per_node)
    if (few := nodes * chips_per_node < chips).any():
        at = int(np.argmax(few))
        raise InputError(
            f"{source}: line {_line(frame, few)}: {chips[at]} chips on {nodes[at]} nodes of {chips_per_node}",
            "say how many chips a node has with --chips-per-node",
        )
    return chips, nodes


def _stages(study: pd.Series, stage: Index, gated: tuple[str, ...]) -> list[Gate]:
    """A gate between each stage of a gated study and the next."""
    gates = []
    for name in dict.fromkeys(study[study.isin(gated)]):
        of_study = (study == name).to_numpy()
        stages = np.unique(stage[of_study])
        for before, after in pairwise(stages):
            here, there = (np.flatnonzero(of_study & (stage == number)) for number in (before, after))
            gates.append(Gate(here, there, f"stage {after} of {name}"))
    return gates


def _trunks(frame: pd.DataFrame, names: pd.Series, done: set[str], source: str) -> list[Gate]:
    """A gate behind each run that others resume from; one that is completed is open."""
    trunk = _text(frame, "trunk_id", "")
    wanted = (trunk != "") & ~trunk.isin(done)
    if (lost := wanted & ~trunk.isin(names)).any():
        raise InputError(
            f"{source}: line {_line(frame, lost)}: trunk_id {short(trunk[lost].iloc[0])!r} is no run that is planned or "
            "completed",
            "add the trunk to the plan, or empty the cell",
        )
    place = {name: index for index, name in enumerate(names)}
    branches = trunk[wanted].groupby(trunk[wanted], sort=False).groups
    return [
        Gate(np.array([place[str(name)]]), np.asarray(rows, np.intp), f"branches of {short(str(name))}")
        for name, rows in branches.items()
    ]


def _text(frame: pd.DataFrame, name: str, default: str) -> pd.Series:
    if name not in frame:
        return pd.Series([default] * len(frame), dtype=object)
    text = frame[name].fillna("").astype(str).str.strip()
    return text.where(text.str.lower() != "nan", "").where(text != "", default)


def _positive(frame: pd.DataFrame, name: str, source: str) -> Array:
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    odd = ~((values > 0) & np.isfinite(values))
    if odd.any():
        cell = frame[name][odd].iloc[0]
        said = "is empty" if pd.isna(cell) or str(cell).strip() == "" else f"= {short(str(cell))} is not above zero"
        raise InputError(
            f"{source}: line {_line(frame, odd)}: {name} {said}", "mend it, or leave the run out with --where"
        )
    return values


def _count(frame: pd.DataFrame, name: str, source: str) -> Index:
    values = _positive(frame, name, source)
    _require_whole(frame, values, name, source)
    return values.astype(int)


def _whole(frame: pd.DataFrame, name: str, source: str) -> Index:
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    _require_whole(frame, values, name, source)
    return values.astype(int)


def _require_whole(frame: pd.DataFrame, values: Array, name: str, source: str) -> None:
    odd = ~(np.isfinite(values) & (values == np.round(values)) & (np.abs(values) <= MOST_PRIORITY))
    if odd.any():
        cell = short(str(frame[name][odd].iloc[0]))
        raise InputError(
            f"{source}: line {_line(frame, odd)}: {name} {f'= {cell}' if cell else 'is empty'}: a whole number is wanted",
            "mend it, or leave the run out with --where",
        )


def _line(frame: pd.DataFrame, odd: pd.Series | np.ndarray) -> object:
    """Where the first of some rows stands in its file, else its number."""
    at = int(np.argmax(np.asarray(odd)))
    return frame["line"].iloc[at] if "line" in frame else at + 1
