"""The table of runs: columns, units, checks, and reading it from a file."""

from planner.runs.read import RunTable, read_runs
from planner.runs.sample import Sample, sample_of
from planner.runs.where import Where

__all__ = ["RunTable", "Sample", "Where", "read_runs", "sample_of"]
