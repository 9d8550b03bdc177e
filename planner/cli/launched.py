"""What became of a launch, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.cli.output import say

if TYPE_CHECKING:
    from planner.lab.launch import Launched, Order
    from planner.lab.local.places import Places

SHOWN = 5  # of a list in the text; --json has all


def record(order: Order, launched: Launched | None, places: Places) -> dict[str, object]:
    """The JSON of a launch: without `launched`, of what would be trained."""
    from planner.lab.local.places import Ending

    outcomes = {} if launched is None else launched.outcomes
    return {
        "submitted": [str(row["run_id"]) for row in order.rows],
        "skipped": order.skipped if launched is None else launched.skipped,
        "failed": {} if launched is None else launched.failed,
        "completed": sum(outcome.status is Ending.COMPLETED for outcome in outcomes.values()),
        "left": order.left if launched is None else launched.left,
        "folder": str(places.folder),
        "logs": str(places.logs),
    }


def show(launched: Launched, places: Places, plan: str) -> None:
    """What became of the runs, and what comes next."""
    import shlex

    completed = len(launched.outcomes) - len(launched.failed)
    say(
        f"{completed:,} {_runs(completed)} completed, {len(launched.failed):,} diverged or failed, "
        f"{len(launched.skipped):,} skipped"
    )
    for title, runs in (("not completed", launched.failed), ("skipped", launched.skipped)):
        for run, why in list(runs.items())[:SHOWN]:
            say(f"  {title}: {run}: {why}")
        if len(runs) > SHOWN:
            say(f"  and {len(runs) - SHOWN:,} more {title}")
    if launched.left:
        say(f"{launched.left:,} {_runs(launched.left)} left: launch again")
    say(f"next: planner import {shlex.quote(str(places.logs))} --plan {shlex.quote(plan)}")


def _runs(number: int) -> str:
    return "run" if number == 1 else "runs"
