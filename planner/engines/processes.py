"""This machine's cores: worker processes that are started when the work pays for them, and again when one is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from planner.engines.engine import Engine, Item, Result, Told, untold
from planner.errors import WorldError

MOST = 1024  # processes
STARTING_PAYS = 0.5  # seconds of work left, below which no process is started (it takes .05 s, on a cold machine more)
SENDING_PAYS = 0.02  # seconds of work, below which it is not handed to processes that are there
AHEAD = 4  # chunks a process that are handed out before the first is back
DEATHS = 3  # in a row, with no chunk done in between: then it is the work that kills


@contextmanager
def processes(workers: int, told: Told = untold) -> Iterator[Engine]:
    """So many processes of this machine, this one alone while the work is too small to pay for others.

    A process that is killed is replaced and its chunk done again. Raises WorldError when a chunk loses its process three times.
    The calling script must be importable, as for any pool.
    """
    pool = _Pool(workers, told)
    try:
        yield pool
    finally:
        pool.close()


class _Pool:
    """The engine: what is known of the work's speed, and the processes once there are any."""

    def __init__(self, workers: int, told: Told) -> None:
        self._workers, self._told = workers, told
        self._executor: ProcessPoolExecutor | None = None
        self._seconds: dict[Any, float] = {}  # of one chunk, by job

    def __call__(self, job: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        at = 0
        if job not in self._seconds and len(items):  # the first chunk is timed here
            began = time.perf_counter()
            yield job(items[0])
            at, self._seconds[job] = 1, time.perf_counter() - began
        work = self._seconds.get(job, 0.0) * (len(items) - at)
        pays = work > (STARTING_PAYS if self._executor is None else SENDING_PAYS)
        many = self._workers > 1 and len(items) - at > 1 and pays
        yield from self._mapped(job, items[at:]) if many else map(job, items[at:])

    def _mapped(self, job: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        futures: dict[int, Future[Result]] = {}
        for at in range(len(items)):
            yield self._result(job, items, at, futures)
            del futures[at]

    def _result(
        self, job: Callable[[Item], Result], items: Sequence[Item], at: int, futures: dict[int, Future[Result]]
    ) -> Result:
        """The result of one item, with the next ones handed out meanwhile; done again by new processes when one was killed."""
        for _ in range(DEATHS):
            try:
                for ahead in range(at, min(at + AHEAD * self._workers, len(items))):
                    if ahead not in futures:
                        futures[ahead] = self._started().submit(job, items[ahead])
                return futures[at].result()
            except BrokenProcessPool:
                self._told("a worker process was killed: its work is done again")
                self._drop()
                for lost in [n for n, future in futures.items() if not future.done() or future.exception()]:
                    del futures[lost]
        raise WorldError(
            f"worker processes were killed {DEATHS} times over the same work, by the system for memory or from outside",
            "free memory, or use fewer: --engine processes:1",
        )

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(max_workers=self._workers, initializer=_begin)
        return self._executor

    def _drop(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Let the processes end."""
        self._drop()


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
