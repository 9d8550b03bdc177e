"""A plan's table as jobs, and what is said of a table that cannot be scheduled."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.sweep.schedule import Pool, planned_runs, schedule

ROWS = {
    "run_id": ["a", "b", "c", "d", "e"],
    "study": ["ideas", "ideas", "ideas", "scaling", "scaling"],
    "stage": ["1", "1", "3", "1", "2"],
    "n_accelerators": ["8", "12", "16", "8", "4"],
    "gpu_hours": ["80", "24", "160", "8", "40"],
}


def plan(**columns):
    return pd.DataFrame({**ROWS, **columns}, dtype=object)


def made(frame=None, **more):
    return planned_runs(plan() if frame is None else frame, "plan.csv", **{"chips_per_node": 8, **more})


def test_hours_are_wall_clock_and_nodes_are_whole():
    runs = made()
    np.testing.assert_allclose(runs.jobs.hours, [10, 2, 10, 1, 10])
    assert runs.jobs.nodes.tolist() == [1, 2, 2, 1, 1]
    assert made(chips_per_node=4).jobs.nodes.tolist() == [2, 3, 4, 2, 1]
    np.testing.assert_allclose(runs.gpu_hours, [80, 24, 160, 8, 40])
    assert [(part.study, part.stage) for part in runs.parts] == [
        ("ideas", 1),
        ("ideas", 3),
        ("scaling", 1),
        ("scaling", 2),
    ]
    assert runs.part.tolist() == [0, 0, 1, 2, 3]


def test_only_gated_studies_wait_for_their_stages():
    (gate,) = made().jobs.gates
    assert gate.before.tolist() == [0, 1] and gate.after.tolist() == [2]
    assert len(made(gated=()).jobs.gates) == 0
    assert len(made(gated=("ideas", "scaling")).jobs.gates) == 2


def test_a_branch_waits_for_its_trunk_and_a_completed_trunk_is_open():
    trunks = plan(trunk_id=["", "", "", "", "d"])
    gate = made(trunks).jobs.gates[-1]
    assert gate.before.tolist() == [3] and gate.after.tolist() == [4]
    runs = made(trunks.assign(status=["planned", "failed", "planned", "completed", "planned"]))
    assert runs.ended == 2 and runs.jobs.names == ("a", "c", "e")
    assert [gate.name for gate in runs.jobs.gates] == ["stage 3 of ideas"]


def test_columns_that_are_not_there_have_a_sensible_meaning():
    runs = made(plan().drop(columns=["study", "stage"]))
    assert [part.study for part in runs.parts] == ["runs"] and runs.jobs.priority.tolist() == [1] * 5
    assert runs.jobs.gates == ()
    nodes = made(plan(nodes=["1", "2", "2", "1", "1"]).drop(columns="n_accelerators"))
    assert nodes.chips.tolist() == [8, 16, 16, 8, 8]
    assert made(plan(nodes=["2", "2", "2", "1", "1"])).jobs.nodes.tolist() == [2, 2, 2, 1, 1]


def test_some_of_the_runs_keep_their_parts_and_gates():
    some = made().only(np.array([1, 2, 4]))
    assert some.jobs.names == ("b", "c", "e")
    assert [(part.study, part.stage) for part in some.parts] == [("ideas", 1), ("ideas", 3), ("scaling", 2)]
    assert some.part.tolist() == [0, 1, 2]
    assert [(gate.before.tolist(), gate.after.tolist()) for gate in some.jobs.gates] == [([0], [1])]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (plan().drop(columns="gpu_hours"), "plan.csv: no column 'gpu_hours'"),
        (plan().drop(columns=["run_id", "n_accelerators"]), "no column 'run_id' or 'n_accelerators'"),
        (plan(gpu_hours=["1", "0", "1", "1", "1"]), "line 2: gpu_hours = 0 is not above zero"),
        (plan(gpu_hours=["1", "1", "", "1", "1"]), "line 3: gpu_hours is empty"),
        (plan(gpu_hours=["1", "1", "inf", "1", "1"]), "line 3: gpu_hours = inf"),
        (plan(gpu_hours=["1", "1", "x", "1", "1"]), "line 3: gpu_hours = x"),
        (plan(n_accelerators=["8", "8", "8", "8", "2.5"]), "line 5: n_accelerators = 2.5: a whole number is wanted"),
        (plan(n_accelerators=["8", "-8", "8", "8", "8"]), "line 2: n_accelerators = -8 is not above zero"),
        (plan(stage=["1", "one", "1", "1", "1"]), "line 2: stage = one: a whole number"),
        (plan(priority=["1", "", "1", "1", "1"]), "line 2: priority is empty"),
        (plan(priority=["1", "1e300", "1", "1", "1"]), "line 2: priority = 1e300"),
        (plan(run_id=["a", "b", "a", "d", "e"]), "line 3: run 'a' is there twice"),
        (plan(run_id=["a", " ", "c", "d", "e"]), "line 2: run_id is empty"),
        (plan(trunk_id=["", "nobody", "", "", ""]), "line 2: trunk_id 'nobody' is no run"),
        (plan(trunk_id=["a", "", "", "", ""]), "circle: branches of a$"),
        (plan(trunk_id=["", "", "", "e", "d"]), "circle: branches of [de], branches of [de]$"),
        (plan(trunk_id=["c", "", "", "", ""]), "circle: (stage 3 of ideas, branches of c|branches of c, stage 3 of ideas)"),
        (plan(nodes=["1", "1", "2", "1", "1"]), "line 2: 12 chips on 1 nodes of 8"),
        (plan(status=["completed"] * 5), "no run is left"),
        (plan(status=["failed", "planned", "planned", "planned", "planned"], trunk_id=["", "a", "", "", ""]),
         "trunk_id 'a' is no run that is planned or completed"),
    ],
)  # fmt: skip
def test_a_bad_table_is_one_clear_line(frame, says):
    with pytest.raises(InputError, match=says) as caught:
        made(frame)
    assert caught.value.hint and "\n" not in caught.value.message


def test_the_line_of_the_file_is_told():
    with pytest.raises(InputError, match="line 41: stage = x"):
        made(plan(stage=["1", "x", "1", "1", "1"]).assign(line=[40, 41, 42, 43, 44]))


CELLS = st.sampled_from(
    ["", "1", "2", "8", "0", "-3", "1.5", "1e400", "nan", "None", "a", "b", "c", " a ", "\x1b[31m", "ideas"]
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_table_is_scheduled_or_refused_in_one_line(data):
    names = ("run_id", "study", "stage", "n_accelerators", "nodes", "gpu_hours", "priority", "trunk_id", "status")
    frame = plan()
    for name in data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3)):
        frame[name] = data.draw(st.lists(CELLS, min_size=5, max_size=5))
    try:
        runs = made(frame)
    except InputError as error:
        assert "\n" not in error.message
    else:
        table = schedule(runs.jobs, Pool(int(runs.jobs.nodes.max())))
        assert np.isfinite(table.makespan) and len(runs.parts) == runs.part.max() + 1
