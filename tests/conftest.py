"""Shared fixtures: the DeepSeek-V3 chain, run once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))  # so that tests can import truths and running

from running import Done, run_planner  # noqa: E402


@pytest.fixture(scope="session")
def deepseek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of sweeps/deepseek_v3.toml."""
    folder = tmp_path_factory.mktemp("deepseek") / "results"
    done = run_planner("run", REPOSITORY / "sweeps/deepseek_v3.toml", "-o", folder, "--json", cwd=folder.parent)
    assert done.code == 0, done.err
    (folder.parent / "printed.json").write_text(done.out)
    return folder


@pytest.fixture
def planner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command in an empty folder, in this process: quick, and the same `main` as the installed command."""
    from planner.cli.app import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run
