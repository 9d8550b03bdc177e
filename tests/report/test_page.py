"""The page: self-contained, escaped, true to its JSON, readable in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from nasty import NASTY
from truths import REPOSITORY

from planner import store
from planner.quantities import dollars, human


@pytest.fixture(scope="module")
def page(deepseek: Path) -> str:
    return (deepseek / store.REPORT_HTML).read_text()


class Reader(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_from_elsewhere_and_allows_only_its_own_script_and_style(page):
    reader = Reader(page)
    assert not {"link", "iframe", "img", "image", "object", "base", "form"} & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    policy = next(
        attributes["content"] for tag, attributes in reader.tags if tag == "meta" and "http-equiv" in attributes
    )
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert [attributes.get("type") for tag, attributes in reader.tags if tag == "script"] == [
        "application/json"
    ] * 2 + [None]
    for _, attributes in reader.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert policy.startswith("default-src 'none';")
    assert len(page) < 1_500_000


def test_the_answer_comes_first_and_equals_the_json(page, deepseek):
    summary = json.loads((deepseek / store.REPORT_JSON).read_text())
    text = Reader(page).text
    answer = f"Exploration costs {summary['ratio']['gpu_hours']:.2f}x the final run"
    assert answer in text
    assert text.index(answer) < text.index("What the final run will reach")
    for shown in (
        human(summary["exploration"]["gpu_hours"], 4), dollars(summary["exploration"]["usd"]), dollars(summary["final"]["usd"]),
        f"{summary['forecast']['prediction']['loss']:.3f}", human(summary["allocation"]["params"]),
    ):  # fmt: skip
        assert shown in text


def test_the_caveats_name_the_mixture_of_experts_assumption_and_the_simulation(page):
    text = Reader(page).text
    assert "Mixture of experts: one law in active parameters" in text
    assert "No model was trained" in text
    assert "The hidden law has the form that is fitted" in text


def test_ids_are_unique_on_the_page(page):
    ids = [attributes["id"] for _, attributes in Reader(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_figure_has_words_for_those_who_cannot_see_it(page):
    pictures = [attributes for tag, attributes in Reader(page).tags if tag == "svg"]
    assert len(pictures) == 1 + 2 * 7  # the bars, and each figure for a screen and for a phone
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in pictures)


def test_hostile_names_stay_text_in_the_page(nasty):
    page = (nasty / store.REPORT_HTML).read_text()
    reader = Reader(page)
    assert page.count("<script") == 3  # two of data, and our own
    assert "<script>alert" not in page
    assert "<b>Which" not in page
    words = " ".join(reader.text.split())
    for name in NASTY:
        assert " ".join(name.split()) in words


def test_hostile_names_stay_text_in_markdown(nasty):
    text = (nasty / store.REPORT_MARKDOWN).read_text()
    assert "<script>" not in text
    assert "<b>" not in text
    decisions = ("| promote |", "| hold |", "| drop |")
    rows = [line for line in text.splitlines() if line.endswith(decisions)]
    assert len(rows) == len(NASTY)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in rows)


def test_a_sweep_under_way_shows_what_is_open_and_the_forecast_at_completion(planner, deepseek, tmp_path):
    copy = tmp_path / "half"
    shutil.copytree(deepseek, copy)
    runs = pd.read_csv(copy / store.RUNS, keep_default_na=False, dtype=str)
    open_rows = runs.index % 3 == 0
    runs.loc[open_rows, ["status", "loss", "is_final", "gpu_hours", "usd", "energy_kwh", "flops"]] = [
        "planned", "", "false", "0.0", "0.0", "0.0", "0.0"
    ]  # fmt: skip
    runs.to_csv(copy / store.RUNS, index=False)
    record = json.loads((copy / store.PROVENANCE).read_text())
    del record["files"][store.RUNS]
    (copy / store.PROVENANCE).write_text(json.dumps(record))
    done = planner("report", copy, "--json")
    assert done.code == 0, done.err
    completion, final = done.json["completion"], done.json["final"]["gpu_hours"]
    assert completion["total"]["runs_open"] == open_rows.sum()
    told = [completion["gpu_hours"][name] for name in ("p10", "p50", "p90")]
    assert completion["total"]["actual_gpu_hours"] < told[0] < told[1] < told[2]
    assert completion["ratio"]["p50"] == pytest.approx(told[1] / final)
    assert done.json["not_run"]["planned"] == open_rows.sum()
    words = Reader((copy / store.REPORT_HTML).read_text()).text
    assert "planned runs are open; at completion" in words
    assert f"{completion['ratio']['p50']:.2f}x" in words


def test_every_other_cost_of_the_sweep_file_is_in_the_ledger(planner, tmp_path):
    text = (REPOSITORY / "sweeps/chinchilla_70b.toml").read_text()
    (tmp_path / "s.toml").write_text(
        text + '\n[[cost]]\nname = "=traces"\nkind = "post_training"\nsampled_tokens = "26B"\nsampling_utilisation = 0.1\n'
        '[[cost]]\nname = "team"\nkind = "staff"\nusd = "2M"\n[[cost]]\nname = "before"\nkind = "prior"\ngpu_hours = "10K"\n'
        'month = "2024-06"\n'
    )  # fmt: skip
    done = planner("run", "s.toml", "-o", "out", "--json")
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "out" / store.REPORT_JSON).read_text())
    assert report["beside"]["staff"]["usd"] == 2e6
    assert report["by_kind"]["prior"]["gpu_hours"] == 10_000
    assert report["by_month"]["2024-06"]["runs"] == 1
    assert report["by_stage"]["post_training"]["flops"] == 2 * report["question"]["final"]["params_active"] * 26 * 10**9
    assert report["final"]["gpu_hours"] > report["question"]["final"]["gpu_hours"]
    assert any("leave out prior" in note for note in report["notes"])
    assert "'=traces" in (tmp_path / "out/report/tables/ledger.csv").read_text()
