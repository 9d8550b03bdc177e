"""Interruptions, checkpoints and the share of paid hours that is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from planner.errors import InputError


@dataclass(frozen=True)
class Reliability:
    """How often a cluster stops and what a stop costs; hours and seconds.

    - `gpu_hours_per_interruption`: 50,677, Llama 3 405B (arXiv 2407.21783, section 3.3.4): 419 unexpected stops in 54
      days on 16,384 H100. Elsewhere 8,090 (Meta A100 research cluster, arXiv 2410.21680) to 86,000 (512 H100, one a
      week): a factor of about 3 either way, `spread` as a standard deviation of logs.
    - `checkpoint_seconds`: training stands still while it is written: 15, an assumption (asynchronous writing).
    - `restart_seconds`: from the stop to the first new step: 600, an assumption.
    """

    gpu_hours_per_interruption: float = 50_677.0
    spread: float = 0.7
    checkpoint_seconds: float = 15.0
    restart_seconds: float = 600.0

    def __post_init__(self) -> None:
        """Raise InputError for a value that is not positive."""
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"{name} = {value} is not positive", "give a finite positive number")

    def interruptions(self, gpu_hours: float) -> float:
        """Expected unexpected stops in `gpu_hours`."""
        return gpu_hours / self.gpu_hours_per_interruption

    def seconds_between(self, count: int) -> float:
        """Mean time between interruptions of a job on `count` accelerators."""
        return 3600.0 * self.gpu_hours_per_interruption / count

    def checkpoint_interval(self, count: int) -> float:
        """Seconds between checkpoints that lose least: sqrt(2 x time between stops x time to write).

        Young (1974), doi 10.1145/361147.361115; Daly (2006), doi 10.1016/j.future.2004.11.016.
        """
        return math.sqrt(2.0 * self.seconds_between(count) * self.checkpoint_seconds)

    def goodput(self, count: int) -> float:
        """The share of time that trains and is kept: 1 / (1 + writing + half an interval and a restart per stop)."""
        return 1.0 / (1.0 + self._overhead(count, 1.0))

    def goodput_quantile(self, count: int, probability: float) -> float:
        """Goodput when stops come as often as in the worst `1 - probability` of clusters."""
        return 1.0 / (1.0 + self._overhead(count, math.exp(-self.spread * float(ndtri(probability)))))

    def _overhead(self, count: int, more_often: float) -> float:
        """Lost over kept time, checkpoints at the interval that suits the expected rate of stops."""
        interval = self.checkpoint_interval(count)
        lost = (interval / 2.0 + self.restart_seconds) * more_often / self.seconds_between(count)
        return self.checkpoint_seconds / interval + lost
