"""A plan in many simulated worlds, beside its rivals at equal accelerator-hours and at other budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from planner.assess.designs import RIVALS, own_runs, rival_runs
from planner.assess.gates import GateErrors, gate_errors
from planner.assess.scores import DesignScore, score
from planner.assess.trials import CHUNK, FEWEST, LEVEL, Outcomes, Rates, Runs, Task, play
from planner.assess.truths import Kind
from planner.engines import Engine, here
from planner.errors import InputError
from planner.sweep.file.studies import IdeasStudy, ScalingStudy
from planner.sweep.patterns import PATTERNS
from planner.sweep.setting import Setting, setting_of
from planner.sweep.spec import Sweep

FRACTIONS = (1 / 30, 0.1, 0.25, 0.5, 2.0)  # of the scaling study's budget, beside the budget itself
WORLDS = 100


@dataclass(frozen=True)
class Assessment:
    """What is to be expected of a sweep.

    `designs` scores the sweep's own design (first of each kind) and its rivals within the same accelerator-hours; `curve`
    the own design at fractions of that budget, 1 among them; `gates` the ideas study (None without one). `skipped` says
    of designs and fractions why they could not be tried. Intervals are of `level`.
    """

    own: str
    level: float
    designs: tuple[DesignScore, ...]
    curve: tuple[DesignScore, ...]
    gates: GateErrors | None
    skipped: dict[str, str]


@dataclass(frozen=True)
class _Entry:
    """A design to try: the own one at a fraction of its budget, or a rival at all of it."""

    name: str
    fraction: float
    runs: Runs


def steps_of(sweep: Sweep, rivals: Sequence[str] = RIVALS) -> tuple[str, ...]:
    """The names that `assess_plan` reports as it goes."""
    own = _scaling(sweep).design
    return (own, *(name for name in rivals if name != own), "budgets", "ideas")


def assess_plan(
    sweep: Sweep,
    *,
    worlds: int = WORLDS,
    seed: int = 0,
    rivals: Sequence[str] = RIVALS,
    engine: Engine = here,
    progress: Callable[[str], None] = lambda _: None,
) -> Assessment:
    """The sweep's scaling study and its rivals, trained, cleaned and fitted in the same hidden worlds of every kind.

    The runs are fitted with the default recipe, as `planner run` does. `engine` maps the work: `here` in this process,
    `processes` on several cores; the numbers depend on the seed alone. InputError for an unknown rival, fewer than two
    worlds, or an own design that its budget does not buy.
    """
    unknown = [name for name in rivals if name not in PATTERNS]
    if unknown or worlds < 2:
        what = f"no design {unknown[0]!r}" if unknown else f"{worlds} worlds show no spread"
        raise InputError(what, f"one of: {', '.join(PATTERNS)}" if unknown else "two or more")
    setting, study = setting_of(sweep), _scaling(sweep)
    lab = sweep.file.lab
    rates = Rates(lab.noise, lab.failure_rate, lab.divergence_rate, lab.mistuned_rate)
    try:
        entries, skipped = _entries(setting, study, rivals, seed)
    except InputError as error:
        raise InputError(f"{sweep.source}: {error.message}", error.hint) from None
    tasks = [task for entry in entries for task in _tasks(entry.runs, setting, rates, worlds, seed)]
    found = iter(engine(play, tasks))
    scores: dict[tuple[str, float], list[DesignScore]] = {}
    own: dict[Kind, Outcomes] = {}
    told = ""
    for entry in entries:
        step = entry.name if entry.fraction == 1 else "budgets"
        if step != told:
            progress(told := step)
        for kind in Kind:
            outcomes = _joined([next(found) for _ in range(0, worlds, CHUNK)])
            own.setdefault(kind, outcomes)  # the first entry is the own design at all of its budget
            made = score(entry.name, kind, entry.fraction, entry.runs, outcomes, own[kind])
            scores.setdefault((entry.name, entry.fraction), []).append(made)
    progress("ideas")
    ideas = next((other for other in sweep.file.study if isinstance(other, IdeasStudy)), None)
    gates = None
    if ideas is not None:
        gates = gate_errors(setting, ideas, rates, worlds=worlds, seed=seed)
    return Assessment(
        own=study.design,
        level=LEVEL,
        designs=_by_kind(one for (_, fraction), made in scores.items() if fraction == 1 for one in made),
        curve=_by_kind(one for (name, _), made in sorted(scores.items()) if name == study.design for one in made),
        gates=gates,
        skipped=skipped,
    )


def _scaling(sweep: Sweep) -> ScalingStudy:
    return next(study for study in sweep.file.study if isinstance(study, ScalingStudy))


def _entries(
    setting: Setting, study: ScalingStudy, rivals: Sequence[str], seed: int
) -> tuple[list[_Entry], dict[str, str]]:
    """The own design, rivals that spend no more than it does, and the own design at other budgets; what could not be."""
    budget = setting.budget_of(study)
    own = _Entry(study.design, 1.0, own_runs(setting, study, budget))
    wanted: list[tuple[str, float, Callable[[], Runs]]] = [
        (name, 1.0, lambda name=name: rival_runs(setting, name, own.runs.gpu_hours, seed))  # type: ignore[misc]
        for name in dict.fromkeys(rivals)
        if name != study.design
    ]
    wanted += [
        (study.design, part, lambda part=part: own_runs(setting, study, part * budget))  # type: ignore[misc]
        for part in FRACTIONS
    ]
    entries, skipped = [own], {}
    for name, part, runs in wanted:
        called = name if part == 1 else f"{name} at {part:.2g}x"
        try:
            entry = _Entry(name, part, runs())
        except InputError as error:
            skipped[called] = error.message
            continue
        if entry.runs.params.size < FEWEST:
            skipped[called] = f"the budget buys {entry.runs.params.size} runs; a law needs {FEWEST}"
        else:
            entries.append(entry)
    return entries, skipped


def _tasks(runs: Runs, setting: Setting, rates: Rates, worlds: int, seed: int) -> list[Task]:
    """Batches of worlds of every kind, in the order in which they are put together again."""
    return [
        Task(runs, kind, seed, first, min(CHUNK, worlds - first), rates, setting.target)
        for kind in Kind
        for first in range(0, worlds, CHUNK)
    ]


def _joined(parts: list[Outcomes]) -> Outcomes:
    return Outcomes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _by_kind(scores: Iterable[DesignScore]) -> tuple[DesignScore, ...]:
    order = list(Kind)
    return tuple(sorted(scores, key=lambda one: order.index(one.kind)))
