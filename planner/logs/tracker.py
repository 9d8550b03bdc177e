"""Trackers on a server: clients that may not be installed, and requests that may fail, hang or break off half way."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

from planner.errors import InputError, WorldError
from planner.logs.source import scrubbed
from planner.text import short, visible

T = TypeVar("T")
WAITS = (0.5, 2.0, 4.0)  # seconds between tries: one try and three more
TIMEOUT = 20  # seconds without an answer, after which a client should give up by itself
PATIENCE = 60.0  # seconds after which a try has failed whatever its client does


def client(package: str, extra: str, place: str) -> ModuleType:
    """An optional package, imported now; an InputError with the line that installs it when it is absent."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(
            f"{place}: reading it needs {package}, which is not installed", f"pip install 'scaling-planner[{extra}]'"
        ) from None


def asked(question: Callable[[], T], place: str, *, refused: Callable[[Exception], bool]) -> T:
    """What a tracker answers, asked again after each of `WAITS` seconds.

    A `refused` question (no such run, no right to see it) is an InputError at once; a tracker that fails every time, or does not
    answer within `PATIENCE` seconds, is a WorldError.
    """
    for wait in (*WAITS, None):
        try:
            return _in_time(question)
        except Exception as error:  # the clients raise what their transports raise: anything
            if refused(error):
                raise InputError(
                    f"{place}: the tracker refused: {reason(error)}", "look at the address and the key"
                ) from None
            if wait is None:
                raise WorldError(
                    f"{place}: the tracker did not answer after {len(WAITS) + 1} tries: {reason(error)}",
                    "run the same import again when it is back: what was read is kept",
                ) from None
            time.sleep(wait)
    raise AssertionError


def _in_time(question: Callable[[], T]) -> T:
    """The answer, awaited in a thread of its own: a client that hangs cannot be stopped, only left behind."""
    answers: list[T] = []
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(question())
        except BaseException as error:  # handed to the thread that waits
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {PATIENCE:g} seconds")
    return answers[0]


def reason(error: BaseException) -> str:
    """An error in one short line, without credentials and control characters: what lies under what the clients say of it."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    for before in ("failed with exception ", "Caused by "):
        first = first.rpartition(before)[2]
    return short(visible(scrubbed(first)), 200)


__all__ = ["TIMEOUT", "asked", "client", "reason"]
