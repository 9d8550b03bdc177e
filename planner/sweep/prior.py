"""Finished runs from before the sweep, beside its own."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from planner.errors import InputError
from planner.runs.columns import Status
from planner.runs.read import RunTable
from planner.runs.where import TRUE

SAME = ("loss_name", "loss_unit", "group", "flops_rule")  # what runs of one law must agree in


def finished(runs: pd.DataFrame | None) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """The runs that finished, and the others that were paid for; None for none.

    A row without `status`, or a table without it, is of a finished run. A completed row that is not final is an evaluation on the
    way: it is no end to fit, and its run is paid for with its other rows, or once, as far as it came; without a run_id nothing
    says which run it belongs to, and it is left out.
    """
    if runs is None:
        return None, None
    completed = _said(runs, "status").isin(("", Status.COMPLETED, "finished"))
    final = _said(runs, "is_final").isin(("", *TRUE))
    done, rest = runs[completed & final], runs[~completed]
    if "run_id" in runs:
        paid = pd.concat([done, rest])["run_id"]
        way = runs[completed & ~final & runs["run_id"].notna() & ~runs["run_id"].isin(paid)]
        way = way.sort_values("tokens", kind="stable").drop_duplicates("run_id", keep="last")
        rest = pd.concat([rest, way]).sort_index()
    parts = [part.reset_index(drop=True) for part in (done, rest)]
    return (parts[0] if len(parts[0]) else None), (parts[1] if len(parts[1]) else None)


def _said(runs: pd.DataFrame, name: str) -> pd.Series:
    """What each run says in a column, in small letters: nothing where it is missing."""
    if name not in runs:
        return pd.Series("", index=runs.index)
    return runs[name].astype(object).where(runs[name].notna(), "").astype(str).str.strip().str.lower()


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
