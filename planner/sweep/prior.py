"""Finished runs from before the sweep, beside its own."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from planner.errors import InputError
from planner.runs.columns import Status
from planner.runs.read import RunTable

SAME = ("loss_name", "loss_unit", "group", "flops_rule")  # what runs of one law must agree in


def with_prior(runs: RunTable, prior: pd.DataFrame | None) -> RunTable:
    """The sweep's scaling runs and the prior ones in one table, all of them finished.

    What a prior table does not say is taken to be as in the sweep. Raises InputError for a prior loss of another name,
    unit or group: it cannot be fitted with this sweep's.
    """
    if prior is None:
        return runs
    more = prior.assign(status=Status.COMPLETED, is_final="true", line=0)
    for name in SAME:
        if name not in runs.frame:
            continue
        usual = runs.frame[name].iloc[0]
        if name in more and (more[name].astype(str) != str(usual)).any():
            other = more.loc[more[name].astype(str) != str(usual), name].iloc[0]
            raise InputError(
                f"exploration.prior_runs: {name} is {other!r}, the sweep's runs have {usual!r}",
                "leave those runs out, or make the sweep's losses comparable",
            )
        more = more.assign(**{name: usual})
    return replace(runs, frame=pd.concat([runs.frame, more], ignore_index=True))
