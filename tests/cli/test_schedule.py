"""`planner schedule` as a user meets it, and its picture."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from planner.report.fit_figures import picture
from planner.report.schedule_figures import Drawn, schedule_figure
from planner.sweep.schedule import Pool, Risk, Setup, lay_out, planned_runs


def plan(n=80, **columns):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "run_id": [f"run-{k}" for k in range(n)],
            "study": np.repeat(["scaling", "ideas"], n // 2),
            "stage": np.r_[np.ones(n // 2, int), rng.integers(1, 4, n // 2)],
            "accelerator": "h800",
            "n_accelerators": 8 * 2 ** rng.integers(0, 4, n),
            "gpu_hours": rng.uniform(100, 5000, n).round(1),
        }
    )
    return frame.assign(**columns)


@pytest.fixture
def file(tmp_path):
    plan().to_csv(tmp_path / "plan.csv", index=False)
    return "plan.csv"


def refused(done, says, code=2):
    assert done.code == code, done.err
    assert says in done.err
    assert "Traceback" not in done.err


def test_it_says_when_each_answer_arrives_how_sure_and_how_good(planner, file):
    done = planner("schedule", file, "--count", "128")
    assert done.code == 0, done.err
    for text in ("80 runs on 128 chips: 16 nodes of 8", "ideas", "no schedule ends before", "idle", "P10", "counted in: 0.04",
                 "every idea is taken to pass"):  # fmt: skip
        assert text in done.out


def test_json_is_the_functions_own_answer(planner, file):
    told = planner("schedule", file, "--count", "128", "--seed", "5", "--deadline-days", "2", "--json").json
    runs = planned_runs(plan(), "plan", chips_per_node=8)
    outcome = lay_out(runs, Setup(Pool(16), seed=5))
    assert told["days"] == pytest.approx(outcome.table.makespan / 24)
    assert told["days_percentiles"]["p90"] == pytest.approx(outcome.spread.percentiles().p90 / 24)
    assert [row["answer_day"] for row in told["answers"]] == pytest.approx([a.end / 24 for a in outcome.answers])
    assert told["gpu_hours"] == pytest.approx(plan()["gpu_hours"].sum())
    assert told["days"] == pytest.approx(told["lower_bound_days"] * (1 + told["gap"]))
    assert told["deadline"]["probability"] == 0 and not told["deadline"]["met"]
    assert set(told) == {
        "n_runs", "n_ended", "count", "chips_per_node", "nodes", "max_runs_at_once", "rule", "start", "days", "lower_bound_days",
        "gap", "idle_share", "gpu_hours", "gpu_hours_expected", "days_percentiles", "percentile_error", "repeats",
        "failure_rate", "lost", "spread", "answers", "deadline", "schedule",
    }  # fmt: skip


def test_the_folder_holds_every_run_with_days_and_dates(planner, file, tmp_path):
    done = planner("schedule", file, "--count", "128", "--start", "2026-12-01", "-o", "out", "--json")
    frame = pd.read_csv(tmp_path / done.json["schedule"])
    assert sorted(frame["run_id"]) == sorted(plan()["run_id"])
    assert frame["start_day"].is_monotonic_increasing and frame["end_day"].max() == pytest.approx(done.json["days"])
    assert frame["start_at"].iloc[0] == "2026-12-01T00:00"
    days = (pd.to_datetime(frame["end_at"]) - pd.Timestamp("2026-12-01")) / pd.Timedelta(days=1)
    np.testing.assert_allclose(days, frame["end_day"], atol=1 / 24 / 60)
    np.testing.assert_allclose(frame["gpu_hours"].sum(), plan()["gpu_hours"].sum())
    assert json.loads((tmp_path / "out/schedule.json").read_text())["days"] == done.json["days"]
    first = (tmp_path / "out/schedule.csv").read_bytes()
    assert planner("schedule", file, "--count", "128", "--start", "2026-12-01", "-o", "out").code == 0
    assert (tmp_path / "out/schedule.csv").read_bytes() == first


def test_a_deadline_says_what_would_meet_it_and_marks_those_runs(planner, file, tmp_path):
    options = ("schedule", file, "--gated", "nothing", "--deadline-days", "45")
    done = planner(*options, "--count", "128", "-o", "out", "--json")
    told = done.json["deadline"]
    kept = pd.read_csv(tmp_path / "out/schedule.csv")["within_deadline"]
    assert told["probability"] < 0.9 <= told["fewer_runs"]["probability"]
    assert kept.sum() == told["fewer_runs"]["n_runs"] < 80
    assert told["more_chips"]["count"] > 128
    again = planner(*options, "--count", told["more_chips"]["count"], "--json").json
    assert again["deadline"]["probability"] > 0.85
    shown = planner(*options, "--count", "128").out
    assert "fewer runs: the" in shown and "more chips:" in shown


def test_options_change_what_they_say(planner, file):
    def days(*more):
        return planner("schedule", file, "--count", "128", "--json", *more).json

    base = days()
    assert days("--max-runs-at-once", "2")["days"] > base["days"]
    assert days("--failure-rate", "0.3")["gpu_hours_expected"] > base["gpu_hours_expected"]
    assert days("--spread", "0", "--failure-rate", "0")["gpu_hours_expected"] == pytest.approx(base["gpu_hours"])
    assert days("--chips-per-node", "4")["nodes"] == 32
    assert days("--rule", "list")["rule"] == "list"
    assert days("--gated", "nothing")["days"] <= base["days"] * 1.1
    assert days("--where", "study=ideas")["n_runs"] == 40


@pytest.mark.parametrize(
    ("columns", "more", "says"),
    [
        ({}, ("--count", "32"), "needs 8 nodes and there are 4"),
        ({}, ("--count", "0"), "--count"),
        ({}, ("--count", "128", "--start", "tomorrow"), "--start 'tomorrow' is not a date"),
        ({}, ("--count", "128", "--deadline-days", "-1"), "leaves no time"),
        ({}, ("--count", "128", "--rule", "best"), "--rule 'best' is not known"),
        ({}, ("--count", "128", "--failure-rate", "2"), "failure rate of 2"),
        ({}, ("--count", "128", "--plot", "a.pdf"), "a picture's name ends in"),
        ({"accelerator": ["h800"] * 79 + ["h100"]}, ("--count", "128"), "several kinds of chip: h100, h800"),
        ({"accelerator": "my-chip"}, ("--count", "128"), "--chips-per-node"),
        ({"gpu_hours": 0}, ("--count", "128"), "line 2: gpu_hours = 0"),
        ({"trunk_id": "nobody"}, ("--count", "128"), "trunk_id 'nobody'"),
    ],
)
def test_bad_input_is_one_clear_line(planner, tmp_path, columns, more, says):
    plan(**columns).to_csv(tmp_path / "plan.csv", index=False)
    done = planner("schedule", "plan.csv", "-o", "out", *more)
    refused(done, says)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_command_is_not_touched(planner, file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    refused(planner("schedule", file, "--count", "128", "-o", "out"), "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_hostile_names_are_shown_and_drawn_as_text(planner, tmp_path):
    plan(study=["[/x]\x1b[31m $x^$ <b>&"] * 80, run_id=[f"=1+1\n{k}" for k in range(80)]).to_csv(
        tmp_path / "plan.csv", index=False
    )
    done = planner("schedule", "plan.csv", "--count", "128", "--plot", "a.svg")
    assert done.code == 0, done.err
    assert "\x1b" not in done.out and "[/x]\\x1b[31m" in done.out
    assert "[/x]" in "".join(ET.parse(tmp_path / "a.svg").getroot().itertext())


@pytest.fixture(scope="module")
def outcome():
    return lay_out(planned_runs(plan(), "plan", chips_per_node=8), Setup(Pool(16), risk=Risk()))


def drawn_area(figure):
    """Chip-days of every rectangle."""
    total = 0.0
    for collection in figure.axes[0].collections:
        for path in collection.get_paths():
            width, height = np.ptp(path.vertices, axis=0)
            total += width * height
    return total


def test_the_picture_holds_every_run_gate_and_answer(outcome):
    figure = schedule_figure(Drawn(outcome, 8, 24 * 30.0))
    gantt, usage, answers = figure.axes
    chip_days = float((outcome.table.jobs.hours * outcome.table.jobs.nodes).sum()) * 8 / 24
    assert drawn_area(figure) == pytest.approx(chip_days)
    assert gantt.get_ylim() == (0, 128)
    marks = [line.get_xdata()[0] for line in gantt.get_lines()]
    gates = [outcome.table.end[gate.before].max() / 24 for gate in outcome.table.jobs.gates]
    assert marks == pytest.approx([*gates, 30.0])
    names = ["scaling" if a.part.study == "scaling" else f"ideas {a.part.stage}" for a in outcome.answers]
    order = np.argsort([answer.end for answer in outcome.answers])
    assert [text.get_text() for text in answers.get_yticklabels()] == [names[index] for index in order]
    assert {text.get_text() for text in figure.legends[0].get_texts()} >= {"scaling", "ideas", "deadline"}
    assert usage.get_ylabel() == "in use"


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_picture_has_the_same_bytes_every_time(outcome, kind):
    one, two = (picture("schedule", lambda: schedule_figure(Drawn(outcome, 8)), kind) for _ in range(2))
    assert one == two and len(one) > 10_000


def test_a_picture_of_thousands_of_runs_stays_small():
    many = plan(5000, n_accelerators=8)
    outcome = lay_out(planned_runs(many, "plan", chips_per_node=8), Setup(Pool(256), repeats=2))
    figure = schedule_figure(Drawn(outcome, 8))
    assert drawn_area(figure) == pytest.approx(float(outcome.table.jobs.hours.sum()) * 8 / 24)
    assert len(picture("schedule", lambda: figure, "svg")) < 1_000_000
