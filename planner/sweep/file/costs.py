"""The [[cost]] table of a sweep file: what was or will be paid beside the planned runs."""

from __future__ import annotations

import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from planner.sweep.file.types import Amount, AmountOrNone, Table, Text, complain

FINAL = ("context_extension", "post_training", "data_generation", "evaluation")


class Cost(Table):
    """One further cost, in GPU-hours, dollars, FLOPs, or tokens trained and sampled (an active parameter costs 6 FLOPs a
    trained token, 2 a sampled one; rejected samples count).

    `run_id` names the planned run that it was for, `of` says whether it belongs to the exploration or to the final run;
    staff, overhead and credits stand beside both.
    Without `gpu_hours` those of trained tokens follow the final run's utilisation, of sampled ones `sampling_utilisation`.
    """

    name: Text
    run_id: Text | None = None
    kind: Literal[
        "prior", "context_extension", "post_training", "data_generation", "evaluation", "staff", "overhead", "credit"
    ]
    of: Literal["exploration", "final"] | None = None
    params_active: Amount | None = None
    trained_tokens: AmountOrNone = 0.0
    sampled_tokens: AmountOrNone = 0.0
    sampling_utilisation: float | None = Field(default=None, gt=0, le=1)
    flops: Amount | None = None
    gpu_hours: Amount | None = None
    usd: Amount | None = None
    currency: Text = "USD"
    owner: Text | None = None
    month: str | None = Field(default=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    source: Text = "the sweep file's [[cost]]"

    @property
    def belongs_to(self) -> str:
        """exploration, final or beside."""
        if self.kind in ("staff", "overhead", "credit"):
            return "beside"
        return self.of or ("final" if self.kind in FINAL else "exploration")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.currency != "USD":
            complain(f"currency: {self.currency!r} beside USD", "convert to USD, and say at which rate in source")
        if self.kind in ("staff", "overhead", "credit"):
            if self.usd is None:
                complain(f"usd: {self.kind} without dollars", 'as in usd = "250K"')
            if self.gpu_hours or self.flops or self.trained_tokens or self.sampled_tokens or self.of:
                complain(f"kind: {self.kind} has dollars only", "leave hours, FLOPs, tokens and of out")
        elif not (self.gpu_hours or self.flops or self.trained_tokens or self.sampled_tokens or self.usd):
            complain(
                "gpu_hours: a cost without an amount", "give gpu_hours, usd, flops, trained_tokens or sampled_tokens"
            )
        require_past("month", self.month)
        return self


def require_past(key: str, date: str | None) -> None:
    """Refuse a year and month (YYYY-MM, or YYYY-MM-DD) that has not come yet."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    if date is not None and date > today:
        complain(
            f"{key}: {date} is in the future", "give the month it was paid or quoted; leave it out for what is to come"
        )
