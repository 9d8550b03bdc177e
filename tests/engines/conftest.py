"""Every wait in these tests has an end: a test that other processes leave waiting fails, and says so."""

from __future__ import annotations

import signal

import pytest

LIMIT = 150  # seconds; on two idle cores the slowest test takes a tenth of them


@pytest.fixture(autouse=True)
def limit():
    """Interrupt the test, whatever it waits for in this thread."""

    def end(*_: object) -> None:
        pytest.fail(f"waited for {LIMIT} s")  # no Exception: nothing that is tested catches it

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
