"""Shared fixtures: the DeepSeek-V3 chain and smaller ones, each run once for all of pytest's workers."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))  # so that tests can import truths, running, nasty, browser
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded: pytest's workers fill the cores already

from running import Done, run_planner  # noqa: E402


@pytest.fixture(scope="session")
def deepseek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of sweeps/deepseek_v3.toml."""

    def make(folder: Path) -> None:
        done = run_planner(
            "run", REPOSITORY / "sweeps/deepseek_v3.toml", "-o", folder / "results", "--json", cwd=folder
        )
        assert done.code == 0, done.err
        (folder / "printed.json").write_text(done.out)

    return made_once(tmp_path_factory, "deepseek", make) / "results"


@pytest.fixture(scope="session")
def little_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same question with a thirtieth of the budget and four ideas."""
    file = tmp_path_factory.mktemp("little") / "little.toml"
    text = (REPOSITORY / "sweeps/deepseek_v3.toml").read_text().replace('"3x final"', '"0.1x final"')
    file.write_text("[[idea]]".join(text.split("[[idea]]")[:5]))
    return file


@pytest.fixture(scope="session")
def little(tmp_path_factory: pytest.TempPathFactory, little_sweep: Path) -> tuple[Path, Path]:
    """That sweep file, and its results folder in seconds."""

    def make(folder: Path) -> None:
        shutil.copy(little_sweep, folder)
        done = run_planner("run", folder / "little.toml", "-o", folder / "results", cwd=folder)
        assert done.code == 0, done.err

    folder = made_once(tmp_path_factory, "little", make)
    return folder / "little.toml", folder / "results"


@pytest.fixture(scope="session")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose ideas have hostile names, small enough to be quick."""
    from nasty import NASTY

    def make(folder: Path) -> None:
        text = (REPOSITORY / "sweeps/deepseek_v3.toml").read_text()
        text = text[: text.index("[[idea]]")] + "".join(f"[[idea]]\nname = {json.dumps(name)}\n" for name in NASTY)
        (folder / "nasty.toml").write_text(re.sub(r'question = ".*"', 'question = "<b>Which</b> & why?"', text))
        done = run_planner("run", "nasty.toml", "-o", "out", cwd=folder)
        assert done.code == 0, done.err
        assert not (folder / "pwned").exists()

    return made_once(tmp_path_factory, "nasty", make) / "out"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of pytest's workers makes and all of them read; where the first failed, the next tries."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / f"once-{name}"
    with (shared / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system frees it when a worker dies
        if not (shared / f"once-{name}.made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (shared / f"once-{name}.made").touch()
    return folder


@pytest.fixture(scope="session")
def nasty_report(nasty) -> Path:
    """Its page."""
    return nasty / "report/index.html"


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
