"""A schedule of a plan's runs on a cluster: list scheduling of runs of fixed size on whole nodes.

`planned_runs` makes jobs of a plan's table; `lay_out` schedules them and repeats the schedule under failures and other hours;
`against_deadline` says what a deadline leaves and what it would take. `schedule`, `spread_of`, `within_deadline` and
`nodes_within` are the parts of these, on arrays.
"""

from planner.sweep.schedule.deadline import nodes_within, within_deadline
from planner.sweep.schedule.jobs import Gate, Jobs, Pool
from planner.sweep.schedule.lanes import Lanes, lanes
from planner.sweep.schedule.outcome import SURE, Answer, Deadline, Outcome, Setup, WayOut, against_deadline, lay_out
from planner.sweep.schedule.packing import Packer, Rule
from planner.sweep.schedule.planned import GATED, Part, PlannedRuns, planned_runs
from planner.sweep.schedule.risk import Risk
from planner.sweep.schedule.spread import Spread, repeats_for, spread_of
from planner.sweep.schedule.timetable import Timetable, schedule

__all__ = [
    "GATED",
    "SURE",
    "Answer",
    "Deadline",
    "Gate",
    "Jobs",
    "Lanes",
    "Outcome",
    "Packer",
    "Part",
    "PlannedRuns",
    "Pool",
    "Risk",
    "Rule",
    "Setup",
    "Spread",
    "Timetable",
    "WayOut",
    "against_deadline",
    "lanes",
    "lay_out",
    "nodes_within",
    "planned_runs",
    "repeats_for",
    "schedule",
    "spread_of",
    "within_deadline",
]
