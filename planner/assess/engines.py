"""Who computes: anything that maps a job over tasks and gives the results in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from planner.assess.trials import Outcomes, Task

Engine = Callable[[Callable[[Task], Outcomes], Sequence[Task]], Iterable[Outcomes]]
"""`map` is one. A task carries its own seed, so every engine gives the same numbers."""


@contextmanager
def processes(workers: int) -> Iterator[Engine]:
    """So many processes of this machine, or this one alone; the calling script must be importable, as for any pool."""
    if workers <= 1:
        yield map
        return
    with ProcessPoolExecutor(max_workers=workers) as pool:
        yield pool.map
