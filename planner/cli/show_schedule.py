"""A schedule in words, as a table of runs and as one JSON object."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from planner.cli.output import say, show_table
from planner.costs.run_cost import Percentiles
from planner.quantities import human, percent
from planner.sweep.schedule import SURE, Deadline, Outcome, WayOut
from planner.text import short


def rows_of(outcome: Outcome, deadline: Deadline | None, first: date | None) -> pd.DataFrame:
    """Runs by start: days from the first, dates where the first day is known, and whether a deadline keeps the run."""
    runs, table = outcome.runs, outcome.table
    kept = np.zeros(len(runs.jobs), bool)
    if deadline is not None and deadline.fewer_runs is not None:
        kept[deadline.fewer_runs.runs] = True
    frame = pd.DataFrame(
        {
            "run_id": runs.jobs.names,
            "study": [runs.parts[index].study for index in runs.part],
            "stage": [runs.parts[index].stage for index in runs.part],
            "priority": runs.jobs.priority,
            "n_accelerators": runs.chips,
            "nodes": runs.jobs.nodes,
            "gpu_hours": runs.gpu_hours,
            "start_day": table.start / 24,
            "end_day": table.end / 24,
            "start_at": [_moment(hours, first) for hours in table.start],
            "end_at": [_moment(hours, first) for hours in table.end],
            "within_deadline": "" if deadline is None else kept | (deadline.probability >= SURE),
        }
    )
    return frame.sort_values(["start_day", "end_day", "run_id"], ignore_index=True)


def record(
    outcome: Outcome, deadline: Deadline | None, *, count: int, chips_per_node: int, first: date | None
) -> dict[str, object]:
    """The JSON of a schedule; days are counted from the start of the first run."""
    table, setup = outcome.table, outcome.setup
    planned = float(outcome.runs.gpu_hours.sum())
    return {
        "n_runs": len(outcome.runs.jobs),
        "n_ended": outcome.runs.ended,
        "count": count,
        "chips_per_node": chips_per_node,
        "nodes": setup.pool.nodes,
        "max_runs_at_once": setup.pool.runs_at_once,
        "rule": setup.rule,
        "start": first and first.isoformat(),
        "days": table.makespan / 24,
        "lower_bound_days": table.lower_bound / 24,
        "gap": table.gap,
        "idle_share": table.idle_share,
        "gpu_hours": planned,
        "gpu_hours_expected": planned * setup.risk.expected,
        "days_percentiles": _days(outcome.spread.percentiles()),
        "percentile_error": outcome.spread.error,
        "repeats": outcome.spread.repeats,
        "failure_rate": setup.risk.failure_rate,
        "lost": setup.risk.lost,
        "spread": setup.risk.spread,
        "answers": [
            {
                "study": answer.part.study,
                "stage": answer.part.stage,
                "n_runs": answer.n_runs,
                "gpu_hours": answer.gpu_hours,
                "first_start_day": answer.first_start / 24,
                "answer_day": answer.end / 24,
                "answer_day_percentiles": _days(answer.arrives),
            }
            for answer in outcome.answers
        ],
        "deadline": deadline
        and {
            "days": deadline.hours / 24,
            "met": table.makespan <= deadline.hours,
            "probability": deadline.probability,
            "fewer_runs": _way(deadline.fewer_runs, outcome, chips_per_node),
            "more_chips": _way(deadline.more_chips, outcome, chips_per_node),
        },
        "schedule": None,
    }


def _days(hours: Percentiles) -> Percentiles:
    return Percentiles(hours.p10 / 24, hours.p50 / 24, hours.p90 / 24)


def _way(way: WayOut | None, outcome: Outcome, chips_per_node: int) -> dict[str, object] | None:
    if way is None:
        return None
    return {
        "n_runs": way.runs.size,
        "gpu_hours": float(outcome.runs.gpu_hours[way.runs].sum()),
        "count": way.pool.nodes * chips_per_node,
        "probability": way.probability,
    }


def show(outcome: Outcome, deadline: Deadline | None, chips_per_node: int, first: date | None) -> None:
    """The table of answers, then how good the schedule is and how sure its end, in lines."""
    table, setup, runs = outcome.table, outcome.setup, outcome.runs
    rows = [
        (
            short(answer.part.study, 40), str(answer.part.stage), f"{answer.n_runs:,}", human(answer.gpu_hours, 4),
            _when(answer.first_start, first), _when(answer.end, first), _when(answer.arrives.p50, first),
            _range(answer.arrives, first),
        )
        for answer in outcome.answers
    ]  # fmt: skip
    ends = outcome.spread.percentiles()
    rows.append(
        ("all", "", f"{len(runs.jobs):,}", human(float(runs.gpu_hours.sum()), 4), _when(0, first), _when(table.makespan, first),
         _when(ends.p50, first), _range(ends, first))
    )  # fmt: skip
    unit = "day" if first is None else "date"
    header = ("study", "stage", "runs", "GPU-hours", f"first start ({unit})", "answer as planned", "P50", "P10 to P90")
    chips = setup.pool.nodes * chips_per_node
    title = f"{len(runs.jobs):,} runs on {chips:,} chips: {setup.pool.nodes:,} nodes of {chips_per_node}"
    show_table(title, header, rows)
    if runs.ended:
        say(f"{runs.ended:,} rows of the plan have ended and take no time")
    say(
        f"the last run ends on day {table.makespan / 24:.1f}; no schedule ends before day {table.lower_bound / 24:.1f} "
        f"(gap {percent(table.gap)}); {percent(table.idle_share)} of node-hours idle"
    )
    say(
        f"P10 {ends.p10 / 24:.0f}, P50 {ends.p50 / 24:.0f}, P90 {ends.p90 / 24:.0f} days ({outcome.spread.repeats} repeats, "
        f"+- {percent(outcome.spread.error)})"
    )
    say(
        f"counted in: {setup.risk.failure_rate:.3g} of attempts lost after {setup.risk.lost:.0%} of their hours on average and "
        f"tried again, and sd {setup.risk.spread:g} of ln hours: {percent(setup.risk.expected - 1, 1)} more hours than planned"
    )
    if any(gate.before.size > 1 for gate in runs.jobs.gates):
        say("every idea is taken to pass every gate: those that do not free their chips sooner")
    if deadline is not None:
        _show_deadline(deadline, outcome, chips_per_node)


def _show_deadline(deadline: Deadline, outcome: Outcome, chips_per_node: int) -> None:
    """Whether a deadline is met, and what would make it."""
    say(f"deadline of {deadline.hours / 24:g} days: met with probability {deadline.probability:.0%}")
    if deadline.probability >= SURE:
        return
    fewer, more = deadline.fewer_runs, deadline.more_chips
    if fewer is None:
        say("  fewer runs: not one of them ends in time")
    else:
        share = float(outcome.runs.gpu_hours[fewer.runs].sum() / outcome.runs.gpu_hours.sum())
        say(
            f"  fewer runs: the {fewer.runs.size:,} of {len(outcome.runs.jobs):,} that end in time by priority "
            f"({share:.0%} of GPU-hours), probability {fewer.probability:.0%}"
        )
    if more is None:
        days = outcome.table.jobs.remaining.max() / 24
        say(
            f"  more chips: no number is enough, a chain of runs that wait for each other takes {days:.1f} days as planned"
        )
    else:
        say(f"  more chips: {more.pool.nodes * chips_per_node:,}, probability {more.probability:.0%}")


def _when(hours: float, first: date | None) -> str:
    return f"{hours / 24:.1f}" if first is None else (_moment(hours, first)[:10] or f"day {hours / 24:.0f}")


def _range(hours: Percentiles, first: date | None) -> str:
    if first is None:
        return f"{hours.p10 / 24:.1f} to {hours.p90 / 24:.1f}"
    return f"{_when(hours.p10, first)} to {_when(hours.p90, first)}"


def _moment(hours: float, first: date | None) -> str:
    """A time as text, to the minute; empty beyond the calendar."""
    if first is None:
        return ""
    try:
        return (datetime(first.year, first.month, first.day) + timedelta(hours=float(hours))).isoformat("T", "minutes")
    except OverflowError:
        return ""
