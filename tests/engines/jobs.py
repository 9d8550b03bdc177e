"""Jobs that other processes can import: numbers from an item's own seed, and some that kill their worker."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np


def drawn(seed: int) -> np.ndarray:
    """Ten numbers of a seed, in a twentieth of a second."""
    time.sleep(0.05)
    return np.random.default_rng(seed).normal(size=10)


def quick(seed: int) -> tuple[float, int]:
    """A number of a seed, and the process that drew it."""
    return float(np.random.default_rng(seed).normal()), os.getpid()


def traced(seed: int) -> tuple[float, int]:
    """As `quick`, in a twentieth of a second."""
    time.sleep(0.05)
    return quick(seed)


def slow(seconds: float) -> float:
    """So many seconds of work."""
    time.sleep(seconds)
    return seconds


def kills_once(item: tuple[int, str]) -> float:
    """A number of a seed; the first to do number 7 is killed in the middle of it."""
    seed, folder = item
    time.sleep(0.05)
    mark = Path(folder) / "killed"
    if seed == 7 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return float(np.random.default_rng(seed).normal())


def kills(seed: int) -> int:
    """What always kills its worker, but the first item."""
    time.sleep(0.1)
    if seed:
        os.kill(os.getpid(), signal.SIGKILL)
    return seed


def refuses(seed: int) -> int:
    """What the input does not allow."""
    from planner.errors import InputError

    time.sleep(0.1)
    if seed == 3:
        raise InputError("three is not allowed", "try four")
    return seed
