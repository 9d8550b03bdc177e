"""The command as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """Its one JSON object."""
        return json.loads(self.out)


def run_planner(*arguments: str | Path, cwd: Path) -> Done:
    """The command in a process of its own, as a user runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "planner", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=900
    )
    return Done(done.returncode, done.stdout, done.stderr)
