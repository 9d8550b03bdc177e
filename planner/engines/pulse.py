"""Waiting for a Dask scheduler: as long as the work takes, and no longer than a bounded silence of the scheduler itself.

Dask waits for ever for a scheduler that is stopped: its system still acknowledges every packet, so that the limit of
`distributed.comm.timeouts.tcp` (30 s, keepalive and TCP_USER_TIMEOUT) ends connections to machines that are gone, not these.
What a client sends every 5 s, its heartbeat, is not answered. So a waiting client asks for something small, now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from typing import Any

SILENCE = 60.0  # seconds; a living scheduler of 5,500 workers was busy for 33 (github.com/dask/distributed/issues/3691)
LOOKS = 12  # times that a silent scheduler is looked at before it is given up


class SilentError(Exception):
    """A scheduler has not answered for as long as it may take."""


def waited(
    client: Any,  # noqa: ANN401 - Dask has no types
    asked: Callable[[], Awaitable[Any]],
    silence: float,
    heard: Callable[[dict[str, int]], None],
) -> Any:  # noqa: ANN401
    """What a call of the client's gives, made in its event loop; `heard` takes the threads of each worker meanwhile.

    Raises SilentError when the scheduler, asked for these threads, has said nothing for `silence` seconds, and what the call
    raises. Silence is counted in looks, not by the clock: the time that this process itself was stopped is none.
    """
    answer, sign, silent = _begun(client, asked), None, 0
    try:
        while not wait([answer], silence / LOOKS).done:
            silent += 1
            if sign is not None and _answered(sign):
                heard(sign.result())
                silent = 0
            if sign is None or sign.done():
                sign = _begun(client, client.nthreads)
            if silent > LOOKS:
                raise SilentError
        return answer.result()
    finally:
        answer.cancel()
        if sign is not None:
            sign.cancel()


def _answered(sign: Future[Any]) -> bool:
    return sign.done() and not sign.cancelled() and sign.exception() is None


def _begun(client: Any, asked: Callable[[], Awaitable[Any]]) -> Future[Any]:  # noqa: ANN401
    """A call under way in the client's event loop, where Dask's methods give awaitables."""

    async def answered() -> Any:  # noqa: ANN401
        return await asked()

    return asyncio.run_coroutine_threadsafe(answered(), client.loop.asyncio_loop)
