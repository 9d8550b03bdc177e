"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import numpy as np
import pandas as pd
from truths import REPOSITORY, TRUTHS, noisy

from planner.laws import LAWS

TEXT = (REPOSITORY / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


def test_the_first_block_holds_two_lines_that_set_up_and_do_the_main_job_and_the_tests():
    lines = blocks("sh")[0].strip().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("python3 -m venv .venv && ") for line in lines)
    assert "planner run sweeps/deepseek_v3.toml" in lines[0]
    assert lines[1].endswith("-m pytest")


RAN = "planner run sweeps/deepseek_v3.toml"  # by the fixture, in a process of its own
FEWER = {"planner assess my_sweep.toml": ["--worlds", "2"]}  # than the 100 that a person waits for


def test_every_command_it_shows_works(planner, tmp_path, deepseek):
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, seed=0)
    rate = np.tile([2e-4, 3e-4, 5e-4], params.size // 3)
    loss = loss + 0.02 * np.log(rate / 3e-4) ** 2
    frame = pd.DataFrame({"N": params, "D": tokens, "val_loss": loss, "lr": rate, "is_final": "true"})
    frame.to_csv(tmp_path / "runs.csv", index=False)
    frame.assign(C=6 * params * tokens)[["C", "val_loss"]].to_csv(tmp_path / "compute.csv", index=False)
    (tmp_path / "sweeps").symlink_to(REPOSITORY / "sweeps")
    shown = [
        line[2:].split("  #")[0]
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ planner")
    ]
    assert len(shown) >= 8
    assert {RAN, *FEWER} <= {line.rstrip() for line in shown}
    shutil.copytree(deepseek, tmp_path / "results/deepseek_v3")
    for line in map(str.rstrip, shown):
        if line != RAN:
            done = planner(*shlex.split(line)[1:], *FEWER.get(line, []))
            assert done.code == 0, (line, done.err)


def test_the_output_it_shows_is_the_output(deepseek):
    headline = json.loads((deepseek.parent / "printed.json").read_text())["headline"]
    for line in headline.splitlines():
        assert line in TEXT


def test_the_python_it_shows_works(tmp_path, monkeypatch, capsys):
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.002, seed=0)
    pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}).to_csv(tmp_path / "runs.csv", index=False)
    monkeypatch.chdir(tmp_path)
    names = {"params": params, "tokens": tokens, "loss": loss}
    exec(compile(blocks("python")[0], "README.md", "exec"), names)
    assert abs(np.log(names["law"].E / 1.8172)) < 0.1
    assert "Prediction(params=37000000000.0" in capsys.readouterr().out


def test_the_numbers_it_states_are_the_plans(deepseek):
    runs = pd.read_csv(deepseek / "plan.csv")
    assert f"{len(runs):,} runs from 1B to 7B" in TEXT
    assert f"what {runs['variant'].nunique() - 1} ideas are worth" in TEXT


def test_the_number_of_laws_it_states_is_right():
    assert f"{len(LAWS)} of them; any can follow --law" in TEXT


def test_every_line_of_a_printed_fit_is_explained():
    source = (REPOSITORY / "planner/cli/show_fit.py").read_text()
    headings = set(re.findall(r"\[\[[A-Z][\w-]*\]\]", source)) - {"[[Fit]]"}
    statistics = set(
        re.findall(r'\("([a-z][a-z ]+)", ', source[source.index("def _statistics") : source.index("def _note")])
    )
    statistics |= set(re.findall(r'"(supported [a-z ]+)"', source))
    assert len(headings) == 9
    assert {"runs", "objective", "intervals", "supported up to"} <= statistics
    for line in headings | statistics:
        assert f"`{line.removesuffix(' of ln loss')}`" in TEXT, line
