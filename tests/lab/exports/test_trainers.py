"""Every column reaches the trainer or is named; every flag is one that the trainer has."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import warnings

import pytest
from hostile import ARGV, bash, plan, write
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.lab.exports import TRAINERS, Settings, export
from planner.lab.exports.run import runs_of, typed
from planner.lab.exports.trainers.flag import tell

LAYOUT = {"tensor_parallel": 2, "pipeline_parallel": 1, "expert_parallel": 1, "context_parallel": 1, "data_parallel": 4}
DENSE = {"n_experts": 0, "experts_per_token": 0, "n_shared_experts": 0, "expert_d_ff": 0, "n_dense_layers": 12}
EXPERTS = {"n_experts": 16, "experts_per_token": 2, "n_shared_experts": 1, "expert_d_ff": 512, "n_dense_layers": 1}
WSD = {"schedule": "wsd", "cooldown_fraction": 0.2}
# Options of pretrain_gpt.py: megatron/training/arguments.py; WSD's are fields of SchedulerConfig in training_config.py.
MEGATRON = """
    --num-layers --hidden-size --num-attention-heads --kv-channels --ffn-hidden-size --vocab-size --lr --weight-decay --seed
    --tensor-model-parallel-size --context-parallel-size --pipeline-model-parallel-size --expert-model-parallel-size
    --group-query-attention --num-query-groups --seq-length --max-position-embeddings --global-batch-size --micro-batch-size
    --train-iters --min-lr --lr-warmup-iters --lr-decay-style --lr-wsd-decay-style --lr-wsd-decay-iters --num-experts
    --moe-router-topk --moe-ffn-hidden-size --moe-shared-expert-intermediate-size --moe-layer-freq --optimizer --bf16 --fp16
    --save --save-interval --load --ckpt-step --override-opt_param-scheduler --wandb-exp-name --wandb-save-dir
    --tensorboard-dir
"""
# Options of scripts/base_train.py.
NANOCHAT = """
    --run --model-tag --total-batch-size --max-seq-len --num-iterations --warmup-steps --device-batch-size --window-pattern
    --depth --aspect-ratio --head-dim --warmdown-ratio --save-every
"""


def argv(trainer: str, **columns: object) -> tuple[list[str], dict[str, str]]:
    """A run's flags without their folders, and what they do not say."""
    (run,) = runs_of(typed(plan(["baseline"], **columns)), Settings(trainer))
    said = tell(TRAINERS[trainer], run, Settings(trainer))
    return [flag.argument for flag in said.arguments], dict(said.missing)


@pytest.mark.parametrize("trainer", list(TRAINERS))
@settings(max_examples=60, deadline=None)
@given(
    left=st.sets(st.sampled_from(sorted(plan(["baseline"], **LAYOUT, **EXPERTS, mixture="web=1"))), max_size=12),
    experts=st.booleans(),
)
def test_every_column_is_said_or_named_whatever_the_plan_has(trainer, left, experts):
    frame = plan(["baseline"], **LAYOUT, **(EXPERTS if experts else DENSE), **WSD, mixture="web=1", weird="x y")
    frame = frame.drop(columns=list(left - {"run_id"}))
    (run,) = runs_of(typed(frame), Settings(trainer))
    said = tell(TRAINERS[trainer], run, Settings(trainer))
    flags = TRAINERS[trainer].flags(run, Settings(trainer))
    expressed = {column for flag in flags if not flag.why for column in flag.columns}
    named = {column for why in said.missing for column in why.partition(":")[0].split(", ")}
    assert set(run.trained) <= expressed | named
    if trainer not in ("flags", "config") and "weird" in run.trained:
        assert "weird: no such option" in said.missing


def test_ones_own_trainer_gets_every_column_under_its_name():
    flags, missing = argv("flags", mixture="web=.7,code=.3", **LAYOUT)
    assert {"--mixture=web=.7,code=.3", "--n_layers=12", "--lr_peak=0.0015", "--tensor_parallel=2"} <= set(flags)
    assert not missing


def test_a_trainer_that_reads_a_file_finds_every_cell_of_the_run_in_it(tmp_path):
    names = ["a'; touch PWNED $(id)", "plain"]
    show = 'python3 -c "import sys; sys.stdout.write(open(sys.argv[1]).read())" "$PLANNER_CONFIG"'
    made = export(plan(names, mixture="web=.7,code=.3"), "shell", Settings("config", command=show))
    assert not made.missing
    for name, content in made.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    scripts = sorted((tmp_path / "runs").glob("*.sh"))
    said = [
        json.loads(subprocess.run(["bash", script], cwd=tmp_path, capture_output=True, check=True).stdout)
        for script in scripts
    ]
    assert {one["run_id"] for one in said} == set(names) and not (tmp_path / "PWNED").exists()
    assert all(
        one["mixture"] == "web=.7,code=.3" and one["n_layers"] == 12 and one["lr_peak"] == 0.0015 for one in said
    )


def test_megatron_is_told_the_run_in_its_own_words():
    flags, missing = argv("megatron", **LAYOUT, **EXPERTS, **WSD)
    assert set(flags) >= {
        "--num-layers=12", "--hidden-size=768", "--global-batch-size=256", "--train-iters=5000", "--lr-warmup-iters=100",
        "--lr-decay-style=WSD", "--lr-wsd-decay-iters=1000", "--lr=0.0015", "--bf16", "--moe-layer-freq=([0]*1+[1]*11)",
        "--moe-shared-expert-intermediate-size=512", "--tensor-model-parallel-size=2", "--seed=7", "--optimizer=adam",
    }  # fmt: skip
    assert not missing


@pytest.mark.parametrize(("trainer", "known"), [("megatron", MEGATRON), ("nanochat", NANOCHAT)])
@pytest.mark.parametrize(
    "columns", [EXPERTS | WSD, DENSE, {"n_kv_heads": 4, "schedule": "constant"}, {"precision": "fp16"}]
)
def test_a_flag_is_one_that_the_trainer_has(trainer, known, columns):
    flags, _ = argv(trainer, **LAYOUT, **columns)
    assert {flag.partition("=")[0] for flag in flags} <= set(known.split())


def test_nanochat_takes_a_shape_only_if_it_would_build_it():
    flags, missing = argv("nanochat", schedule="constant")
    assert {"--depth=12", "--aspect-ratio=64", "--head-dim=64", "--num-iterations=5000", "--warmdown-ratio=0.0"} <= set(
        flags
    )
    assert not any(why.startswith("n_layers") for why in missing)
    flags, missing = argv("nanochat", n_heads=10)
    assert not any(flag.startswith("--depth") for flag in flags)
    assert any(why.startswith("n_layers, d_model") for why in missing)
    assert any(why.startswith("lr_peak, weight_decay, optimizer: Muon") for why in missing)


@pytest.mark.parametrize(
    ("trainer", "columns", "names"),
    [
        ("megatron", {"variant": "z-loss"}, "variant: an idea"),
        ("megatron", {"optimizer": "muon"}, "optimizer: no option for 'muon'"),
        ("megatron", {"schedule": "wsd"}, "schedule: wsd without cooldown_fraction"),
        ("megatron", {"schedule": "step"}, "schedule: no schedule 'step'"),
        ("megatron", {"batch_tokens": 2048 * 9}, "batch_tokens: its sequences do not divide"),
        ("torchtitan", EXPERTS, "n_layers, d_model"),
        ("torchtitan", {"head_dim": 128}, "n_layers, d_model"),
        ("olmo-core", EXPERTS, "n_dense_layers, d_ff: every block has experts"),
        ("nanochat", {"schedule": "cosine"}, "schedule: 'cosine'"),
        ("nanochat", LAYOUT, "tensor_parallel: data parallel only"),
    ],
)
def test_what_a_trainer_cannot_express_is_in_the_script_and_in_the_result(trainer, columns, names):
    made = export(plan(["baseline"], **columns), "shell", Settings(trainer))
    assert any(why.startswith(names) for why in made.missing)
    assert f"# not expressible in {trainer}: {names}" in made.files["runs/baseline.sh"].decode()


@pytest.mark.parametrize("trainer", list(TRAINERS))
@pytest.mark.parametrize(
    "column", ["context_length", "batch_tokens", "steps", "n_layers", "d_model", "n_heads", "tokens"]
)
def test_a_zero_is_no_crash(trainer, column):
    assert export(plan(["baseline"], **{column: 0}), "shell", Settings(trainer)).n_runs == 1


def test_an_unknown_trainer_or_format_is_refused():
    with pytest.raises(InputError, match="--trainer 'nemo' is unknown"):
        export(plan(["a"]), "shell", Settings("nemo"))
    with pytest.raises(InputError, match="--to 'pbs' is unknown"):
        export(plan(["a"]), "pbs")


def family():
    """A trunk with a branch, and a run with a schedule of each kind."""
    return plan(
        ["baseline", "wsd", "trunk", "branch"], variant="baseline", schedule=["cosine", "wsd", "constant", "wsd"],
        cooldown_fraction=[0, 0.2, 0, 0.25], trunk_id=[None, None, None, "trunk"],
        resumed_tokens=[0, 0, 0, 1_966_080_000], tensor_parallel=[1, 2, 1, 1], data_parallel=[8, 4, 8, 8],
    )  # fmt: skip


@pytest.fixture
def trained(tmp_path):
    """What bash gives the trainer for each run of the family."""

    def words(trainer: str, frame=None) -> dict[str, list[str]]:
        made = export(family() if frame is None else frame, "shell", Settings(trainer, command=ARGV))
        write(made.files, tmp_path)
        scripts = [name for name in made.files if name.startswith("runs/")]
        return {
            name[5:-3]: bash(f"exec bash {shlex.quote(name)}", tmp_path, PLANNER_ROOT=str(tmp_path)) for name in scripts
        }

    (tmp_path / "trunk").mkdir()
    return words


def test_a_trunk_keeps_what_its_branch_goes_on_from(trained, tmp_path):
    words = trained("megatron")
    assert "--save-interval=3750" in words["trunk"]
    assert {f"--load={tmp_path}/trunk/checkpoints", "--ckpt-step=3750"} <= set(words["branch"])
    assert "--save_at_tokens=1966080000" in trained("flags")["trunk"]
    assert "--trainer.callbacks.checkpointer.fixed_steps=[3750]" in trained("olmo-core")["trunk"]
    assert "--checkpoint.interval=3750" in trained("torchtitan")["trunk"]


def test_torchtitan_itself_reads_every_flag_and_builds_the_shape(trained, tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = pytest.importorskip("torchtitan.config")
        pytest.importorskip("torchtitan.models.llama3.config_registry")
        import torch

        words = trained("torchtitan")
        monkeypatch.syspath_prepend(str(tmp_path))
        read = {name: config.ConfigManager().parse_args(arguments) for name, arguments in words.items()}
        with torch.device("meta"):
            model = read["wsd"].model_spec.model.build()
    assert (
        sum(weights.numel() for weights in model.parameters())
        == 2 * 50304 * 768 + 12 * (4 * 768**2 + 3 * 768 * 3072 + 2 * 768) + 768
    )
    wsd, branch = read["wsd"], read["branch"]
    assert (wsd.training.steps, wsd.training.global_batch_size, wsd.training.seq_len, wsd.debug.seed) == (
        5000,
        256,
        2048,
        7,
    )
    assert wsd.optimizer.param_groups[0].optimizer_kwargs["lr"] == 0.0015
    assert (wsd.lr_scheduler.decay_ratio, wsd.lr_scheduler.warmup_steps) == (0.2, 100)
    assert wsd.parallelism.tensor_parallel_degree == 2
    assert (read["baseline"].lr_scheduler.decay_type, read["baseline"].lr_scheduler.decay_ratio) == ("cosine", None)
    assert branch.checkpoint.initial_load_path == f"{tmp_path}/trunk/checkpoint/step-3750"
    assert not branch.checkpoint.initial_load_model_only


def test_olmo_core_itself_reads_every_override_and_builds_the_shape(trained, tmp_path):
    pytest.importorskip("olmo_core")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from olmo_config import example

        frame = family()
        frame.loc[0, "run_id"] = "a $(b) \"c\" 'd': {é}"
        words = {arguments[0]: arguments[1:] for arguments in trained("olmo-core", frame).values()}
        read = {name: example([a for a in w if not a.startswith(("--save-f", "--seq"))]) for name, w in words.items()}
        experts = trained("olmo-core", plan(["moe"], **EXPERTS | {"n_dense_layers": 0}))["moe"]
        sparse = example([a for a in experts[1:] if not a.startswith(("--save-f", "--seq"))])
    dense = 2 * 50304 * 768 + 12 * (4 * 768**2 + 3 * 768 * 3072 + 2 * 768) + 768
    assert read["wsd"].model.num_params == dense
    assert sparse.model.num_params == dense + 12 * (3 * 768 * 512 * 17 + 16 * 768 - 3 * 768 * 3072)
    assert (read["wsd"].train_module.scheduler.decay_fraction, read["wsd"].train_module.scheduler.warmup) == (0.2, 100)
    assert read["wsd"].train_module.tp_config.degree == 2
    assert (read["wsd"].trainer.max_duration.value, read["wsd"].data_loader.global_batch_size) == (5000, 524_288)
    assert read["branch"].load_path == f"{tmp_path}/trunk/step3750"
    names = {config.trainer.callbacks["wandb"].name for config in read.values()}
    assert names == {"a $(b) \"c\" 'd': {é}", "wsd", "trunk", "branch"}
    assert "torch" in sys.modules
