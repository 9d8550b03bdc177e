"""What a run does on a CUDA device, bfloat16 and compiled, tried on the CPU: the same code, another device."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_plans import branch, row, write_texts

torch = pytest.importorskip("torch", reason="PyTorch (the extra [train]) is not installed")

from planner.lab.local import checkpoint  # noqa: E402
from planner.lab.local.corpus import read_corpus  # noqa: E402
from planner.lab.local.model import rotated  # noqa: E402
from planner.lab.local.numerics import Numerics, found  # noqa: E402
from planner.lab.local.places import Ending, Places  # noqa: E402
from planner.lab.local.task import task_of  # noqa: E402
from planner.lab.local.train import Texts, Wanted, learner_of, train  # noqa: E402
from planner.lab.local.worker import Abandoned  # noqa: E402


class Compiler:
    """A backend of torch.compile that keeps what it was given, and runs it as it is."""

    def __init__(self):
        self.graphs = []

    def __call__(self, graph, inputs):
        self.graphs.append(graph)
        return graph.forward


def as_on_cuda() -> Numerics:
    return Numerics("cpu", bf16=True, compiler=Compiler())


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Texts:
    torch.set_num_threads(1)
    corpus = read_corpus(write_texts(tmp_path_factory.mktemp("corpus") / "texts"))
    return Texts(corpus.name, corpus.train, corpus.validation)


def test_a_cuda_device_is_used_compiled_and_in_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert found() == Numerics("cuda", bf16=True, compiler="inductor")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert found() == Numerics("cpu", bf16=False, compiler=None)


def test_a_compiled_run_in_bfloat16_learns_what_the_plain_one_learns(tmp_path, texts):
    task = task_of(row("r", steps=150))
    plain = train(task, texts, Places(tmp_path / "plain"), Wanted(), Numerics())
    cast = train(task, texts, Places(tmp_path / "cast"), Wanted(), as_on_cuda())
    assert cast.status is Ending.COMPLETED
    assert cast.loss != plain.loss and cast.loss == pytest.approx(plain.loss, rel=0.01)
    assert cast.flops == plain.flops
    said = [json.loads(Places(tmp_path / name).log("r").read_text().splitlines()[0]) for name in ("plain", "cast")]
    assert [line["precision"] for line in said] == ["fp32", "bf16"]


def test_the_whole_model_is_one_graph_with_bfloat16_products_and_no_complex_number(tmp_path, texts):
    numerics = as_on_cuda()
    train(task_of(row("r", steps=3)), texts, Places(tmp_path), Wanted(), numerics)
    # one of training; evaluation has another number of sequences, and its last pass a third one
    assert 1 <= len(numerics.compiler.graphs) <= 3
    values = [node.meta.get("example_value") for graph in numerics.compiler.graphs for node in graph.graph.nodes]
    kinds = {value.dtype for value in values if isinstance(value, torch.Tensor)}
    assert torch.bfloat16 in kinds and not any(kind.is_complex for kind in kinds)


def test_every_run_of_a_worker_is_compiled():
    """PyTorch stops compiling a function after eight versions of it, and says so in a log that nobody reads."""
    text = torch.zeros(2, 16, dtype=torch.long)
    for at in range(10):
        numerics = as_on_cuda()
        with torch.no_grad():
            learner_of(task_of(row("r", d_model=16 + 4 * at)), numerics).forward(text, text)
        assert len(numerics.compiler.graphs) == 1, f"run {at} was not compiled"


def test_a_compiled_run_that_was_killed_goes_on_with_the_same_losses_and_full_weights(tmp_path, texts):
    task, places = task_of(row("r", steps=60)), Places(tmp_path / "cut")
    whole = train(task, texts, Places(tmp_path / "whole"), Wanted(), as_on_cuda())
    asked = iter([True] * 30)
    with pytest.raises(Abandoned):
        wanted = Wanted(checkpoint_seconds=0, alive=lambda: next(asked, False))
        train(task, texts, places, wanted, as_on_cuda())
    saved = checkpoint.read(places.checkpoint("r"))
    assert {array.dtype for name, array in saved.items() if "weight" in name} == {np.dtype(np.float32)}
    assert train(task, texts, places, Wanted(), as_on_cuda()).loss == whole.loss


def test_a_compiled_branch_equals_the_same_run_without_a_trunk(tmp_path, texts):
    places = Places(tmp_path)
    train(task_of(row("t", steps=40, schedule="constant")), texts, places, Wanted(branch_steps=(40,)), as_on_cuda())
    alone = task_of(row("a", steps=50, schedule="wsd", cooldown_fraction=0.2))
    branched = train(task_of(branch("b", "t", steps=50, cooldown=10)), texts, places, Wanted(), as_on_cuda())
    assert branched.loss == train(alone, texts, places, Wanted(), as_on_cuda()).loss


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_real_and_complex_turns_are_the_same(kind):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, 8).to(kind)
    angles = torch.rand(5, 1, 4)
    turn = torch.stack((angles.cos(), angles.sin()), dim=-1)
    compiled = torch.compile(rotated, backend=Compiler())
    tolerance = 1e-6 if kind is torch.float32 else 0.01
    assert torch.allclose(compiled(x, turn), rotated(x, turn), atol=tolerance, rtol=tolerance)
    assert not torch.allclose(rotated(x, turn), x)
