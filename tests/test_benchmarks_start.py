"""Benchmarks run by hand, so that nothing else notices when what they import has moved."""

import runpy
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parent / "benchmarks").glob("[!_]*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_can_be_started(path, monkeypatch):
    monkeypatch.syspath_prepend(str(path.parent))  # as when it is run as a script
    try:
        found = runpy.run_path(str(path), run_name="imported")
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "planner":
            raise
        pytest.skip(f"{error.name} is not installed")
    assert found["__doc__"]
