"""The tables of a sweep file other than studies, and the file as a whole."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from planner.quantities import TokenBound
from planner.sweep.file.costs import Cost, require_past
from planner.sweep.file.studies import Study
from planner.sweep.file.types import (
    Amount,
    AmountOrNone,
    Name,
    PlainName,
    Positive,
    Rate,
    Spend,
    Table,
    Text,
    Tokens,
    Whole,
    complain,
)

SMALLEST_SPAN = 2.0  # of sizes: three levels in less cannot show an exponent


class Final(Table):
    """The run all this is for; tokens raw, hours on `count` accelerators.

    `precision` is that of its matrix products; measured hours hold whatever it is; fp16 and fp32 are modelled by the BF16 peak.
    `dense_equivalent_params` is the assumption of `family = "dense-equivalent"`: the dense size that would reach its loss.
    """

    model: Name
    tokens: Amount
    accelerator: Name
    count: Whole
    precision: Literal["bf16", "fp8", "fp4", "fp16", "fp32"] = "bf16"
    gpu_hours_per_trillion_tokens: Amount | None = None
    context_extension_gpu_hours: AmountOrNone = 0.0
    post_training_gpu_hours: AmountOrNone = 0.0
    dense_equivalent_params: Amount | None = None


class Target(Table):
    """A further run whose loss the design must predict, with its weight beside the final run's 1."""

    params_active: Amount
    tokens: Amount
    weight: float = Field(default=1.0, gt=0, le=100)


class Price(Table):
    """Rent in USD; without it the catalog's, with its date. `date` (YYYY-MM) says when it was quoted."""

    usd_per_gpu_hour: Amount | None = None
    date: str | None = Field(default=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    currency: Literal["USD"] = "USD"

    @model_validator(mode="after")
    def _quoted(self) -> Self:
        require_past("date", self.date)
        return self


class Exploration(Table):
    """What the small runs may cost and where they may lie; sizes are active parameters of the final model's family.

    `sizes` levels of size are equally spaced in logs, or `shapes` gives each one's (n_layers, d_model) or (n_layers, d_model,
    n_heads); data reach from 20 tokens per parameter to 1T tokens. `max_days_per_run`, `deadline_days`, `max_runs`,
    `max_runs_at_once`, `min_steps` (of a run) and `count` (accelerators) limit the plan; `exclude` removes cells by the
    `--where` grammar; `prior_runs` are tables of finished runs, already paid for, beside the sweep.
    """

    budget: Spend
    family: Literal["same", "dense", "dense-equivalent"] = "same"
    params_active: tuple[Amount, Amount] | None = None
    sizes: int = Field(default=7, ge=3, le=40)
    shapes: tuple[tuple[Whole, Whole] | tuple[Whole, Whole, Whole], ...] = Field(default=(), max_length=40)
    tokens: tuple[Tokens, Tokens] = (TokenBound(20.0, True), TokenBound(1e12, False))
    unique_tokens: Amount | None = None
    count: Whole
    max_days_per_run: float = Field(default=7.0, gt=0)
    deadline_days: float | None = Field(default=None, gt=0)
    max_runs: Whole | None = None
    max_runs_at_once: Whole | None = None
    min_steps: Whole | None = None
    min_tokens_per_param_spread: float = Field(default=8.0, ge=1)
    exclude: tuple[Text, ...] = ()
    prior_runs: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if (self.params_active is None) != bool(self.shapes):
            complain(
                "params_active: give the range of sizes or their shapes, one of them",
                'params_active = ["1B", "7B"], or shapes = [[16, 1024], [20, 1280], [24, 1536]] (layers, width)',
            )
        if self.params_active is None:
            self._shaped()
            return self
        low, high = self.params_active
        if high < SMALLEST_SPAN * low and low < high:
            complain(
                f"params_active: {low:.4g} to {high:.4g} is less than a factor of {SMALLEST_SPAN:g}",
                "a law needs sizes that differ: widen the range",
            )
        if low >= high:
            complain(
                f"params_active: the size range {low:.4g} to {high:.4g} is empty",
                'give the smaller size first: ["1B", "7B"]',
            )
        for size in (low, high):
            least, most = (bound.tokens(size) for bound in self.tokens)
            if least >= most:
                complain(
                    f"tokens: the range {least:.4g} to {most:.4g} is empty at {size:.4g} active parameters",
                    'give the smaller amount first, as in ["20 per param", "1T"], or lower params_active',
                )
        return self

    def _shaped(self) -> None:
        if "sizes" in self.model_fields_set:
            complain("sizes: the shapes are the sizes", "leave sizes out")
        if len(set(self.shapes)) < max(3, len(self.shapes)):
            complain(
                "shapes: fewer than three different shapes, or one is there twice", "a law needs sizes that differ"
            )


class OwnRule(Table):
    """A prescription of one's own: `lr_peak` and `batch_tokens` as (constant, power of N, power of D).

    N is active parameters without vocabulary, D training tokens; `params` and `tokens` are the ranges in which it was found,
    `source` says how.
    """

    lr_peak: tuple[Positive, float, float]
    batch_tokens: tuple[Positive, float, float]
    params: tuple[Amount, Amount]
    tokens: tuple[Amount, Amount]
    source: Text
    weight_decay: float = Field(default=0.1, ge=0, lt=10)
    warmup_steps: Whole = 2000


class Hyperparameters(Table):
    """Where learning rate, batch, warm-up and weight decay come from, and the schedule of every run.

    `rule` names a published rule; "mup" and "power-lines" transfer `base_lr` tuned at `base_width`; "fitted" reads the
    finished grid in `runs` (a table beside the sweep); "own" is written down in `own`. `schedule = "wsd"` keeps the rate
    constant until a cooldown of the last `cooldown` of the tokens; `trunk_correlation` is that of the noise of branches of one
    trunk.
    """

    rule: Literal["step-law", "deepseek", "porian", "three-term", "power-lines", "mup", "fitted", "own"] = "step-law"
    base_lr: float | None = Field(default=None, gt=0, lt=1)
    base_width: Whole | None = None
    runs: Name | None = None
    own: OwnRule | None = None
    precision: Literal["bf16", "fp8", "fp16", "fp32"] = "bf16"
    schedule: Literal["cosine", "wsd"] = "cosine"
    cooldown: float = Field(default=0.15, gt=0, lt=1)
    trunk_correlation: float = Field(default=0.5, ge=0, lt=1)
    context_length: Whole = 4096

    @model_validator(mode="after")
    def _complete(self) -> Self:
        based = self.rule in ("mup", "power-lines")
        if based and (self.base_lr is None or self.base_width is None):
            complain(
                f'rule: "{self.rule}" needs base_lr and base_width',
                "give the rate tuned on a small model, and its d_model",
            )
        if not based and (self.base_lr is not None or self.base_width is not None):
            complain(f'base_lr: "{self.rule}" has no base', 'leave base_lr and base_width out, or set rule = "mup"')
        if (self.rule == "fitted") != (self.runs is not None):
            complain('runs: rule = "fitted" and a table of finished runs go together', 'runs = "tuning.csv"')
        if (self.rule == "own") != (self.own is not None):
            complain('own: rule = "own" and [hyperparameters.own] go together', "lr_peak = [0.3, -0.4, 0.0]")
        return self


class Lab(Table):
    """Where the runs run.

    The simulated lab's noise is the sd of ln loss at 1B, its rates are fractions of runs. The local lab trains here: on the
    Python standard library's sources or a `corpus` (a text or a folder beside the sweep), at most `epochs` times; `logs` (a
    file or folder beside the sweep) holds runs that were trained before and need not be again.
    """

    kind: Literal["simulated", "local"] = "simulated"
    noise: float = Field(default=0.002, ge=0, le=0.1, strict=True)
    failure_rate: Rate = 0.03
    divergence_rate: Rate = 0.01
    mistuned_rate: Rate = 0.03
    corpus: Name | None = None
    epochs: float = Field(default=4.0, gt=0, le=100)
    logs: Name | None = None

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        others = {
            "simulated": {"corpus", "epochs", "logs"},
            "local": {"noise", "failure_rate", "divergence_rate", "mistuned_rate"},
        }
        if strange := self.model_fields_set & others[self.kind]:
            complain(f'{min(strange)}: a lab of kind = "{self.kind}" has no such thing', "leave it out")
        return self


class Idea(Table):
    """A change to test; `expected_gain` is a prior guess of its compute-equivalent gain (1.05 saves 5 %)."""

    name: Name
    expected_gain: float | None = Field(default=None, gt=0, lt=10, strict=True)


class SweepFile(Table):
    """Every key a sweep file may have."""

    schema_version: Literal[1] = Field(alias="schema")
    name: PlainName
    question: Text
    seed: int = Field(default=0, ge=0, strict=True)
    final: Final
    target: tuple[Target, ...] = ()
    price: Price = Price()
    exploration: Exploration
    hyperparameters: Hyperparameters = Hyperparameters()
    lab: Lab = Lab()
    study: tuple[Study, ...] = Field(min_length=1)
    idea: tuple[Idea, ...] = ()
    cost: tuple[Cost, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        kinds = [study.kind for study in self.study]
        if "scaling" not in kinds:
            complain(
                "study: there is no scaling study", 'add [[study]] with kind = "scaling": the forecast rests on it'
            )
        names = [study.name or study.kind for study in self.study]
        if len(set(names)) < len(names):
            complain(f"study: two of one name among {', '.join(names)}", "give each a name of its own, or merge them")
        for kind in ("scaling", "ideas"):
            if kinds.count(kind) > 1:
                complain(f"study: two {kind} studies", "merge them and add up their shares")
        total = sum(study.share or 0 for study in self.study)
        if total > 1 + 1e-9:
            complain(f"study: the shares add up to {total:.4g}", "lower them to 1 or less in all")
        if ("ideas" in kinds) != bool(self.idea):
            complain("idea: an ideas study and [[idea]] tables go together", "add the one that is missing")
        self._named_once()
        return self

    def _named_once(self) -> None:
        names = [idea.name.casefold() for idea in self.idea]
        twice = {name for name in names if names.count(name) > 1} | ({"baseline"} & set(names))
        if twice:
            complain(f"idea: the name {min(twice)!r} is taken", "give each idea a name of its own")
