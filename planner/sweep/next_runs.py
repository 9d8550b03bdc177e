"""A sweep in progress: what came back, what to run now, which gates close, and whether to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from planner.decisions.gates import Closed
from planner.decisions.waste import price_of_error
from planner.errors import InputError
from planner.fitting.fit import Fit, fit
from planner.runs.columns import BASELINE, Count, Status
from planner.runs.read import RunTable
from planner.runs.sample import sample_of
from planner.sweep.design import BestSize, Done, build, fitted_belief
from planner.sweep.file.studies import IdeasStudy, ScalingStudy, Study
from planner.sweep.gating import close_stage
from planner.sweep.plan import Plan, propose
from planner.sweep.prior import with_prior
from planner.sweep.request import Request
from planner.sweep.row import completed, first_seed, rows, run_id
from planner.sweep.setting import Setting
from planner.sweep.spec import Sweep
from planner.sweep.studies.ideas import SMALLEST_PAIRS
from planner.sweep.studies.scaling import FEWEST_RUNS, Known, Proposed, grid_cells, optimal_requests

BATCHES = (0.05, 0.2, 0.5, 1.0)  # of the scaling study's hours are to be spent after each batch (SCIENCE 5.5)
CLOSE_ENOUGH = 0.98  # of a batch: what is left of it buys no run worth planning
AGAIN = (Status.FAILED, Status.PREEMPTED, Status.PLANNED)  # not the run's own fault, or never started
NOISE_EXPONENT = 0.22  # sd between seeds falls as params^-.22 (an assumption)


@dataclass(frozen=True)
class Worth:
    """What the next batch of scaling runs is worth: hours it costs, and what choosing the size wastes before and after it.

    `waste` and `waste_after` are fractions of the final run's compute; `saves` the hours between them.
    """

    gpu_hours: float
    waste: float
    waste_after: float
    saves: float

    @property
    def pays(self) -> bool:
        """Whether it saves more than it costs."""
        return self.saves > self.gpu_hours


@dataclass(frozen=True)
class Next:
    """What to do now. `runs` is a plan table; `reason` says in a sentence why these, or why none.

    `running` are runs still out, `diverged` those that are not repeated; `spent` hours by study; `worth` None before a law
    can be fitted; `noise` the sd of ln loss between runs at 1B parameters that the design assumed.
    """

    runs: pd.DataFrame
    closed: tuple[Closed, ...]
    stop: bool
    reason: str
    spent: dict[str, float]
    running: tuple[str, ...]
    diverged: tuple[str, ...]
    worth: Worth | None
    noise: float | None


def next_runs(sweep: Sweep, runs: RunTable, *, everything: bool = False) -> Next:
    """The runs to do now, given the table of `runs` (as `planner import` makes it: run_id, study, kind, status, gpu_hours, ...).

    Fixed studies: what failed or never started. Scaling: the law is fitted again to all that came back, the noise with it,
    and the next batch is designed on its posterior, until 5, 20, 50 and 100 % of the study's hours are spent or the next
    batch costs more than it saves. Ideas: the next stage, for those whom the gates let on. `everything` plans all that the
    budget still pays, without batches and without the stop rule. Raises InputError for a table that is not of this sweep.
    """
    plan = propose(sweep)
    frame = _checked(runs, plan)
    spent = {str(name): float(part["gpu_hours"].sum()) for name, part in frame.groupby("study", sort=False)}
    law = _fitted(frame, runs, sweep.prior)
    parts: list[pd.DataFrame] = []
    closed: tuple[Closed, ...] = ()
    worth: Worth | None = None
    why: list[str] = []
    for study in sweep.file.study:
        name = study.name or study.kind
        if isinstance(study, ScalingStudy) and study.design == "optimal":
            part, worth, said = _scaling(plan, study, frame, law, spent.get(name, 0.0), everything=everything)
        elif isinstance(study, IdeasStudy):
            stage = _ideas(plan, study, frame, law)
            part, closed, said = stage.due, stage.closed, stage.said
        else:
            part, said = _fixed(plan, study, frame)
        parts.append(part)
        why.append(f"{name}: {said}")
    due = pd.concat(parts, ignore_index=True)
    running = tuple(frame.loc[frame["status"] == Status.RUNNING, "run_id"])
    return Next(
        runs=due,
        closed=closed,
        stop=due.empty and not running,
        reason="; ".join(why),
        spent=spent,
        running=running,
        diverged=tuple(frame.loc[frame["status"] == Status.DIVERGED, "run_id"]),
        worth=worth,
        noise=None if law is None else _noise(law, frame),
    )


def _checked(runs: RunTable, plan: Plan) -> pd.DataFrame:
    """The rows that this sweep's studies know, by the columns that are needed."""
    for name in (
        "run_id",
        "study",
        "kind",
        "status",
        "gpu_hours",
        "params_active",
        "tokens",
        "loss",
        "variant",
        "stage",
    ):
        if name not in runs.frame:
            raise InputError(
                f"{runs.source}: no column {name!r}", "give the table that `planner import LOGS --plan PLAN` writes"
            )
    known = {study.name or study.kind for study in plan.setting.sweep.file.study}
    mine = runs.frame[runs.frame["study"].isin(known)]
    if mine.empty:
        raise InputError(
            f"{runs.source}: no run of {plan.setting.sweep.file.name}'s studies ({', '.join(sorted(known))})",
            "give the runs of this sweep",
        )
    return mine.assign(gpu_hours=mine["gpu_hours"].fillna(0.0))


def _fitted(frame: pd.DataFrame, runs: RunTable, prior: pd.DataFrame | None) -> Fit | None:
    """The law from the scaling runs that finished; None while they are too few or too alike."""
    scaling = frame[frame["kind"] == "scaling"]
    if (scaling["status"] == Status.COMPLETED).sum() < FEWEST_RUNS:
        return None
    try:
        mine = RunTable(scaling.reset_index(drop=True), runs.source, runs.sha256, {})
        return fit(sample_of(with_prior(mine, prior), count=Count.ACTIVE))
    except InputError:
        return None


def _fixed(plan: Plan, study: Study, frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Planned runs that never started, failed or were preempted; diverged ones would diverge again."""
    name = study.name or study.kind
    due = _due(plan.runs[plan.runs["study"] == name], frame)
    return due, f"{len(due)} runs to do" if len(due) else "complete"


def _due(planned: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    over = frame.loc[~frame["status"].isin(AGAIN), "run_id"]
    return planned[~planned["run_id"].isin(over)]


def _scaling(
    plan: Plan, study: ScalingStudy, frame: pd.DataFrame, law: Fit | None, spent: float, *, everything: bool
) -> tuple[pd.DataFrame, Worth | None, str]:
    """The next batch on what is known now, and whether it pays."""
    setting, none = plan.setting, plan.runs.iloc[:0]
    budget = setting.budget_of(study)
    mine = frame[frame["kind"] == "scaling"]
    if (mine["status"] == Status.RUNNING).any() and not everything:
        return none, None, f"{int((mine['status'] == Status.RUNNING).sum())} runs are still out"
    known = _known(setting, mine, law, frame)
    for share in (1.0,) if everything else BATCHES:
        batch = share * budget - spent
        if batch <= (1 - CLOSE_ENOUGH) * share * budget:
            continue
        try:
            proposed = optimal_requests(setting, study, batch, known)
        except InputError:
            continue  # too little for any run, or for what a first batch must have: the next batch is larger
        found = rows(setting, study, _unused(setting, study, proposed.requests, set(mine["run_id"])))
        worth = None if law is None else _worth(setting, law, proposed, float(found["gpu_hours"].sum()))
        if worth is not None and not worth.pays and not everything:
            return none, worth, f"stop, the next {batch:.4g} GPU-hours {_saying(worth)}"
        said = f"{len(found)} runs, up to {share:.0%} of its hours"
        return found, worth, said if worth is None else f"{said}: they {_saying(worth)}"
    return none, None, f"its {budget:.4g} GPU-hours are spent"


def _saying(worth: Worth) -> str:
    return (
        f"lower what choosing the size is expected to waste from {worth.waste:.2%} to {worth.waste_after:.2%} of the final run, "
        f"which saves {worth.saves:.4g} GPU-hours for {worth.gpu_hours:.4g}"
    )


def _known(setting: Setting, mine: pd.DataFrame, law: Fit | None, frame: pd.DataFrame) -> Known:
    """The fit's posterior and noise; before there is one, the prior and what has finished."""
    if law is not None:
        return Known(fitted_belief(law), None, _noise(law, frame), whole=False)
    done = mine[mine["status"] == Status.COMPLETED]
    prior = setting.sweep.prior
    counts = [(done["params_active"], done["tokens"])] + (
        [] if prior is None else [(prior["params_active"], prior["tokens"])]
    )
    params, tokens = (np.concatenate([pair[axis].to_numpy(float) for pair in counts]) for axis in (0, 1))
    return Known(done=Done(params, tokens) if params.size else None)


def _noise(law: Fit, frame: pd.DataFrame) -> float:
    """The sd of ln loss between runs, brought to 1B parameters."""
    done = frame[(frame["kind"] == "scaling") & (frame["status"] == Status.COMPLETED)]
    middle = float(np.exp(np.log(done["params_active"].astype(float)).mean()))
    return float(law.uncertainty.scale * (middle / 1e9) ** NOISE_EXPONENT)


def _worth(setting: Setting, law: Fit, proposed: Proposed, gpu_hours: float) -> Worth:
    """Misallocation before and after: waste goes with the variance of ln N*, which the new runs lower."""
    params, tokens = setting.target
    flops = 6 * params * tokens
    waste = price_of_error(law, params=law.law.optimum(flops).params, total=flops).expected
    problem = proposed.problem
    cells = problem.floor.size
    size = build(
        fitted_belief(law), _columns(setting, cells), (BestSize(flops),), problem.bundles, floor=np.sqrt(problem.floor),
        base=problem.base, budget=gpu_hours,
    )  # fmt: skip
    before = size.at(np.zeros(len(proposed.design.runs))).variance
    left = waste * size.at(proposed.design.runs.astype(float)).variance / before
    return Worth(gpu_hours, waste, left, (waste - left) * setting.final.gpu_hours)


def _columns(setting: Setting, cells: int) -> tuple[np.ndarray, np.ndarray]:
    grid = grid_cells(setting)[:cells]
    params, tokens = np.array([(cell.size.active, cell.tokens) for cell in grid]).T
    return params, tokens


def _unused(setting: Setting, study: ScalingStudy, requests: Sequence[Request], taken: set[str]) -> list[Request]:
    """The same runs with seeds that nobody has used; all runs of one trunk move together."""
    name, first = study.name or study.kind, first_seed(study)

    def used(request: Request, seed: int) -> bool:
        return run_id(name, completed(request.cell, setting), request.variant, first + seed) in taken

    shifts: dict[object, int] = {}
    for request in requests:
        group = request.cell.trunk or request.cell
        shift = shifts.get(group, 0)
        while used(request, request.seed + shift):
            shift += 1
        shifts[group] = shift
    return [replace(one, seed=one.seed + shifts[one.cell.trunk or one.cell]) for one in requests]


@dataclass(frozen=True)
class Stage:
    """Where an ideas study stands: the first stage that is not complete, its runs due, the gates closed so far, and why."""

    number: int
    due: pd.DataFrame
    closed: tuple[Closed, ...]
    said: str


def stage_of(plan: Plan, runs: RunTable) -> Stage | None:
    """Where the plan's ideas study stands, given the table of `runs`; None without such a study.

    Runs of stages beyond `number` wait for its gate, which needs its runs and a law. Raises InputError as `next_runs` does.
    """
    study = next((study for study in plan.setting.sweep.file.study if isinstance(study, IdeasStudy)), None)
    if study is None:
        return None
    frame = _checked(runs, plan)
    return _ideas(plan, study, frame, _fitted(frame, runs, plan.setting.sweep.prior))


def _ideas(plan: Plan, study: IdeasStudy, frame: pd.DataFrame, law: Fit | None) -> Stage:
    """The first stage that is not complete, for the ideas that the gates before it let on."""
    planned = plan.runs[plan.runs["kind"] == "ideas"]
    mine = frame[frame["kind"] == "ideas"]
    closed: list[Closed] = []
    last = int(planned["stage"].max())
    for stage in range(1, last + 1):
        gone = {one.variant for one in closed}
        here = planned[(planned["stage"] == stage) & ~planned["variant"].isin(gone)]
        due = _short(_due(here, mine), here, mine)
        if len(due):
            return Stage(stage, due, tuple(closed), f"{len(due)} runs of stage {stage} of {last}, {_alive(here)} ideas")
        if mine.loc[mine["run_id"].isin(here["run_id"]), "status"].eq(Status.RUNNING).any():
            return Stage(stage, due, tuple(closed), f"stage {stage} is still out")
        if stage == last:
            return Stage(stage, due, tuple(closed), "complete")
        if law is None:
            waits = f"stage {stage} is back; its gate waits for the law, which needs more scaling runs"
            return Stage(stage, due, tuple(closed), waits)
        upto = RunTable(mine[mine["stage"] <= stage].reset_index(drop=True), "runs", "", {})
        closed += close_stage(plan.setting, study, plan.runs, upto, law.law, closed, stage)
    raise AssertionError("the last stage returns")


def _short(due: pd.DataFrame, here: pd.DataFrame, mine: pd.DataFrame) -> pd.DataFrame:
    """Of the runs due, those never started, and failed ones of arms with fewer finished runs at this stage than a gate needs."""
    done = mine[mine["run_id"].isin(here["run_id"]) & (mine["status"] == Status.COMPLETED)]
    finished = due["variant"].map(done["variant"].value_counts()).fillna(0)
    failed = due["run_id"].isin(mine.loc[mine["status"] == Status.FAILED, "run_id"])
    return due[~failed | (finished < SMALLEST_PAIRS)]


def _alive(rows_: pd.DataFrame) -> int:
    return int(rows_.loc[rows_["variant"] != BASELINE, "variant"].nunique())
