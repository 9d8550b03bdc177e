"""Every command of docs/logs.md imports the lab's runs from the format it is shown for."""

from __future__ import annotations

import importlib.util
import re
import shlex

import pytest
from formats import FORMATS
from simulated import lab
from test_trackers import needs, served, wandb_words
from truths import REPOSITORY

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages that write
TEXT = (REPOSITORY / "docs/logs.md").read_text()
COMMANDS = re.findall(r"^`(planner import .*)`$", TEXT, flags=re.MULTILINE)
WRITES = {  # what lies at the SOURCE that a command names
    "wandb": "wandb", "histories": "wandb_history", "panel.csv": "wandb_panel", "mlflow.db": "mlflow_sqlite", "mlruns": "mlruns",
    "tb": "tensorboard", "trackio.db": "trackio", "megatron": "megatron", "nemo": "nemo", "torchtitan": "torchtitan",
    "nanochat": "nanochat", "maxtext": "maxtext", "olmo_core": "olmo_core", "levanter": "levanter",
    "trainer_state": "trainer_state",
}  # fmt: skip
ROWS = {
    "histories": 4,
    "panel.csv": 2,
}  # nothing says that two histories are one run; a panel shows the runs that did not restart
TABLES = {
    "runs.csv": "Name,ID,State,Created,Runtime,seq_length,train/loss\n"
    + "".join(f"{name},{name}234,finished,2026-01-01T00:00:00Z,9,2048,2.5\n" for name in ("aaaaa", "bbbbb", "ccccc")),
    "table.csv": "run_id,step,tokens,N,train_loss\n"
    + "".join(f"{run},{step},{step}e6,1e8,2.5\n" for run in "abc" for step in (1, 2)),
}
SERVERS = ("wandb://ENTITY/PROJECT", "http://localhost:5000")


def source_of(command):
    return shlex.split(command)[2]


def write(source, folder):
    """The lab's runs at `source` in `folder`."""
    if source in TABLES:
        (folder / source).write_text(TABLES[source])
        return
    form = FORMATS[WRITES[source]]
    if form.package and importlib.util.find_spec(form.package) is None:
        pytest.skip(f"{form.package} is not installed: pip install {form.package}")
    inside = folder / "written"
    inside.mkdir()
    form.write(inside, lab())
    made = next(inside.iterdir())
    wanted = "." in source or source in ("mlruns", "wandb")
    (made if wanted else inside).rename(folder / source)


def test_each_section_names_three_lines_and_each_command_has_its_source():
    sources = [source_of(command) for command in COMMANDS]
    assert set(sources) == {*WRITES, *TABLES, *SERVERS} and len(sources) == len(set(sources))
    for part in re.split(r"\n\n", TEXT):
        lines = part.strip().split("\n")
        if any(line in {f"`{command}`" for command in COMMANDS} for line in lines):
            assert len(lines) == 3, part


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if source_of(command) not in SERVERS], ids=source_of
)
def test_every_command_of_the_page_works(planner, tmp_path, command):
    write(source_of(command), tmp_path)
    done = planner(*shlex.split(command)[1:], "--json")
    assert done.code == 0, done.err
    assert done.json["n_runs"] == ROWS.get(source_of(command), 3), done.out


def test_the_command_for_an_mlflow_server_works(planner, mlflow_server):
    command = next(command for command in COMMANDS if "http://" in command)
    done = planner(*shlex.split(command.replace("http://localhost:5000", mlflow_server[0]))[1:], "--json")
    assert done.code == 0 and done.json["n_runs"] == 3, done.err


@needs("wandb")
def test_the_command_for_wandbs_server_works(planner, monkeypatch, wandb_key):
    command = next(command for command in COMMANDS if "wandb://" in command)
    with served(wandb_words(lab()[1:])) as port:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        done = planner(*shlex.split(command)[1:], "--json")
    assert done.code == 0 and done.json["n_runs"] == 2, done.err


def test_the_extras_of_the_page_are_those_of_the_package():
    for extra in re.findall(r"scaling-planner\[(\w+)\]", TEXT):
        assert re.search(rf"^{extra} = \[", (REPOSITORY / "pyproject.toml").read_text(), flags=re.MULTILINE)
