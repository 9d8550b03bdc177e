"""Scripts for bash and Slurm pass the plan's texts exactly and run none of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hostile import ARGV, NAMES, NASTY, bash, check_syntax, plan, write
from hypothesis import given, settings

from planner.errors import InputError
from planner.lab.exports import Settings, export

PRINT = Settings(command=ARGV)


def argv(run_id: str, root: str, name: str) -> list[str]:
    fixed = [
        "tokens=2621440000",
        "batch_tokens=524288",
        "steps=5000",
        "context_length=2048",
        "lr_peak=0.0015",
        "seed=7",
    ]
    size = ["n_layers=12", "d_model=768", "n_heads=12", "n_kv_heads=12", "head_dim=64", "d_ff=3072", "vocab_size=50304"]
    rest = ["warmup_tokens=52428800", "weight_decay=0.1", "schedule=cosine", "optimizer=adamw", "precision=bf16"]
    words = [f"run_id={run_id}", f"output={root}/{name}", f"variant={run_id}", *size, *fixed, *rest]
    return [f"--{word}" for word in words]


def scripts(made) -> list[tuple[str, str]]:
    found = [(name, content.decode()) for name, content in made.files.items() if name.startswith("runs/")]
    return [(Path(name).stem if name.endswith(".sh") else name, text) for name, text in found]


@settings(max_examples=40, deadline=None)
@given(names=NAMES)
def test_a_run_script_gives_the_trainer_the_exact_texts_and_runs_nothing(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("run")
    made = export(plan(names), "shell", PRINT)
    found = scripts(made)
    assert len(found) == len(names)
    for run_id, (name, text) in zip(names, found, strict=True):
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", name)
        assert bash(text, folder) == argv(run_id, f"{folder}/output", name)


@settings(max_examples=15, deadline=None)
@given(names=NAMES)
def test_run_id_travels_in_the_environment(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("run")
    show = (
        'bash -c \'printf "%s\\0" "$PLANNER_RUN_ID" "$WANDB_NAME" "$PLANNER_VARIANT" "$WANDB_RUN_GROUP" "$WANDB_TAGS"\''
    )
    made = export(plan(names), "shell", Settings(command=show))
    for run_id, (name, text) in zip(names, scripts(made), strict=True):
        assert bash(text, folder) == [run_id] * 4 + [name]


@pytest.mark.parametrize("kind", ["shell", "slurm", "wandb", "hydra", "skypilot"])
@pytest.mark.parametrize("trainer", ["flags", "megatron", "torchtitan", "olmo-core", "nanochat"])
def test_every_script_parses(tmp_path, kind, trainer):
    write(export(plan(list(NASTY)), kind, Settings(trainer)).files, tmp_path)
    check_syntax(tmp_path)


def test_a_command_of_several_commands_runs_them_all_and_one_takes_the_shells_place(tmp_path):
    (tmp_path / "env.sh").write_text("export READY=yes\n")
    several = """source env.sh && bash -c 'printf "%s\\0" "$READY" "$1"' x"""
    made = export(plan(["good"]), "shell", Settings(command=several))
    [(_, text)] = scripts(made)
    assert bash(text, tmp_path) == ["yes", "--run_id=good"]
    [(_, text)] = scripts(export(plan(["good"]), "shell", Settings(command="python train.py")))
    assert "\nexec python train.py" in text  # signals reach it


TRAINER = """
echo x >>"$PLANNER_ROOT/../$WANDB_TAGS"
[ "$PLANNER_RUN_ID" = good ] || [ "$PLANNER_RUN_ID" = fine ] || [ -e mended ]
"""


def test_run_all_goes_on_after_a_failure_and_runs_again_only_what_failed(tmp_path):
    (tmp_path / "train.sh").write_text(TRAINER)
    write(
        export(plan(["good", "bad $(touch PWNED)", "fine"]), "shell", Settings(command="bash train.sh")).files,
        tmp_path / "e",
    )
    with pytest.raises(AssertionError, match="1 runs failed"):
        bash("exec bash e/run-all.sh", tmp_path)
    (tmp_path / "mended").touch()
    bash("exec bash e/run-all.sh", tmp_path)
    counts = {p.name: p.read_text().count("x") for p in tmp_path.iterdir() if p.is_file() and p.suffix != ".sh"}
    assert sorted(counts.values()) == [0, 1, 1, 2]  # mended; good; fine; bad, twice


FAKES = {
    # what sbatch does with an array: every index, in a shell that knows only what Slurm tells it
    "sbatch": """#!/usr/bin/env bash
while [[ $1 == --* ]]; do echo "$1" >>"$LOG/options"; shift; done
range=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
job=$((100 + $(cat "$LOG/jobs" 2>/dev/null | wc -l)))
echo "$1" >>"$LOG/jobs"
for ((k = 0; k <= range; k++)); do
  SLURM_ARRAY_TASK_ID=$k SLURM_ARRAY_JOB_ID=$job SLURM_JOB_ID=$job SLURM_SUBMIT_DIR=$PWD SLURM_JOB_NODELIST=n1 \\
    bash "$@" >>"$LOG/tasks" || exit 1
done
echo $job
""",
    "scontrol": '#!/usr/bin/env bash\n[ "$1" = show ] && echo n1 || printf "%s\\n" "$3" >>"$LOG/names"\n',
    "srun": '#!/usr/bin/env bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n',
}


@pytest.fixture
def fake_slurm(tmp_path):
    (tmp_path / "bin").mkdir()
    for name, text in FAKES.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "log").mkdir()
    return {"first": str(tmp_path / "bin"), "LOG": str(tmp_path / "log")}


def submit(folder: Path, where: Path, environment: dict[str, str], *arguments: str) -> None:
    where.mkdir(exist_ok=True)
    bash(f'exec bash "{folder}/submit.sh" "$@"', where, *arguments, **environment)


def test_slurm_runs_every_run_once_with_its_exact_texts(tmp_path, fake_slurm):
    write(export(plan(list(NASTY)), "slurm", Settings(command=ARGV, max_array_size=10)).files, tmp_path / "e x")
    submit(tmp_path / "e x", tmp_path / "code", fake_slurm, "--partition=h100")
    logs = {
        path.parent.name: path.read_bytes().decode().split("\0")[:-1]
        for path in (tmp_path / "code/output").glob("*/log.txt")
    }
    assert len(logs) == len(NASTY)
    assert sorted(words[0] for words in logs.values()) == sorted(f"--run_id={name}" for name in NASTY)
    root = tmp_path / "code/output"
    assert all(words == argv(words[0].removeprefix("--run_id="), str(root), name) for name, words in logs.items())
    names = (tmp_path / "log/names").read_text().split()
    assert sorted(names) == sorted(f"JobName={name}" for name in logs)
    assert "--partition=h100" in (tmp_path / "log/options").read_text()
    assert not list(tmp_path.rglob("PWNED"))


def test_slurm_directives_hold_safe_characters_only():
    files = export(plan(list(NASTY)), "slurm").files
    directives = [line for text in files.values() for line in text.decode().splitlines() if line.startswith("#SBATCH")]
    assert directives
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=[A-Za-z0-9._%:/-]+)?", line) for line in directives)


def test_slurm_arrays_are_one_per_shape_and_split_at_the_largest_array():
    frame = plan(
        [f"r{k}" for k in range(25)],
        n_accelerators=[8] * 20 + [16] * 5,
        gpu_hours=[24.0] * 15 + [400.0] * 5 + [32.0] * 5,
    )
    files = export(frame, "slurm", Settings(max_array_size=10, at_once=4)).files
    arrays = {name: text.decode() for name, text in files.items() if name.endswith(".sbatch")}
    assert sorted(arrays) == [
        "array-1x8-8h-part1.sbatch", "array-1x8-8h-part2.sbatch", "array-1x8-96h.sbatch", "array-2x8-4h.sbatch",
    ]  # fmt: skip
    assert "#SBATCH --array=0-9%4\n" in arrays["array-1x8-8h-part1.sbatch"]
    assert "#SBATCH --array=0-4%4\n" in arrays["array-1x8-8h-part2.sbatch"]
    assert "#SBATCH --nodes=2\n" in arrays["array-2x8-4h.sbatch"]
    assert "#SBATCH --time=96:00:00\n" in arrays["array-1x8-96h.sbatch"]  # 400 / 8 = 50 h, half as much again is 75
    assert all("#SBATCH --requeue\n" in text for text in arrays.values())
    listed = [name for file, text in files.items() if file.endswith(".txt") for name in text.decode().split()]
    assert sorted(listed) == sorted(frame["run_id"])


def test_branches_wait_for_their_trunks(tmp_path, fake_slurm):
    trunk, branch = "trunk $(touch PWNED)", "branch"
    frame = plan(
        [branch, trunk], trunk_id=[trunk, None], resumed_tokens=[1_048_576_000, None], schedule=["wsd", "constant"]
    )
    made = export(frame, "slurm", PRINT)
    write(made.files, tmp_path / "e")
    submit(tmp_path / "e", tmp_path / "code", fake_slurm)
    order = [Path(line).name for line in (tmp_path / "log/jobs").read_text().split("\n") if line]
    assert order == ["array-1x8-8h.sbatch", "array-1x8-8h-wave2.sbatch"]
    assert "--dependency=afterany:100" in (tmp_path / "log/options").read_text()
    script = made.files["runs/branch.sh"].decode()
    with pytest.raises(AssertionError, match="its trunk has not run"):
        bash(script, tmp_path)
    order = export(frame, "shell", PRINT).files["runs.txt"].decode().split("\n")
    assert order[1:] == ["branch", ""]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (plan(["a\0b"]), "NUL"),
        (plan(["\ud800"]), "half a character"),
        (plan(["a", "a"]), "planned twice"),
        (plan(["a", ""]), "has no run_id"),
        (plan(["a"]).drop(columns="run_id"), "no column 'run_id'"),
        (plan(["a"], trunk_id="b"), "not in the plan"),
        (plan(["a", "b"], trunk_id=["b", "a"]), "in a circle"),
        (plan(["a"], nodes=3), "8 accelerators on 3 nodes"),
        (plan(["a"], n_accelerators=12), "12 accelerators on 2 nodes leave some unused"),
        (plan(["a"], n_layers=1.5), "n_layers = 1.5 is not a whole number"),
        (plan(["a"], context_length=3000), "not a whole number of sequences"),
        (plan(["x" * 5000]), "5,000 characters"),
    ],
)
def test_a_plan_that_cannot_be_started_is_refused(frame, says):
    if "12 acc" in says:
        frame["n_accelerators"] = 13
        says = "13 accelerators on 2 nodes"
    with pytest.raises(InputError, match=re.escape(says)):
        export(frame, "slurm", Settings("megatron"))


@pytest.mark.parametrize("command", ["a 'b", "a\nb", "a # b", "a\0b", "a \x1b[0m"])
def test_a_command_that_a_script_cannot_hold_is_refused(command):
    with pytest.raises(InputError, match="--command"):
        Settings(command=command)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("kind", ["shell", "slurm", "wandb", "hydra", "skypilot"])
def test_shellcheck_finds_nothing(tmp_path, kind):
    import subprocess

    write(export(plan(["a b", "c"]), kind).files, tmp_path)
    paths = [str(p) for p in tmp_path.rglob("*") if p.suffix in (".sh", ".sbatch")]
    done = subprocess.run(["shellcheck", "--shell=bash", *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
