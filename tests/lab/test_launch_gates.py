"""Gates while a plan is launched: they close as in the whole chain, and what waits behind them does not start."""

from __future__ import annotations

import pytest

from planner import store
from planner.cli.launch_simulated import _lab
from planner.errors import InputError
from planner.lab.gates import Gates
from planner.lab.launch import Order
from planner.lab.local.places import Places
from planner.lab.simulated_launch import simulate
from planner.runs.read import read_runs
from planner.sweep.spec import read_sweep


def test_gates_close_on_the_ideas_that_the_whole_chain_stops(little, tmp_path):
    """Stage by stage, with the logs of the same simulated lab, against `planner run`'s own choices."""
    sweep, results = little
    table = read_runs(results / "plan.csv")
    rows, places = table.frame.drop(columns="line").to_dict("records"), Places(tmp_path)
    world, lab, _ = _lab(table.frame, str(sweep), 0)
    gates = Gates(read_sweep(sweep), results / "plan.csv", places)
    assert "stage 1 is still out" in gates.judge({})
    outcomes, stages = {}, []
    while gates.stage not in stages:
        stages.append(gates.stage)
        due = [
            row for row in rows if not gates.waits(row["run_id"]) and row["run_id"] not in {*outcomes, *gates.closed}
        ]
        outcomes |= simulate(table.frame, Order(due, {}, 0, set()), world, lab, places).outcomes
        said = gates.judge(outcomes)
    assert said == "complete" and len(stages) > 1
    chosen = {one["variant"]: one["stage"] for one in store.read_json(results / "choices.json")["closed"]}
    expected = {row["run_id"] for row in rows if int(row["stage"]) > chosen.get(row["variant"], 99)}
    assert expected <= gates.closed.keys() and chosen
    assert all("its gate closed" in gates.closed[run] for run in expected)
    assert not expected & outcomes.keys(), "nothing behind a closed gate was started"


def test_a_plan_of_another_sweep_is_refused(little, tmp_path):
    sweep, results = little
    frame = read_runs(results / "plan.csv").frame.drop(columns="line")
    frame.assign(run_id=[f"other{n}" for n in range(len(frame))], trunk_id="").to_csv(
        tmp_path / "plan.csv", index=False
    )
    with pytest.raises(InputError, match="holds no run of an ideas study"):
        Gates(read_sweep(sweep), tmp_path / "plan.csv", Places(tmp_path))
