"""Real training of tiny models: counts as planned, the same losses after a kill, branches as if they had run alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from tiny_plans import branch, row, write_texts

torch = pytest.importorskip("torch", reason="PyTorch (the extra [train]) is not installed")

from planner.lab.local.corpus import read_corpus  # noqa: E402
from planner.lab.local.model import Decoder  # noqa: E402
from planner.lab.local.places import Ending, Places  # noqa: E402
from planner.lab.local.task import task_of  # noqa: E402
from planner.lab.local.train import Texts, Wanted, train  # noqa: E402
from planner.lab.local.worker import Abandoned  # noqa: E402
from planner.models.architecture import Architecture, QKNorm  # noqa: E402
from planner.models.flops import FlopsRule, flops_per_token  # noqa: E402
from planner.models.parameters import count_parameters  # noqa: E402


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Texts:
    torch.set_num_threads(1)
    corpus = read_corpus(write_texts(tmp_path_factory.mktemp("corpus") / "texts"))
    return Texts(corpus.name, corpus.train, corpus.validation)


def points(places: Places, run_id: str) -> list[dict]:
    return [json.loads(line) for line in places.log(run_id).read_text().splitlines()]


def untimed(places: Places, run_id: str) -> list[dict]:
    return [{k: v for k, v in line.items() if k not in ("time", "step_seconds")} for line in points(places, run_id)]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("qk_norm", QKNorm)
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_the_model_has_the_parameters_that_the_planner_counts(tied, gated, qk_norm, kv_heads):
    shape = Architecture("m", "f", 3, 24, 4, kv_heads, 6, 40, 256, tied, gated, qk_norm=qk_norm)
    model = Decoder(shape, context_length=8, seed=0)
    assert sum(weight.numel() for weight in model.parameters()) == count_parameters(shape).total
    tokens = torch.randint(256, (2, 9))
    loss = model(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_the_model_sees_no_later_byte():
    shape = Architecture("m", "f", 2, 16, 2, 1, 8, 40, 256)
    model = Decoder(shape, context_length=8, seed=0)
    tokens = torch.randint(256, (1, 9))
    changed = tokens.clone()
    changed[0, -1] = (changed[0, -1] + 1) % 256

    def losses(text):
        return [model(text[:, :n], text[:, 1 : n + 1]).item() for n in range(1, 8)]

    assert losses(tokens) == losses(changed)


def test_variants_with_one_seed_start_from_the_same_weights():
    shape = Architecture("m", "f", 2, 16, 2, 2, 8, 40, 256)
    plain = Decoder(shape, context_length=8, seed=5)
    normed = Decoder(replace(shape, qk_norm=QKNorm.HEAD), context_length=8, seed=5)
    other = dict(normed.named_parameters())
    assert all(torch.equal(weight, other[name]) for name, weight in plain.named_parameters())
    assert not torch.equal(plain.embedding.weight, Decoder(shape, context_length=8, seed=6).embedding.weight)


def test_a_run_learns_and_logs_what_it_did(tmp_path, texts):
    task = task_of(row("r", steps=150))
    outcome = train(task, texts, Places(tmp_path), Wanted())
    assert outcome.status is Ending.COMPLETED and outcome.loss < 3.2 < math.log(256)
    first, *middle, last = points(Places(tmp_path), "r")
    assert first["params_total"] == count_parameters(task.model).total and first["loss_name"] == texts.name
    assert middle[0]["lr"] == pytest.approx(0.01 / 6) and middle[-1]["lr"] == pytest.approx(0.001)
    assert middle[0]["train_loss"] > middle[-1]["train_loss"] and all(line["run_id"] == "r" for line in middle)
    assert last["status"] == "completed" and last["loss"] == outcome.loss and last["tokens"] == task.tokens
    exact = flops_per_token(task.model, FlopsRule.EXACT, task.context_length)
    assert last["flops"] == outcome.flops == pytest.approx(exact * task.tokens) and first["flops_rule"] == "exact"


class Killed(BaseException):
    """Stands for the end of a process at a step."""


@pytest.mark.parametrize("steps", [(1,), (37,), (20, 21, 40)])
def test_a_run_that_was_killed_goes_on_and_gives_the_same_log_bit_for_bit(tmp_path, texts, steps):
    task = task_of(row("r", steps=100))
    train(task, texts, Places(tmp_path / "whole"), Wanted())
    for step in steps:
        asked = iter(range(10_000))

        def alive(asked=asked, step=step):
            if next(asked) >= step:
                raise Killed
            return True

        with pytest.raises(Killed):
            train(task, texts, Places(tmp_path / "cut"), Wanted(checkpoint_seconds=0, alive=alive))
    outcome = train(task, texts, Places(tmp_path / "cut"), Wanted(checkpoint_seconds=0))
    assert untimed(Places(tmp_path / "cut"), "r") == untimed(Places(tmp_path / "whole"), "r")
    assert outcome.loss == Places(tmp_path / "whole").outcome("r").loss
    assert not Places(tmp_path / "cut").checkpoint("r").exists()


def test_a_run_whose_log_or_checkpoint_was_lost_starts_anew(tmp_path, texts):
    task, places = task_of(row("r", steps=40)), Places(tmp_path)
    whole = train(task, texts, Places(tmp_path / "whole"), Wanted())
    for lost in (places.log("r"), places.checkpoint("r")):
        asked = iter([True] * 20)
        with pytest.raises(Abandoned):
            train(task, texts, places, Wanted(checkpoint_seconds=0, alive=lambda asked=asked: next(asked, False)))
        lost.write_bytes(b"PK broken")
        outcome = train(task, texts, places, Wanted())
        assert outcome.loss == whole.loss
        assert untimed(places, "r") == untimed(Places(tmp_path / "whole"), "r")


def test_a_branch_equals_the_same_run_without_a_trunk_bit_for_bit(tmp_path, texts):
    places = Places(tmp_path)
    train(task_of(row("t", steps=80, schedule="constant")), texts, places, Wanted(branch_steps=(40, 64)))
    assert places.branch_steps("t") == [40, 64]
    for steps, cooldown in ((50, 10), (80, 16)):
        cells = {"schedule": "wsd", "cooldown_fraction": cooldown / steps}
        alone = train(task_of(row(f"alone{steps}", steps=steps, **cells)), texts, places, Wanted())
        branched = train(task_of(branch(f"b{steps}", "t", steps=steps, cooldown=cooldown)), texts, places, Wanted())
        assert branched.loss == alone.loss
        assert branched.flops == pytest.approx(alone.flops * cooldown / steps)


def test_a_branch_without_its_own_checkpoint_starts_from_an_earlier_one(tmp_path, texts):
    places = Places(tmp_path)
    train(task_of(row("t", steps=80, schedule="constant")), texts, places, Wanted(branch_steps=(30,)))
    branched = train(task_of(branch("b", "t", steps=50, cooldown=10)), texts, places, Wanted())
    alone = train(task_of(row("a", steps=50, schedule="wsd", cooldown_fraction=0.2)), texts, places, Wanted())
    assert branched.loss == alone.loss and branched.flops == pytest.approx(alone.flops * 20 / 50)


def test_a_run_that_diverges_says_so(tmp_path, texts):
    outcome = train(task_of(row("r", lr_peak=1e6)), texts, Places(tmp_path), Wanted())
    assert outcome.status is Ending.DIVERGED and outcome.loss is None
    assert "not finite" in outcome.reason or "no better than knowing nothing" in outcome.reason
    assert points(Places(tmp_path), "r")[-1]["status"] == "diverged"
