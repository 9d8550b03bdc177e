"""A plan laid out on a pool: timetable, how its end spreads, when each answer arrives, and what a deadline asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from planner.costs.run_cost import Percentiles
from planner.errors import InputError
from planner.sweep.schedule.deadline import nodes_within, within_deadline
from planner.sweep.schedule.jobs import Index, Pool
from planner.sweep.schedule.packing import Packer, Rule
from planner.sweep.schedule.planned import Part, PlannedRuns
from planner.sweep.schedule.risk import Risk
from planner.sweep.schedule.spread import Spread, spread_of
from planner.sweep.schedule.timetable import Timetable, schedule

SURE = 0.9  # the probability with which a way out should meet the deadline
MARGIN = 1.01  # on how late P90 is, so that the first attempt mostly reaches it
TRIES = 5  # to reach it, each planned to end earlier by what the one before was late


@dataclass(frozen=True)
class Setup:
    """How a plan is laid out; `repeats` None means as many as `repeats_for` says."""

    pool: Pool
    rule: Rule = Rule.RESERVE
    risk: Risk = field(default_factory=Risk)
    repeats: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """A part of the plan: accelerator-hours planned, hours from the start at which its first run starts and its last ends."""

    part: Part
    n_runs: int
    gpu_hours: float
    first_start: float
    end: float
    arrives: Percentiles


@dataclass(frozen=True)
class Outcome:
    """A plan laid out: hours of `table` are those expected (failures counted in), `spread` is around them."""

    runs: PlannedRuns
    setup: Setup
    table: Timetable
    spread: Spread

    @property
    def answers(self) -> list[Answer]:
        """Each part of the plan, in the plan's order."""
        return [
            Answer(
                part=part,
                n_runs=int(mine.sum()),
                gpu_hours=float(self.runs.gpu_hours[mine].sum()),
                first_start=float(self.table.start[mine].min()),
                end=float(self.table.end[mine].max()),
                arrives=self.spread.percentiles(index),
            )
            for index, part in enumerate(self.runs.parts)
            for mine in [self.runs.part == index]
        ]


@dataclass(frozen=True)
class WayOut:
    """Runs (indices) on a pool, hours at which they end, and the probability that they do by the deadline."""

    runs: Index
    pool: Pool
    ends: Percentiles
    probability: float


@dataclass(frozen=True)
class Deadline:
    """Hours to a deadline, the probability that all runs have ended, and, where it is under SURE, two ways to make it so:
    the runs that fit by priority, and a larger pool. None where there is no such way: not one run ends in time, or a chain of
    runs that wait for each other takes too long."""

    hours: float
    probability: float
    fewer_runs: WayOut | None
    more_chips: WayOut | None


def lay_out(runs: PlannedRuns, setup: Setup) -> Outcome:
    """Schedule the runs by the rule and repeat it under drawn failures and hours; InputError for a run wider than the pool."""
    jobs = runs.jobs.scaled(setup.risk.expected)
    table = schedule(jobs, setup.pool, rule=setup.rule)
    packer = Packer(jobs, setup.pool, setup.rule)
    spread = spread_of(packer, runs.jobs.hours, runs.part, setup.risk, repeats=setup.repeats, seed=setup.seed)
    return Outcome(runs, setup, table, spread)


def against_deadline(outcome: Outcome, hours: float) -> Deadline:
    """Whether all ends within `hours`, and what would make it; raises InputError for a deadline that is not positive."""
    if not 0 < hours < np.inf:
        raise InputError(f"a deadline after {hours:g} hours leaves no time", "give days above zero")
    probability = outcome.spread.probability(hours)
    if probability >= SURE:
        return Deadline(hours, probability, None, None)
    jobs, pool, rule = outcome.table.jobs, outcome.setup.pool, outcome.setup.rule

    def fewer_runs(planned: float) -> WayOut | None:
        kept = within_deadline(jobs, pool, planned, rule=rule)
        return _judged(outcome, kept, pool, hours) if kept.size else None

    def more_chips(planned: float) -> WayOut | None:
        nodes = nodes_within(jobs, pool, planned, rule=rule)
        return None if nodes is None else _judged(outcome, np.arange(len(jobs)), replace(pool, nodes=nodes), hours)

    late = MARGIN * outcome.spread.percentiles().p90 / outcome.table.makespan
    return Deadline(
        hours, probability, _surely(fewer_runs, hours / late, hours), _surely(more_chips, hours / late, hours)
    )


def _surely(way: Callable[[float], WayOut | None], planned: float, hours: float) -> WayOut | None:
    """A way out that meets the deadline with probability SURE, planned to end earlier until it does; else the best found."""
    found: list[WayOut] = []
    for _ in range(TRIES):
        out = way(planned)
        if out is None:
            break
        found.append(out)
        if out.probability >= SURE:
            break
        planned *= min(0.98, hours / out.ends.p90)
    return max(found, key=lambda out: out.probability, default=None)


def _judged(outcome: Outcome, kept: Index, pool: Pool, hours: float) -> WayOut:
    some, setup = outcome.runs.only(kept), outcome.setup
    packer = Packer(some.jobs.scaled(setup.risk.expected), pool, setup.rule)
    repeats = max(10, outcome.spread.repeats // 4)  # the common draw, most of the spread, is not drawn
    spread = spread_of(packer, some.jobs.hours, some.part, setup.risk, repeats=repeats, seed=setup.seed + 1)
    return WayOut(kept, pool, spread.percentiles(), spread.probability(hours))
