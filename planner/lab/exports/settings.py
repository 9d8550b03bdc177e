"""What a user may set about an export."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass

from planner.errors import InputError


@dataclass(frozen=True)
class Settings:
    """How the runs of a plan are started.

    `command` is one line of shell, written by the user and left as it is; the trainer's flags follow it ("" means the
    trainer's own). `micro_batch` counts sequences per accelerator and pass. `max_array_size` is Slurm's MaxArraySize,
    `at_once` the most tasks of an array that run at a time (0: no limit). A time limit is `time_margin` times the planned
    hours. `gpus_per_node` is for plans that do not say their nodes (0: as the accelerator's catalog entry has it).
    `image` and `claim` are a Kubernetes container's image and the volume claim for outputs; `folder` is where the export
    will lie, seen from where it is started.
    """

    trainer: str = "flags"
    command: str = ""
    micro_batch: int = 1
    gpus_per_node: int = 0
    max_array_size: int = 1001
    at_once: int = 0
    time_margin: float = 1.5
    image: str = "pytorch/pytorch:latest"
    claim: str = ""
    folder: str = "."

    def __post_init__(self) -> None:
        """Refuse a command that a script cannot hold: more than a line, or a quote that never ends."""
        for option in ("command", "image", "claim", "folder"):
            text = getattr(self, option)
            if any(not c.isprintable() for c in text):
                raise InputError(f"--{option} {text!r}: one line of printable text is wanted", "put more into a script")
        if not (math.isfinite(self.time_margin) and self.time_margin >= 1):
            raise InputError(
                f"--time-margin {self.time_margin}: a number of 1 or more is wanted", "1.5 allows half as much again"
            )
        try:
            words = shlex.split(self.command, comments=True)
        except ValueError as error:
            raise InputError(f"--command {self.command!r}: {error}", "close the quote") from None
        if self.command and words != shlex.split(self.command):
            raise InputError(f"--command {self.command!r}: # would hide the flags that follow", "leave the comment out")
