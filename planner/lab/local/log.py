"""The log of one run: a line of settings, a line per point, a line with the end; cut back to where a checkpoint was."""

from __future__ import annotations

import os
from pathlib import Path

from planner.encode import to_json
from planner.errors import WorldError


class RunLog:
    """A jsonl file that grows: lines reach the disk at the latest when a checkpoint asks for it.

    Every line bears the run's id. Raises WorldError for a disk that does not take it.
    """

    def __init__(self, path: Path, run_id: str, at: int = 0) -> None:
        """Open at byte `at`; whatever an earlier process wrote beyond it is cut off, since it will be written again."""
        self._path, self._run_id = path, run_id
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._file, at)
            os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            raise self._failed(error) from None

    def write(self, line: dict[str, object]) -> None:
        """Add one line."""
        content = (to_json({"run_id": self._run_id, **line}, indent=None) + "\n").encode()
        try:
            while content:
                content = content[os.write(self._file, content) :]
        except OSError as error:
            raise self._failed(error) from None

    def saved(self) -> int:
        """The bytes written so far, once they are on the disk."""
        try:
            os.fsync(self._file)
            return os.lseek(self._file, 0, os.SEEK_CUR)
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _failed(self, error: OSError) -> WorldError:
        return WorldError(
            f"{self._path}: cannot be written: {error.strerror or error}", "free some space, then launch again"
        )
