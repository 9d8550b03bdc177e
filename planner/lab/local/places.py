"""Where a launched plan keeps what: names of files in its folder, and outcomes of runs."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from planner import store
from planner.encode import to_json
from planner.errors import InputError
from planner.text import slug


class Ending(StrEnum):
    """How a run ended here. A failed one is tried again by the next launch, the others are not; a gate cancels."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Outcome:
    """What became of one run: its loss on the fixed validation set (nats per byte), seconds and FLOPs of training."""

    run_id: str
    status: Ending
    loss: float | None = None
    reason: str = ""
    steps: int = 0
    seconds: float = 0.0
    flops: float = 0.0


@dataclass(frozen=True)
class Places:
    """The files of a folder that a plan is launched into.

    logs/RUN.jsonl is what `planner import` reads; everything else is under state/ and can be removed once all has ended.
    """

    folder: Path

    @property
    def logs(self) -> Path:
        """The folder of logs."""
        return self.folder / "logs"

    def log(self, run_id: str) -> Path:
        """One run's log."""
        return self.logs / f"{slug(run_id)}.jsonl"

    def state(self, run_id: str) -> Path:
        """The folder of one run's state."""
        return self.folder / "state" / slug(run_id)

    def lock(self, run_id: str) -> Path:
        """The file that is locked while the run trains."""
        return self.state(run_id) / "lock"

    def checkpoint(self, run_id: str) -> Path:
        """Where the run goes on after a kill."""
        return self.state(run_id) / "checkpoint.npz"

    def saved_steps(self, run_id: str) -> int:
        """Steps done by the run's checkpoint; 0 without one that can be read. Nothing in it is unpickled."""
        path = self.checkpoint(run_id)
        if not path.is_file():
            return 0
        import numpy as np

        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                return int(saved["progress"][0])
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            return 0

    def branch(self, run_id: str, step: int) -> Path:
        """What a branch of this trunk starts from."""
        return self.state(run_id) / f"branch-{step}.npz"

    def branch_steps(self, run_id: str) -> list[int]:
        """The steps at which this trunk has checkpoints for branches."""
        names = (file.stem for file in self.state(run_id).glob("branch-*.npz"))
        return sorted(int(name.removeprefix("branch-")) for name in names if name.removeprefix("branch-").isdigit())

    def corpus(self, part: str) -> Path:
        """The bytes that are trained on, or held out."""
        return self.folder / "state" / f"corpus-{part}.bin"

    def outcome(self, run_id: str) -> Outcome | None:
        """How the run ended; None while it has not."""
        path = self.state(run_id) / "outcome.json"
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return Outcome(**{**said, "status": Ending(said["status"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise InputError(
                f"{path}: not an outcome that the planner wrote", "remove it: the run is trained again"
            ) from None

    def write_outcome(self, outcome: Outcome, *, wait: bool = True) -> None:
        """Note how a run ended; whole or not at all. Without `wait` the caller waits for the disk."""
        store.write_bytes(self.state(outcome.run_id) / "outcome.json", (to_json(outcome) + "\n").encode(), wait=wait)
