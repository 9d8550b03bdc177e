"""A copy to share names nobody and nothing, tells no price and no path; older folders are refused."""

from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest
from nasty import NASTY
from running import run_planner

from planner import store


@pytest.fixture(scope="module")
def shared(deepseek, tmp_path_factory):
    copy = tmp_path_factory.mktemp("redacted") / "copy"
    shutil.copytree(deepseek, copy)
    done = run_planner("report", copy, "--redact", "--json", cwd=copy.parent)
    assert done.code == 0, done.err
    assert done.json["redacted"].endswith("report/redacted/index.html")
    return copy / "report" / "redacted"


def texts(folder):
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_no_name_and_no_run_id_is_left(shared, deepseek):
    report = json.loads((deepseek / store.REPORT_JSON).read_text())
    ids = pd.read_csv(deepseek / store.RUNS)["run_id"].tolist()
    names = [*(idea["variant"] for idea in report["ideas"]), "deepseek_v3", "deepseek_v3.toml", *ids[::200]]
    assert len(names) > 40
    for file, text in texts(shared).items():
        for name in names:
            assert not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), (file, name)
        assert "deepseek-v3-" not in text
        assert "de-risk DeepSeek" not in text
        if "published" not in file and "report.json" not in file:  # other labs' accelerators are public
            assert "h800" not in text.lower(), file
    assert json.loads((shared / "report.json").read_text())["question"]["final"]["accelerator"] == "accelerator 1"


def test_no_price_and_no_amount_of_dollars_is_left(shared, deepseek):
    report = json.loads((deepseek / store.REPORT_JSON).read_text())
    dollars = [report[side][name] for side in ("exploration", "final") for name in ("usd", "usd_owned")]
    for file, text in texts(shared).items():
        public = re.sub(r"OpenAI 2024: research compute of about \S*\$5B", "", text)
        assert not re.search(r"\$\s?\d", public), (file, re.findall(r".{30}\$\s?\d.{10}", public)[:3])
        for amount in dollars:
            assert str(amount) not in text, file
    hidden = json.loads((shared / "report.json").read_text())
    assert hidden["exploration"]["usd"] is None
    assert hidden["base"]["now"]["usd_per_gpu_hour"] is None
    assert hidden["question"]["rates"]["accelerators"] == {}
    assert hidden["ratio"]["gpu_hours"] == report["ratio"]["gpu_hours"]


def test_no_path_is_left_and_the_sums_are(shared, deepseek):
    for file, text in texts(shared).items():
        assert str(deepseek.parent) not in text, file
        assert not re.search(r"(?<![\w/.:])/(?:home|tmp|work|root|Users)/", text), file
    ledger = pd.read_csv(shared / "tables/ledger.csv")
    assert not {"usd", "usd_owned", "source", "run_id"} & set(ledger)
    whole = json.loads((deepseek / store.REPORT_JSON).read_text())
    assert ledger.loc[ledger["side"] == "exploration", "gpu_hours"].sum() == pytest.approx(
        whole["exploration"]["gpu_hours"]
    )


def test_the_full_report_beside_it_is_unchanged(shared, deepseek):
    assert (shared.parent / "index.html").read_bytes() == (deepseek / store.REPORT_HTML).read_bytes()


def test_csv_tables_hold_no_formula(nasty):
    assert any(name.startswith("=") for name in NASTY)
    for file in (nasty / "report/tables").iterdir():
        for cell in pd.read_csv(file, dtype=str, keep_default_na=False).to_numpy().ravel():
            assert not re.match(r"[=@\t\r]|[+-](?![\d.])", cell), (file.name, cell)


def test_a_folder_of_an_older_schema_is_refused_with_what_to_do(planner, deepseek, tmp_path):
    copy = tmp_path / "old"
    shutil.copytree(deepseek, copy)
    question = json.loads((copy / store.QUESTION).read_text())
    del question["schema"], question["rates"]
    (copy / store.QUESTION).write_text(json.dumps(question))
    record = json.loads((copy / store.PROVENANCE).read_text())
    del record["files"][store.QUESTION]
    (copy / store.PROVENANCE).write_text(json.dumps(record))
    done = planner("report", copy)
    assert done.code == 2
    assert "of schema 1, this planner reads 2" in done.err
    assert "planner run SWEEP" in done.err


def test_published_ledgers_are_those_in_the_repository(planner, tmp_path):
    from truths import REPOSITORY

    done = planner("ledgers", "-o", "out", "--json")
    assert done.code == 0, done.err
    assert {case["name"]: round(case["ratio"], 2) for case in done.json["ledgers"]}["smollm3"] == 0.58
    for name in (store.LEDGERS, "index.html"):
        assert (tmp_path / "out" / name).read_bytes() == (REPOSITORY / "results/published" / name).read_bytes(), name
    page = (tmp_path / "out/index.html").read_text()
    assert "<script" not in page
    assert "276.48K" in page
    assert "0.58x" in page
