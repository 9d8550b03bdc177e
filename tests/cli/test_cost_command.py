"""`planner cost`: the table, the JSON and the refusals."""

import json

import pytest

DEEPSEEK = ("cost", "deepseek-v3", "--tokens", "14.8T", "--accelerator", "h800", "--count", "2048")
GIVEN = ("--gpu-hours-per-trillion-tokens", "180K", "--price", "2")
KEYS = {"params_total", "params_active", "params_non_embedding", "flops", "flops_rule", "mfu", "layout", "gpu_hours", "days",
        "usd", "energy_kwh", "co2_kg"}  # fmt: skip


def test_deepseek_v3_without_its_hours_is_modelled(planner):
    found = planner(*DEEPSEEK, "--json").json
    assert set(found) >= KEYS
    assert found["params_total"] == 671_026_419_200
    assert found["gpu_hours_source"] == "modelled"
    assert found["flops_rule"] == "6nd:params_active"
    assert set(found["usd"]) == {"rental", "owned"}
    assert found["usd"]["rental"] == pytest.approx(found["gpu_hours"] * 2.0)


def test_deepseek_v3s_modelled_and_given_hours_stand_side_by_side_with_the_reason_against_published(planner):
    # arXiv 2412.19437, table 1: 2.664M hours, $5.328M, 3.7 days per trillion tokens
    shown = planner(*DEEPSEEK, *GIVEN)
    assert "modelled" in shown.out
    assert "as given" in shown.out
    for figure in ("2.66M", "$5.328M", "3.66", "54.2"):
        assert figure in shown.out, figure
    assert "times the modelled ones" in shown.out
    assert "--precision fp8" in shown.out
    found = planner(*DEEPSEEK, *GIVEN, "--json").json
    assert found["gpu_hours"] == pytest.approx(2.664e6)
    assert found["modelled"]["gpu_hours"] > found["gpu_hours"]
    assert found["reasons"]


def test_explain_says_where_each_number_is_from_and_what_no_data_validates(planner):
    out = planner(*DEEPSEEK, "--explain").out
    for said in ("no data", "slower", " GB ", "kernel's paper", "fitted", "Young/Daly", "owning: server x 1.64",
        "staff $300", "arXiv 2001.08361", "Llama 3",
                 "no throughput measured on h800", "docs/costs.md"):  # fmt: skip
        assert said in out, said
    found = planner(*DEEPSEEK, "--explain", "--json").json
    assert found["alternatives"]


def test_parameters_and_flops_are_shown_by_part_and_by_rule(planner):
    out = planner(*DEEPSEEK, "--explain").out
    for said in (
        "36,625,618,432",
        "parameters by part",
        "mlp active",
        "kaplan",
        "deepseek",
        "exact, full recomputation",
    ):
        assert said in out, said
    found = planner(*DEEPSEEK, "--json").json
    parts = found["params_by_part"]
    assert sum(parts[part] for part in ("embedding", "attention", "mlp", "norms", "head")) == found["params_total"]
    assert found["flops_by_rule"][found["flops_rule"]] == pytest.approx(found["flops"])


def test_every_assumption_is_printed(planner):
    out = planner("cost", "llama-3-8b", "--tokens", "1T", "--count", "64").out
    for said in (
        "assumed batch: Step Law",
        "assumed context: 4096",
        "assumed rent",
        "2026-03",
        "modelled",
        "P10",
        "P90",
    ):
        assert said in out, said


def test_files_of_a_model_and_an_accelerator_are_read(planner, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 16}))
    (tmp_path / "ours.toml").write_text('like = "h100"\nmemory_bytes = 96e9\nusd_per_hour = 1.5')
    found = planner(
        "cost", "config.json", "--tokens", "1T", "--accelerator", "ours.toml", "--count", "64", "--json"
    ).json
    assert found["accelerator"] == "ours"
    assert found["price"]["usd_per_gpu_hour"] == 1.5
    assert found["assumed"]["config.hidden_size"] == 4096
    told = planner("cost", "config.json", "--tokens", "1T", "--count", "64", "--explain").out
    assert "config fields by default" in told


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (("--tokens", "zebra"), "--tokens: 'zebra' is not a number"),
        (("--tokens", "1T", "--count", "12"), "not a whole number of nodes of 8"),
        (("--tokens", "1T", "--count", "8", "--context", "100000000"), "cannot hold"),
        (("--tokens", "1T", "--precision", "int8"), "--precision 'int8' is not known"),
        (("--tokens", "1T", "--attention", "flush"), "--attention 'flush' is not known"),
        (("--tokens", "1T", "--batch", "0"), "batch_tokens = 0"),
        (("--tokens", "1T", "--price", "nan"), "usd_per_gpu_hour = nan"),
        (("--tokens", "1T", "--years", "0"), "years = 0"),
        (("--tokens", "1T", "--cluster-utilisation", "1.5"), "utilisation = 1.5"),
        (("--tokens", "1T", "--accelerator", "none.toml"), "none.toml: no such file"),
        (("--tokens", "1T", "--accelerator", "h20"), "no rent is known for h20"),
        (("--tokens", "1T", "--count", "9999992", "--batch", "1M"), "is too small for 9999992"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_cannot_be_priced_is_one_line_and_exit_2(planner, changes, says, as_json):
    done = planner("cost", "llama-3-8b", *changes, *(["--json"] if as_json else []))
    assert done.code == 2
    message = done.json["error"]["message"] if as_json else done.err.splitlines()[0]
    assert says in message


@pytest.mark.parametrize(
    ("name", "content"), [("c.json", b"\xff\xfe"), ("c.json", b"[]"), ("m.toml", b"x = "), ("m.toml", b"\xff")]
)
def test_a_model_file_that_is_none_is_refused(planner, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    done = planner("cost", name, "--tokens", "1T")
    assert done.code == 2
    assert name in done.err
