"""The gates of a sweep while its plan is launched: which stage may start, and whom a closed gate stops."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from planner import store
from planner.encode import table_bytes
from planner.errors import InputError
from planner.lab.local.places import Outcome, Places
from planner.logs.reconcile import import_logs, read_plan
from planner.runs.columns import BASELINE, Status
from planner.runs.read import read_runs
from planner.sweep.next_runs import Stage, stage_of
from planner.sweep.plan import propose
from planner.sweep.spec import Sweep


class Gates:
    """The ideas study of a sweep, judged again whenever all runs of the stage that is open have ended."""

    def __init__(self, sweep: Sweep, plan: Path, places: Places) -> None:
        """Raises InputError for a plan without a run of this sweep's ideas study."""
        self._sweep, self._places, self._planned = propose(sweep), places, read_plan(plan)
        mine = self._sweep.runs[self._sweep.runs["kind"] == "ideas"]
        ours = mine[mine["run_id"].isin(self._planned["run_id"])]
        if mine.empty or ours.empty:
            raise InputError(
                f"{plan}: holds no run of an ideas study of {sweep.file.name}",
                "give the sweep that the plan was made of",
            )
        self._stages = {str(run): int(stage) for run, stage in zip(ours["run_id"], ours["stage"], strict=True)}
        self._variants = {str(run): str(name) for run, name in zip(ours["run_id"], ours["variant"], strict=True)}
        self.stage, self.closed = 1, dict[str, str]()  # runs up to this stage may start; run: why it never will

    def waits(self, run: str) -> bool:
        """Whether a run lies behind a gate that has not been judged."""
        return self._stages.get(run, 1) > self.stage

    def judge(self, outcomes: Mapping[str, Outcome]) -> str:
        """Look at what came back, given how runs ended here, and say where the study stands."""
        here = [run for run, stage in self._stages.items() if stage == self.stage and run not in self.closed]
        if any(run not in outcomes for run in here):
            return f"stage {self.stage} is still out"
        try:
            found = stage_of(self._sweep, read_runs(self._runs(outcomes)))
        except InputError as error:
            return f"the gate after stage {self.stage} cannot be judged: {error.message}"
        if found is None:
            return "there are no gates"
        self.stage = found.number
        self.closed = self._stopped(found)
        return found.said

    def _runs(self, outcomes: Mapping[str, Outcome]) -> Path:
        """The table of runs as it is now; what never logged anything has the status that the launch gave it."""
        frame = import_logs(self._places.logs, self._planned).frame
        ended = frame["run_id"].map({run: outcome.status.value for run, outcome in outcomes.items()})
        silent = (frame["status"] == Status.PLANNED) & ended.notna()
        frame["status"] = frame["status"].where(~silent, ended)
        return store.write_bytes(self._places.folder / "state" / "runs.csv", table_bytes(frame, "csv"))

    def _stopped(self, found: Stage) -> dict[str, str]:
        """Why each run behind a closed gate will not start; the baseline's go with the last idea."""
        ends = {one.variant: one for one in found.closed}
        ideas = set(self._variants.values()) - {BASELINE}
        stopped = {}
        for run, stage in self._stages.items():
            one = ends.get(self._variants[run])
            if one is not None and stage > one.stage:
                why = f"{one.why}: probability {one.probability:.2f}, asked for {one.threshold:.2f}"
                stopped[run] = f"its gate closed after stage {one.stage} ({why})"
            elif (
                ideas <= ends.keys() and self._variants[run] == BASELINE and stage > max(e.stage for e in ends.values())
            ):
                stopped[run] = "the gates have closed on every idea"
        return stopped
