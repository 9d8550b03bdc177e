"""Many machines: the workers of a Dask scheduler.

Dask sends functions and results as pickles: whoever can reach a scheduler can run anything on its workers, and a client trusts
what they answer. Use schedulers of your own, on a network of your own.
"""

from __future__ import annotations

import importlib
import logging
import platform
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import planner
from planner.engines.engine import Engine, Item, Result, Told, untold
from planner.engines.pulse import SILENCE, SilentError, waited
from planner.errors import InputError, PlannerError, WorldError

PATIENCE = 10.0  # seconds that a scheduler may take to answer
AHEAD, LEAST_AHEAD = 3, 16  # chunks a thread, and in all, that are handed out before the first is back
RECOUNT = 5.0  # seconds between looks at how many threads there are
GATHERED = 64  # results that are fetched at a time


@contextmanager
def cluster(
    host: str, port: int, told: Told = untold, *, patience: float = PATIENCE, silence: float = SILENCE
) -> Iterator[Engine]:
    """The workers of the Dask scheduler at dask://host:port; they need the same versions of everything that we compute with.

    Chunks of a worker that is lost are done again by others. Raises InputError where Dask is not installed; WorldError when
    no scheduler answers within `patience` seconds, when a worker's versions are not ours, when a chunk has cost several
    workers their life, when the scheduler goes away, and when it says nothing for `silence` seconds. Chunks may take as long
    as they take.
    """
    name = f"dask://{host}:{port}"
    with _unlogged():
        client = _connected(name, f"tcp://{host}:{port}", patience)
        try:
            yield _Cluster(client, name, told, silence)
        finally:
            _closed(client)


class _Cluster:
    """The engine: a client of one scheduler."""

    def __init__(self, client: Any, name: str, told: Told, silence: float) -> None:  # noqa: ANN401 - Dask has no types
        self._client, self._name, self._told, self._silence = client, name, told, silence
        self._threads, self._counted = 0, -RECOUNT

    def __call__(self, job: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        futures: dict[int, Any] = {}
        call, at = uuid.uuid4().hex, 0
        while at < len(items):
            try:
                with _unwarned():
                    for ahead in range(at, min(at + self._ahead(), len(items))):
                        if ahead not in futures:
                            futures[ahead] = self._client.submit(
                                _done, job, items[ahead], fingerprint(), key=f"planner-{call}-{ahead}", pure=False
                            )
                    results = self._waited(partial(self._client.gather, self._next(futures, at)))
            except PlannerError:
                raise
            except Exception as error:
                raise self._explained(error) from None
            for done in range(at, at + len(results)):
                del futures[done]
            at += len(results)
            self._threads = max(self._threads, 1)  # somebody is there, counted or not
            yield from results

    def _next(self, futures: dict[int, Any], at: int) -> list[Any]:
        """The next future, and those after it that are done already."""
        self._waited(futures[at].exception)  # fetches nothing
        end = at + 1
        while end - at < GATHERED and end in futures and futures[end].status == "finished":
            end += 1
        return [futures[n] for n in range(at, end)]

    def _ahead(self) -> int:
        """How many chunks to hand out: enough for every thread that there is now."""
        if time.monotonic() - self._counted > RECOUNT:
            self._recount(self._waited(self._client.nthreads))
        return max(AHEAD * self._threads, LEAST_AHEAD)

    def _waited(self, asked: Callable[[], Any]) -> Any:  # noqa: ANN401
        return waited(self._client, asked, self._silence, self._recount)

    def _recount(self, threads_by_worker: dict[str, int]) -> None:
        threads = sum(threads_by_worker.values())
        if not threads and self._counted < 0:
            self._told(f"{self._name} has no workers yet: waiting for the first")
        elif not threads and self._threads:
            self._told(f"{self._name} has lost its workers: waiting for others")
        elif threads < self._threads:
            self._told(f"{self._name} has lost workers: {threads} threads are left, and do the work again")
        self._threads, self._counted = threads, time.monotonic()

    def _explained(self, error: Exception) -> Exception:
        """What a failure of the cluster's is; any other error is the job's own."""
        kind = type(error).__name__
        if kind == "KilledWorker":
            return WorldError(
                f"{self._name}: several workers died over the same chunk of work",
                "look for lack of memory in their logs",
            )
        if isinstance(error, SilentError):
            return WorldError(
                f"{self._name}: the scheduler has said nothing for {self._silence:g} s",
                "see whether it is stopped and its machine can be reached; once it answers, give the same command",
            )
        if isinstance(error, CancelledError | OSError | TimeoutError) or kind in (
            "CommClosedError",
            "FutureCancelledError",
        ):
            return WorldError(
                f"{self._name}: the scheduler went away",
                "see that it runs and can be reached, and give the same command again",
            )
        if isinstance(error, ModuleNotFoundError) or "Can't get attribute" in str(error):
            return WorldError(
                f"{self._name}: a worker cannot read the work: {error}",
                "install the same scaling-planner where workers run",
            )
        return error


def _connected(name: str, address: str, patience: float) -> Any:  # noqa: ANN401 - Dask has no types
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            f"--engine {name} needs Dask, which is not installed", "pip install 'scaling-planner[dask]'"
        ) from None
    with _unwarned():
        try:
            with _answering(address, patience) as loop:
                client = Client(address, timeout=patience, set_as_default=False, name="planner", loop=loop)
            theirs = client.sync(client.scheduler.versions, packages=[], callback_timeout=patience)["packages"]
        except Exception as error:
            why = "" if isinstance(error, OSError | TimeoutError) else f" ({type(error).__name__}: {error})"
            raise WorldError(
                f"{name}: no Dask scheduler answers there within {patience:g} s{why}".replace("\n", " "),
                "start `dask scheduler`, and workers with `dask worker HOST:PORT --nthreads 1`",
            ) from None
    ours = {"python": platform.python_version(), "distributed": version("distributed")}
    for what, mine in ours.items():
        if str(theirs.get(what)).split(".")[:2] != mine.split(".")[:2]:
            _closed(client)
            raise WorldError(
                f"{name}: the scheduler has {what} {theirs.get(what)}, this machine {mine}", "install the same on both"
            )
    return client


@contextmanager
def _answering(address: str, patience: float) -> Iterator[Any]:
    """An event loop in which somebody shook hands as Dask does; TimeoutError or OSError where nobody did in time.

    Dask's own limit ends with the TCP connection: of a port that accepts and then says nothing (a tunnel to nowhere, a
    scheduler that is stopped) a Client waits for the handshake for ever.
    """
    from distributed.comm import connect
    from distributed.utils import LoopRunner, sync

    runner = LoopRunner()
    runner.start()
    try:
        sync(runner.loop, connect, address, timeout=patience, callback_timeout=patience).abort()
        yield runner.loop
    finally:
        runner.stop()  # the loop of a Client that was made in it goes on


def _closed(client: Any) -> None:  # noqa: ANN401 - Dask has no types
    """Take leave of a scheduler that may be gone: results that are here already are not lost to its silence."""
    with suppress(TimeoutError):
        client.close(timeout=PATIENCE)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without Dask's logs, some of which have a level of their own: what matters is told in one line of ours."""
    with suppress(ImportError):
        importlib.import_module("distributed")  # sets the levels
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]
    before = {logger: logger.level for logger in map(logging.getLogger, names)}
    try:
        for logger in before:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without Dask's warnings of versions and sizes, which are looked at here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _done(job: Callable[[Item], Result], item: Item, wanted: str) -> Result:
    """One chunk, on a worker that computes as we do."""
    if (found := fingerprint()) != wanted:
        raise WorldError(
            f"a worker on {platform.node()} has {found}, this machine {wanted}: the numbers could differ",
            "install the same versions where workers run",
        )
    return job(item)


@cache
def fingerprint() -> str:
    """What numbers depend on: the versions of Python, numpy and scipy, and the planner's own code."""
    code = sha256()
    for file in sorted(Path(planner.__file__).parent.rglob("*.py")):
        code.update(file.read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    return f"Python {python}, numpy {version('numpy')}, scipy {version('scipy')}, planner {code.hexdigest()[:12]}"
