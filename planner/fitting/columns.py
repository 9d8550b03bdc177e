"""From a table to the runs of one law: what the law speaks of must be there, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from planner.errors import InputError
from planner.laws import LAWS
from planner.laws.law import Law
from planner.runs.columns import Count
from planner.runs.read import RunTable
from planner.runs.rows import finished_rows
from planner.runs.sample import POSITIVE, SIZE_AND_DATA, Sample, sample_of
from planner.text import short


def read_sample(table: RunTable, law: type[Law], *, automatic: bool = False, **how: Any) -> Sample:  # noqa: ANN401
    """The runs that `law` may be fitted to; `how` is what `sample_of` takes (count, group, weight, noise, target).

    With `automatic`, on a table without the law's columns, the runs with every column that some law may speak of. Raises
    InputError for a column that the law speaks of and the table lacks, with the laws that would do.
    """
    target = how.pop("target", None) or law.target
    lacking = missing_columns(law, set(map(str, table.frame)))
    if not lacking:
        return sample_of(table, variables=law.variables, target=target, **how)
    usable = number_columns(table, target)
    suited = laws_for(usable, target)
    if not automatic or not suited:
        raise lacks(table.source, law, lacking, suited, usable)
    spoken = {name for each in suited for name in LAWS[each].variables} - {"params"}
    return sample_of(table, variables=sorted(spoken & set(map(str, table.frame))), target=target, **how)


def missing_columns(law: type[Law], there: Collection[str]) -> list[str]:
    """The law's variables that are not `there`; any count will do as params, and params with tokens as FLOPs."""
    known = set(there)
    if known & set(map(str, Count)):
        known.add("params")
    if known.issuperset(SIZE_AND_DATA):
        known.add("flops")
    return [name for name in law.variables if name not in known]


def laws_for(there: Collection[str], target: str) -> list[str]:
    """Names of the listed laws of this target whose variables are all `there`, in the order of the list."""
    return [name for name, law in LAWS.items() if law.target == target and not missing_columns(law, there)]


def number_columns(table: RunTable, target: str) -> set[str]:
    """Columns whose cells are numbers in every finished run, counts above zero; without the target."""
    frame, _ = finished_rows(table, table.frame, variants=False)
    named = {str(name): pd.to_numeric(frame[name], errors="coerce").to_numpy(float) for name in frame}
    return {
        name for name, values in named.items()
        if name not in (target, "line") and np.isfinite(values).all() and not (name in POSITIVE and (values <= 0).any())
    }  # fmt: skip


def require_columns(sample: Sample, law: type[Law]) -> None:
    """Refuse runs that lack a variable of the law: which ones, and which laws the columns that are there would do for."""
    there: Mapping[str, object] = sample.named
    lacking = [name for name in law.variables if name not in there]
    if lacking:
        raise lacks(sample.name, law, lacking, laws_for(there, law.target), there)


def lacks(source: str, law: type[Law], lacking: list[str], suited: list[str], there: Collection[str]) -> InputError:
    """What to raise where a law's columns are missing."""
    named = f"name it with --column theirs={lacking[0]}"
    if suited:
        return InputError(
            f"{source}: the {law.name} law needs {', '.join(lacking)}: no such column of numbers",
            f"{named}; laws for the columns there: {', '.join(suited)}",
        )
    columns = short(", ".join(sorted(there)), 100) or "none"
    return InputError(
        f"{source}: the {law.name} law needs {', '.join(lacking)}: no such column of numbers, and no listed law suits those "
        f"there ({columns})", f"{named}, or write a formula of your columns: --law 'E + A/x^alpha'",
    )  # fmt: skip
