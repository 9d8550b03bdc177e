"""The plan itself as csv, jsonl or parquet, its numbers as numbers."""

from __future__ import annotations

import pandas as pd

from planner.encode import table_bytes


def table(frame: pd.DataFrame, kind: str) -> bytes:
    """A `typed` plan in one of encode.FORMATS."""
    return table_bytes(frame.astype(object).where(frame.notna(), None) if kind == "jsonl" else frame, kind)
