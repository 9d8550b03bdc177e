"""Words of shell that mean exactly one text."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from planner.lab.exports.trainers.flag import Flag
from planner.text import visible

ROOT = "PLANNER_ROOT"  # the environment variable that holds the folder of all runs' outputs


def word(flag: Flag) -> str:
    """A flag as one word of shell; one with a folder ends in that folder under $PLANNER_ROOT, with its absolute path."""
    return shlex.quote(flag.argument) + (f'"${ROOT}"' + shlex.quote(f"/{flag.folder}") if flag.folder else "")


def comment(text: str) -> str:
    """A line that a shell does not read, whatever the text holds."""
    return f"# {visible(text)}"


def lines(command: str, words: Sequence[str]) -> str:
    """A command with a word a line."""
    return " \\\n  ".join((command, *words))
