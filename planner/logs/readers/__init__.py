"""The readers, in the order in which they may claim files: those that know a tool's mark first, tables last."""

from __future__ import annotations

from planner.logs.readers.json_lines import JsonLines
from planner.logs.readers.parquet import Parquet
from planner.logs.readers.separated import Separated
from planner.logs.segment import Reader

READERS: tuple[Reader, ...] = (Parquet(), JsonLines(), Separated())

__all__ = ["READERS"]
