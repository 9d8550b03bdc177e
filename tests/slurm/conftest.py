"""A real Slurm cluster for the tests of this folder, started once; they skip, saying why, where there can be none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab" / "local"))

import cluster as real


@pytest.fixture(scope="session")
def _cluster() -> Iterator[real.Cluster]:
    if why := real.missing():
        pytest.skip(f"no Slurm cluster here: {why}")
    with real.cluster() as running:
        yield running


@pytest.fixture
def slurm(_cluster: real.Cluster, monkeypatch: pytest.MonkeyPatch) -> real.Cluster:
    """The cluster, found by every command that a test starts."""
    _cluster.call("scancel", "--user=root")
    for name, value in _cluster.environment.items():
        monkeypatch.setenv(name, value)
    return _cluster
