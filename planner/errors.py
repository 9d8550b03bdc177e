"""What can go wrong, as a tree.

    PlannerError
    ├── InputError    the input is wrong: nothing was written (exit 2)
    ├── WorldError    the world failed: disk, tracker, scheduler; what was done stays (exit 3)
    └── StoppedError  the user stopped it; what was done stays (exit 130)

Anything else that escapes a command is our own bug (exit 1).
"""

from __future__ import annotations


class PlannerError(Exception):
    """A failure with one clear sentence and, where there is one, what to try.

    `message` names what is wrong, with the value and the place; `hint` says what to try.
    """

    exit_code = 1
    kind = "bug"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(PlannerError):
    """The user's input cannot be used; nothing has been written."""

    exit_code = 2
    kind = "input"


class WorldError(PlannerError):
    """A disk, tracker or scheduler failed; what was done so far stays."""

    exit_code = 3
    kind = "world"


class StoppedError(PlannerError):
    """The user stopped a command; what was done so far stays."""

    exit_code = 130
    kind = "interrupted"
