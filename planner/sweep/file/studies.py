"""The `[[study]]` tables of a sweep file: what each kind of study may say."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from planner.sweep.file.types import Amount, Factor, PlainName, Share, Spend, Table, Tokens, Whole, complain

Design = Literal["optimal", "isoflop", "ladder", "overtrain", "ray", "random", "list"]
Goal = Literal["loss", "size"]
Place = tuple[Amount, Tokens]  # active parameters, training tokens
Run = Place | tuple[Amount, Tokens, Whole]  # and seeds


class _Study(Table):
    """What every study has: a part of the budget (or a budget of its own), a name, and its place in the queue.

    A study whose runs are listed may have neither: it costs what they cost. `priority` counts from 1, first; left out, it
    follows from the kind.
    """

    share: Share | None = None
    budget: Spend | None = None
    name: PlainName | None = None
    priority: Whole | None = None

    @model_validator(mode="after")
    def _paid(self) -> Self:
        listed = bool(getattr(self, "runs", ()))
        if (self.share is None) == (self.budget is None) and not (listed and self.share is None):
            complain("share: give a share of the budget or a budget, one of them", 'share = 0.3, or budget = "$2M"')
        return self


class ScalingStudy(_Study):
    """Runs for the law of loss in size and data.

    `goals` are what an optimal design is for: the loss of the final run (and of every `[[target]]`), the loss that a wrong
    best size at its compute would cost, or both; `band` spreads the first over this factor of compute either way. `trunks`
    shares one constant-rate trunk between amounts of data: "auto" where that lowers the expected error. `runs` lists
    (params, tokens, seeds).
    """

    kind: Literal["scaling"]
    design: Design = "optimal"
    goals: tuple[Goal, ...] = Field(default=("loss", "size"), min_length=1)
    band: float = Field(default=1.0, ge=1, le=1000)
    trunks: Literal["auto", "always", "never"] = "auto"
    tokens_per_param: float | None = Field(default=None, gt=0)
    runs: tuple[Run, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.design == "list") != bool(self.runs):
            complain('runs: a list of runs and design = "list" go together', 'runs = [["1B", "20B"], ["2B", "40B", 3]]')
        if self.tokens_per_param is not None and self.design != "ray":
            complain('tokens_per_param: only design = "ray" has one ratio', 'leave it out, or set design = "ray"')
        return self


class HyperparameterStudy(_Study):
    """A grid of factors around the prescription in up to `cells` cells of size and data, or in those named by `at`.

    `learning_rate`, `batch`, `weight_decay` and `warmup` are factors of the prescription; one factor leaves it fixed.
    """

    kind: Literal["hyperparameters"]
    learning_rate: tuple[Factor, ...] = Field(default=(0.35, 0.6, 1.0, 1.7, 2.9), min_length=1)
    batch: tuple[Factor, ...] = Field(default=(0.35, 0.6, 1.0, 1.7, 2.9), min_length=1)
    weight_decay: tuple[Factor, ...] = Field(default=(1.0,), min_length=1)
    warmup: tuple[Factor, ...] = Field(default=(1.0,), min_length=1)
    cells: int = Field(default=9, ge=1, le=100)
    at: tuple[Place, ...] = ()

    @model_validator(mode="after")
    def _varied(self) -> Self:
        grids = {
            "learning_rate": self.learning_rate, "batch": self.batch, "weight_decay": self.weight_decay, "warmup": self.warmup
        }  # fmt: skip
        for name, factors in grids.items():
            if len(set(factors)) < len(factors):
                complain(f"{name}: a factor is there twice", "give different factors of the prescription")
            if len(factors) == 2:
                complain(f"{name}: two factors show no optimum", "give one to leave it fixed, or three and more")
        if all(len(factors) == 1 for factors in grids.values()):
            complain("learning_rate: nothing varies", "give three factors or more of something")
        return self


class MixtureStudy(_Study):
    """Shares of named domains on a simplex lattice with `steps` steps (Scheffe 1958), at one size and amount of data.

    No share is below `least`. Without `params_active` and `tokens`: the smallest size with least data.
    """

    kind: Literal["mixture"]
    domains: tuple[PlainName, ...] = Field(min_length=2, max_length=20)
    steps: int = Field(default=3, ge=1, le=10)
    least: float = Field(default=0.0, ge=0, lt=0.5)
    params_active: Amount | None = None
    tokens: Tokens | None = None

    @model_validator(mode="after")
    def _room(self) -> Self:
        if len(set(self.domains)) < len(self.domains):
            complain("domains: one is there twice", "name each domain once")
        if self.least * len(self.domains) >= 1:
            complain(
                f"least: {self.least:g} of each of {len(self.domains)} domains leaves nothing to vary",
                f"give less than {1 / len(self.domains):.3g}",
            )
        return self


class VocabularyStudy(_Study):
    """Vocabulary sizes at a few sizes of body; the tokenizer changes, so compare bits per byte, never nats per token."""

    kind: Literal["vocabulary"]
    vocab_sizes: tuple[Whole, ...] = Field(min_length=3)


class ContextStudy(_Study):
    """Context lengths in tokens, everything else equal."""

    kind: Literal["context"]
    context_lengths: tuple[Whole, ...] = Field(min_length=2)


class SparsityStudy(_Study):
    """Ratios of routed experts to those a token uses, at equal active parameters."""

    kind: Literal["sparsity"]
    sparsities: tuple[Factor, ...] = Field(min_length=3)


class IdeasStudy(_Study):
    """Ideas beside the baseline on a ladder of sizes, with paired seeds; later rungs only for ideas that pass the gates.

    With `gates` the budget is what the study is expected to cost; without, every idea runs on every rung. `wanted_gain` is
    a compute-equivalent gain that an idea which passes every gate must show with probability `power` (one-sided 5 % test,
    drift with scale apart). `at` names the rungs, smallest first.
    """

    kind: Literal["ideas"]
    gates: bool = True
    at: tuple[Place, ...] = Field(default=(), max_length=5)
    wanted_gain: float | None = Field(default=None, gt=1, lt=10)
    power: float = Field(default=0.8, gt=0.05, lt=1)


class ReplicateStudy(_Study):
    """Seeds of the same run, where the noise between seeds is measured: cheap, middling and large, or in the cells `at`."""

    kind: Literal["replicates"]
    seeds: int = Field(default=5, ge=2, le=100)
    cells: int = Field(default=3, ge=1, le=20)
    at: tuple[Place, ...] = ()


class HoldoutStudy(_Study):
    """Runs that are kept out of every fit: forecast and registered first, trained afterwards, to see how good forecasts are.

    `runs` lists (params, tokens, seeds).
    """

    kind: Literal["holdout"]
    runs: tuple[Run, ...] = Field(min_length=1)


Study = Annotated[
    ScalingStudy | HyperparameterStudy | MixtureStudy | VocabularyStudy | ContextStudy | SparsityStudy | IdeasStudy
    | ReplicateStudy | HoldoutStudy,
    Field(discriminator="kind"),
]  # fmt: skip
STUDIES: dict[str, type[Table]] = {
    "scaling": ScalingStudy, "hyperparameters": HyperparameterStudy, "mixture": MixtureStudy, "vocabulary": VocabularyStudy,
    "context": ContextStudy, "sparsity": SparsityStudy, "ideas": IdeasStudy, "replicates": ReplicateStudy,
    "holdout": HoldoutStudy,
}  # fmt: skip
