"""Every format is read back by a real parser: PyYAML, Hydra, SkyPilot, and what Kubernetes does to a command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest
from hostile import ARGV, NAMES, NASTY, TEXTS, bash, plan, write
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.lab.exports import Settings, export
from planner.lab.exports.hydra import overrides
from planner.lab.exports.kubernetes import literal
from planner.lab.exports.quote import comment
from planner.lab.exports.run import runs_of, typed
from planner.lab.exports.yaml import dump, quoted
from planner.runs.read import read_runs

PRINT = Settings(command=ARGV)
SCALARS = st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


@settings(max_examples=300, deadline=None)
@given(value=VALUES | TEXTS.map(lambda text: {"run": f"a\n{text}\nb\n"}))
def test_yaml_means_what_was_written(value):
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(dump(value)) == value


@settings(max_examples=100, deadline=None)
@given(value=VALUES)
def test_yaml_1_2_means_the_same(value):
    yaml = pytest.importorskip("ruamel.yaml").YAML(typ="safe", pure=True)
    assert yaml.load(dump(value)) == value


@pytest.mark.parametrize("number", [1e20, 1e-5, -1e-300, 5e-324, 1.5e300, 0.1, 1e16])
def test_a_number_is_a_number_in_yaml_1_1(number):
    assert pytest.importorskip("yaml").safe_load(dump({"lr": number})) == {"lr": number}


@given(text=TEXTS)
def test_a_comment_is_one_line(text):
    assert comment(text).isprintable()


@given(text=TEXTS)
def test_a_quoted_text_is_one_printable_line(text):
    assert quoted(text).isprintable()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@settings(max_examples=25, deadline=None)
@given(names=NAMES)
def test_a_table_comes_back_text_for_text_and_number_for_number(tmp_path_factory, kind, names):
    path = tmp_path_factory.mktemp("t") / f"plan.{kind}"
    (content,) = export(plan(names), kind).files.values()
    path.write_bytes(content)
    back = typed(read_runs(path).frame.drop(columns="line"))
    pd.testing.assert_frame_equal(back, typed(plan(names)))


def test_a_spreadsheet_shows_every_cell_of_a_csv_as_text():
    text = export(plan(["=1+1", "+1", "@x", "\t=2"]), "csv").files["plan.csv"].decode()
    assert not re.search(r'(^|,)"?[=@\t]', text, re.MULTILINE)
    assert "'=1+1" in text


def test_a_json_line_has_numbers_as_numbers():
    line = json.loads(export(plan(["a"]), "jsonl").files["plan.jsonl"])
    assert (line["n_layers"], line["lr_peak"], line["run_id"]) == (12, 0.0015, "a")


@settings(max_examples=25, deadline=None)
@given(names=NAMES)
def test_a_wandb_sweep_is_a_grid_over_the_names_of_the_runs(tmp_path_factory, names):
    yaml = pytest.importorskip("yaml")
    folder = tmp_path_factory.mktemp("w")
    made = export(plan(names), "wandb", Settings(command=ARGV, folder=str(folder)))
    sweep = yaml.safe_load(made.files["sweep.yaml"])
    values = sweep["parameters"]["run"]["values"]
    assert sweep["method"] == "grid"
    assert sorted(f"runs/{name}.sh" for name in values) == sorted(name for name in made.files if "/" in name)
    write(made.files, folder)
    # what an agent makes of the command (wandb/sdk/launch/sweeps/utils.py): run=NAME for ${args_no_hyphens}
    words = [word.replace("${program}", sweep["program"]) for word in sweep["command"] if word != "${env}"]
    words = [word.replace("${args_no_hyphens}", f"run={values[0]}") for word in words]
    assert bash(shlex.join(words), folder)[0] == f"--run_id={names[0]}"


def test_a_wandb_agent_cannot_name_a_file_elsewhere(tmp_path):
    write(export(plan(["a"]), "wandb", PRINT).files, tmp_path)
    done = subprocess.run(["bash", tmp_path / "sweep-run.sh", "run=../sweep-run"], capture_output=True, check=False)
    assert done.returncode == 1


@settings(max_examples=100, deadline=None)
@given(names=NAMES)
def test_hydra_reads_its_overrides_as_the_plans_values(names):
    parser = pytest.importorskip("hydra.core.override_parser.overrides_parser").OverridesParser.create()
    for run, name in zip(runs_of(typed(plan(names)), PRINT), names, strict=True):
        read = {override.key_or_group: override.value() for override in parser.parse_overrides(overrides(run))}
        resolved = {key: interpolated(value) for key, value in read.items()}
        assert resolved == {"run_id": name, "output": f"output/{run.name}", "tags": run.name, **run.trained}


def interpolated(value: object) -> object:
    from omegaconf import OmegaConf

    return (
        OmegaConf.to_container(OmegaConf.create({"v": value}), resolve=True)["v"] if isinstance(value, str) else value
    )


@settings(max_examples=100, deadline=None)
@given(names=NAMES)
def test_hydra_reads_an_experiment_as_the_plans_values(names):
    omegaconf = pytest.importorskip("omegaconf").OmegaConf
    files = export(plan(names), "hydra").files
    for run, name in zip(runs_of(typed(plan(names)), PRINT), names, strict=True):
        text = files[f"conf/experiment/{run.name}.yaml"].decode()
        assert text.startswith("# @package _global_\n")
        read = omegaconf.to_container(omegaconf.create(text), resolve=True)
        assert read == {"run_id": name, "output": f"output/{run.name}", "tags": run.name, **run.trained}


PROGRAM = """
import hydra, sys
from omegaconf import OmegaConf
@hydra.main(version_base=None, config_path=None)
def main(cfg):
    sys.stdout.buffer.write((cfg.run_id + "\\0" + cfg.variant + "\\0").encode())
main()
"""


@pytest.mark.parametrize("file", ["multirun.sh", "overrides.sh"])
def test_a_hydra_program_runs_every_run_with_its_exact_texts(tmp_path, file):
    pytest.importorskip("hydra")
    names = [*NASTY[:12], "${HOME}", "${now:}", "\\${x}", "a,b", "😀"]
    (tmp_path / "train.py").write_text(PROGRAM)
    settings_ = Settings(command=f"{shlex.quote(sys.executable)} train.py")
    write(export(plan(names), "hydra", settings_).files, tmp_path / "e")
    done = subprocess.run(["bash", "e/" + file], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    read = [re.sub(r"^(\[.*HYDRA\].*\n)+", "", word.decode()) for word in done.stdout.split(b"\0")[:-1]]
    assert sorted(read) == sorted(names * 2)
    assert not list(tmp_path.rglob("PWNED"))


@settings(max_examples=25, deadline=None)
@given(names=NAMES)
def test_a_skypilot_task_runs_with_the_exact_texts(tmp_path_factory, names):
    yaml = pytest.importorskip("yaml")
    folder = tmp_path_factory.mktemp("sky")
    made = export(plan(names, n_accelerators=16), "skypilot", PRINT)
    tasks = [yaml.safe_load(text) for file, text in made.files.items() if file.startswith("tasks/")]
    for name, task in zip(names, tasks, strict=True):
        assert re.fullmatch(r"[a-zA-Z]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?", task["name"])  # sky/skylet/constants.py
        assert (task["num_nodes"], task["resources"]) == (2, {"accelerators": "H100:8"})
        assert task["envs"] == {"PLANNER_RUN_ID": name}
        assert bash(task["run"], folder, SKYPILOT_NODE_IPS="10.0.0.1\n10.0.0.2")[0] == f"--run_id={name}"


def test_skypilots_own_schema_takes_every_task():
    sky = pytest.importorskip("sky")
    yaml = pytest.importorskip("yaml")
    for file, text in export(plan(list(NASTY), n_accelerators=16), "skypilot").files.items():
        if file.startswith("tasks/"):
            task = sky.Task.from_yaml_config(yaml.safe_load(text))
            assert task.num_nodes == 2


@pytest.mark.parametrize(("gpus", "claim"), [(8, ""), (16, "outputs")])
def test_kubernetes_own_schema_takes_every_object(gpus, claim):
    schema = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("yaml")
    version = schema.latest_version()
    files = export(plan(list(NASTY), n_accelerators=gpus), "kubernetes", Settings(claim=claim)).files
    kinds = []
    for file, text in files.items():
        if file.startswith("jobs"):
            for thing in yaml.safe_load_all(text):
                assert schema.validate(thing, version, strict=True)  # a key that the schema does not know is an error
                kinds.append(thing["kind"])
    assert kinds.count("Job") == len(NASTY)
    assert kinds.count("Service") == (len(NASTY) if gpus > 8 else 0)


def test_kubernetes_own_schema_refuses_what_is_wrong():
    schema = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("yaml")
    (text,) = export(plan(["a"]), "kubernetes").files.values()
    for key, value in (("completions", "two"), ("complexions", 2)):
        thing = yaml.safe_load(text)
        thing["spec"][key] = value
        with pytest.raises(schema.ValidationError):
            schema.validate(thing, schema.latest_version(), strict=True)


def test_skypilots_own_schema_refuses_what_is_wrong():
    sky = pytest.importorskip("sky")
    yaml = pytest.importorskip("yaml")
    files = export(plan(["a"]), "skypilot").files
    task = yaml.safe_load(next(text for file, text in files.items() if file.startswith("tasks/")))
    with pytest.raises(ValueError, match="num_gnomes"):
        sky.Task.from_yaml_config({**task, "num_gnomes": 2})


def expanded(text: str, variables: dict[str, str]) -> str:
    """What Kubernetes makes of a command (k8s.io/kubernetes/third_party/forked/golang/expansion)."""
    return re.sub(
        r"\$(?:(\$)|\(([^)]*)\))", lambda m: "$" if m[1] else variables.get(m[2], f"$({m[2]})"), text, flags=re.DOTALL
    )


@given(text=TEXTS)
def test_kubernetes_gives_back_a_literal_text(text):
    assert expanded(literal(text), {"PLANNER_RUN_ID": "other", "x": "y"}) == text


@settings(max_examples=25, deadline=None)
@given(names=NAMES)
def test_a_kubernetes_job_runs_with_the_exact_texts(tmp_path_factory, names):
    yaml = pytest.importorskip("yaml")
    folder = tmp_path_factory.mktemp("k8s")
    made = export(plan(names, n_accelerators=16), "kubernetes", Settings(command=ARGV, claim="outputs"))
    for name, text in zip(names, made.files.values(), strict=True):
        service, job = yaml.safe_load_all(text)
        label = job["metadata"]["name"]
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?", label)
        assert service["spec"]["selector"] == {"job-name": label}
        assert job["metadata"]["annotations"] == {"planner/run-id": name}
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", job["metadata"]["labels"]["planner/run"])
        (container,) = job["spec"]["template"]["spec"]["containers"]
        variables = {pair["name"]: pair["value"] for pair in container["env"]}
        assert variables["PLANNER_MASTER_ADDR"] == f"{label}-0.{label}"
        script = expanded(container["command"][2], variables)
        assert bash(script, folder, **variables | {"PLANNER_ROOT": str(folder)})[0] == f"--run_id={name}"
