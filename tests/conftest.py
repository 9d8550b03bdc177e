"""Shared fixtures: the DeepSeek-V3 chain, run once."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))  # so that tests can import truths, running, nasty, browser

from running import Done, run_planner  # noqa: E402


@pytest.fixture(scope="session")
def deepseek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of sweeps/deepseek_v3.toml."""
    folder = tmp_path_factory.mktemp("deepseek") / "results"
    done = run_planner("run", REPOSITORY / "sweeps/deepseek_v3.toml", "-o", folder, "--json", cwd=folder.parent)
    assert done.code == 0, done.err
    (folder.parent / "printed.json").write_text(done.out)
    return folder


@pytest.fixture(scope="session")
def little(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same question with a thirtieth of the budget and four ideas: its sweep file and its results folder, in seconds."""
    folder = tmp_path_factory.mktemp("little")
    text = (REPOSITORY / "sweeps/deepseek_v3.toml").read_text().replace('"3x final"', '"0.1x final"')
    (folder / "little.toml").write_text("[[idea]]".join(text.split("[[idea]]")[:5]))
    done = run_planner("run", folder / "little.toml", "-o", folder / "results", cwd=folder)
    assert done.code == 0, done.err
    return folder / "little.toml", folder / "results"


@pytest.fixture(scope="session")
def nasty(tmp_path_factory) -> Path:
    """A sweep whose ideas have hostile names, small enough to be quick."""
    from nasty import NASTY

    folder = tmp_path_factory.mktemp("nasty")
    text = (REPOSITORY / "sweeps/deepseek_v3.toml").read_text()
    text = text[: text.index("[[idea]]")] + "".join(f"[[idea]]\nname = {json.dumps(name)}\n" for name in NASTY)
    text = re.sub(r'question = ".*"', 'question = "<b>Which</b> & why?"', text)
    (folder / "nasty.toml").write_text(text)
    done = run_planner("run", "nasty.toml", "-o", "out", cwd=folder)
    assert done.code == 0, done.err
    assert not (folder / "pwned").exists()
    return folder / "out"


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
