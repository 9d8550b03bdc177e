"""`planner laws` as a user meets it: the list, one law, its picture, at narrow and wide terminals."""

import re

import pytest

from planner.cli.laws import wrapped_formula
from planner.laws import LAWS
from planner.report.law_sheet import predicted, unit_of

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def without_blanks(text):
    return re.sub(r"\s+", "", text)


def test_the_list_keeps_its_keys(planner):
    listed = planner("laws", "--json").json["laws"]
    assert [law["name"] for law in listed] == list(LAWS)
    for law in listed:
        assert set(law) == {"name", "formula", "source", "published", "variables", "letters", "link"}
        assert law["letters"] == list(LAWS[law["name"]].letters)
        assert [each["values"] for each in law["published"]] == [p.values for p in LAWS[law["name"]].published]


@pytest.mark.parametrize("columns", [60, 80, 139, 140, 200])
def test_the_list_fits_a_terminal_and_cuts_nothing(planner, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    done = planner("laws")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert max(len(line) for line in lines) <= columns
    for name, law in LAWS.items():
        at = next(i for i, line in enumerate(lines) if line.startswith(f"  {name} "))
        own = [lines[at], *(line for line in lines[at + 1 : at + 20])]
        if columns < 140:
            told = without_blanks("".join(line[27:] for line in own))
            assert told.startswith(without_blanks(f"{law.formula} of {', '.join(law.variables)} {law.source}"))
        else:
            assert law.variables[0] in own[0]


@every_law
@pytest.mark.parametrize("width", [24, 50, 110])
def test_a_formula_wraps_between_names_and_keeps_every_character(law, width):
    lines = wrapped_formula(law.formula, width)
    assert max(len(line) for line in lines) <= width
    assert without_blanks("".join(lines)) == without_blanks(law.formula)
    names = set(re.findall(r"[A-Za-z_]\w*", law.formula))
    assert {name for line in lines for name in re.findall(r"[A-Za-z_]\w*", line)} == names


@every_law
def test_one_law_as_an_object(planner, law):
    told = planner("laws", law.name, "--json").json
    assert told["name"] == law.name
    assert [each["letter"] for each in told["coordinates"]] == told["letters"] == list(law.letters)
    assert [each["low"] for each in told["coordinates"]] == pytest.approx(law.lower.tolist())
    linear = [each["letter"] for each in told["coordinates"] if each["linear"]]
    assert set(linear) == set(getattr(law, "linear", linear))
    assert list(told["units"]) == told["variables"] == list(law.variables)
    assert list(told["example"]) == list(law.letters)
    assert told["fit"] == f"planner fit runs.csv --law {law.name}"
    assert len(told["limits"]) == len(law.example.limits if hasattr(law, "example") else ())


@every_law
def test_one_law_in_words_fits_80_columns(planner, monkeypatch, law):
    monkeypatch.setenv("COLUMNS", "80")
    done = planner("laws", law.name)
    assert done.code == 0, done.err
    assert max(len(line.rstrip()) for line in done.out.splitlines()) <= 80
    plain = without_blanks(done.out)
    assert without_blanks(law.formula) in plain
    assert without_blanks(law.source) in plain
    for published in law.published:
        assert without_blanks(published.source) in plain


@pytest.mark.parametrize("name", ["chinchilla", "chinchilla-tied", "over-training"])
def test_the_best_split_is_the_laws_own(planner, name):
    law = LAWS[name]
    splits = planner("laws", name, "--json").json["optima"]
    assert [split["source"] for split in splits] == [published.source for published in law.published]
    for split, published in zip(splits, law.published, strict=True):
        best = law(**published.values).optimum(1e24)
        assert (split["flops"], split["params"], split["tokens"]) == (1e24, *best)
    assert planner("laws", name).out.count("best split of 1e24 FLOPs") == len(splits)


def test_where_there_is_no_split_none_is_shown(planner):
    for name in ("coupled", "best-rate", "parallel-streams"):
        assert planner("laws", name, "--json").json["optima"] == []
        assert "best split" not in planner("laws", name).out


def test_both_exponents_linear_letters_and_limits_are_told(planner):
    out = planner("laws", "size-power-floor").out
    assert "linear in  E, A" in out
    assert "at params = 1e80: E" in out
    assert re.search(r"alpha +alpha +0.001 +2.5 +0.33", out)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_picture_is_written(planner, tmp_path, kind):
    done = planner("laws", "learning-surface", "--plot", f"law.{kind}")
    assert done.code == 0, done.err
    content = (tmp_path / f"law.{kind}").read_bytes()
    assert b"lr_peak" in content if kind == "svg" else content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("vocabulry",), ("unknown law 'vocabulry'", "did you mean 'vocabulary'?")),
        (("nothing like it",), ("unknown law", "`planner laws` lists them")),
        (("--plot", "law.svg"), ("--plot draws one law", "planner laws chinchilla")),
        (("chinchilla", "--plot", "law.pdf"), ("ends in .svg or .png",)),
        (("vocabulry", "--plot", "law.svg"), ("unknown law 'vocabulry'",)),
    ],
)
def test_what_cannot_be_told_is_refused_and_nothing_is_written(planner, tmp_path, arguments, says):
    done = planner("laws", *arguments)
    assert done.code == 2
    assert all(text in done.err for text in says)
    assert planner("laws", *arguments, "--json").json["error"]["kind"] == "input"
    assert not list(tmp_path.iterdir())


def test_what_is_predicted_is_read_in_the_docstring():
    others = {name: predicted(law) for name, law in LAWS.items() if predicted(law) != "loss in nats per token"}
    assert others == {
        "farseer": "loss in the paper's unit (bits per character)",
        "vocabulary": "the loss less that of a unigram model with the same vocabulary, in nats per token",
        "steps-to-loss": "steps",
        "tokens-to-loss": "tokens",
        "critical-batch": "batch in tokens",
        "best-rate": "learning rate",
        "best-batch": "batch in tokens",
        "sigmoid-accuracy": "share between 0 and 1",
        "average-error": "share between 0 and 1",
    }


@every_law
def test_every_variable_is_explained(law):
    assert "a number" not in {unit_of(name) for name in law.variables}
