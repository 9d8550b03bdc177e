"""The question as a file: a sweep in TOML, checked key by key."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from planner.costs.accelerators import find_accelerator
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.catalog import find_model
from planner.quantities import Budget, TokenBound, parse_budget, parse_count, parse_tokens


def _checked(parse: Callable[[object], Any], positive: Callable[[Any], float]) -> BeforeValidator:
    """A pydantic validator that keeps our sentence and our hint."""

    def validate(value: object) -> Any:  # noqa: ANN401 - pydantic hands over what the file holds
        try:
            result = parse(value)
        except InputError as error:
            raise PydanticCustomError("quantity", "{text}", {"text": error.message, "hint": error.hint}) from None
        if positive(result) <= 0:
            raise PydanticCustomError(
                "quantity", "{text}", {"text": f"{value!r} is not above zero", "hint": "give a positive amount"}
            )
        return result

    return BeforeValidator(validate)


Amount = Annotated[float, _checked(parse_count, lambda x: x)]
AmountOrNone = Annotated[float, _checked(parse_count, lambda x: 1.0 if x == 0 else x)]
Tokens = Annotated[TokenBound, _checked(parse_tokens, lambda x: x.amount)]
Spend = Annotated[Budget, _checked(parse_budget, lambda x: x.amount)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Final(_Table):
    """The run all this is for; tokens raw, hours on `count` accelerators."""

    model: Name
    tokens: Amount
    accelerator: Name
    count: int = Field(gt=0)
    gpu_hours_per_trillion_tokens: Amount | None = None
    context_extension_gpu_hours: AmountOrNone = 0.0
    post_training_gpu_hours: AmountOrNone = 0.0


class Price(_Table):
    """Rent; without it the catalog's, with its date."""

    usd_per_gpu_hour: Amount | None = None


class Exploration(_Table):
    """What the small runs may cost and where they may lie; sizes are active parameters of the final model's family."""

    budget: Spend
    family: Literal["same"] = "same"
    params_active: tuple[Amount, Amount]
    tokens: tuple[Tokens, Tokens]
    count: int = Field(gt=0)
    max_days_per_run: float = Field(default=7.0, gt=0)

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        low, high = self.params_active
        if low >= high:
            _complain(
                f"params_active: the size range {low:.4g} to {high:.4g} is empty",
                'give the smaller size first: ["1B", "7B"]',
            )
        if self.tokens[0].tokens(low) >= self.tokens[1].tokens(low):
            _complain(
                "tokens: the range is empty at the smallest size",
                'give the smaller amount first: ["20 per param", "1T"]',
            )
        return self


class Lab(_Table):
    """Where the runs run; the simulated lab's noise is the sd of ln loss at 1B, its rates are fractions of runs."""

    kind: Literal["simulated"] = "simulated"
    noise: float = Field(default=0.002, ge=0, le=0.1)
    failure_rate: float = Field(default=0.03, ge=0, le=1)
    divergence_rate: float = Field(default=0.01, ge=0, le=1)
    mistuned_rate: float = Field(default=0.03, ge=0, le=1)


class Study(_Table):
    """A share of the budget and what it is for."""

    kind: Literal["scaling", "hyperparameters", "ideas"]
    share: float = Field(gt=0, le=1)
    design: Literal["optimal", "ladder"] = "optimal"


class Idea(_Table):
    """A change to test; `expected_gain` is a prior guess of its compute-equivalent gain (1.05 saves 5 %)."""

    name: Name
    expected_gain: float | None = Field(default=None, gt=0, lt=10)


class SweepFile(_Table):
    """Every key a sweep file may have."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")
    question: Name | Annotated[str, Field(max_length=500)]
    seed: int = Field(default=0, ge=0)
    final: Final
    price: Price = Price()
    exploration: Exploration
    lab: Lab = Lab()
    study: tuple[Study, ...] = Field(min_length=1)
    idea: tuple[Idea, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        kinds = [study.kind for study in self.study]
        if "scaling" not in kinds:
            _complain(
                "study: there is no scaling study", 'add [[study]] with kind = "scaling": the forecast rests on it'
            )
        if len(set(kinds)) < len(kinds):
            _complain(f"study: two of one kind among {', '.join(kinds)}", "merge them and add up their shares")
        total = sum(study.share for study in self.study)
        if total > 1 + 1e-9:
            _complain(f"study: the shares add up to {total:.4g}", "lower them to 1 or less in all")
        if ("ideas" in kinds) != bool(self.idea):
            _complain("idea: an ideas study and [[idea]] tables go together", "add the one that is missing")
        names = [idea.name for idea in self.idea]
        twice = {name for name in names if names.count(name) > 1} | ({"baseline"} & set(names))
        if twice:
            _complain(f"idea: the name {min(twice)!r} is taken", "give each idea a name of its own")
        return self


@dataclass(frozen=True)
class Sweep:
    """A checked sweep file with its model read, where it came from and the hash of its bytes."""

    file: SweepFile
    model: Architecture
    source: str
    sha256: str


def read_sweep(path: str | Path) -> Sweep:
    """Read and check a sweep file; InputError names the file, the key, the value and what to try."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file", "`planner init` writes a first sweep to edit")
    content = path.read_bytes()
    try:
        raw = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}", "quote texts, and write one key = value a line") from None
    try:
        file = SweepFile.model_validate(raw)
    except ValidationError as error:
        raise _translate(path, raw, error) from None
    find_accelerator(file.final.accelerator)
    return Sweep(file, _model(path, file.final.model), str(path), hashlib.sha256(content).hexdigest())


def _model(path: Path, name: str) -> Architecture:
    if not name.endswith(".toml"):
        return find_model(name)
    beside = path.parent / name
    if not beside.is_file():
        raise InputError(
            f"{path}: final.model: no file {beside}", "give a path relative to the sweep, or a catalog name"
        )
    return find_model(name, beside.read_text(encoding="utf-8"))


def _complain(text: str, hint: str) -> None:
    raise PydanticCustomError("quantity", "{text}", {"text": text, "hint": hint})


def _translate(path: Path, raw: dict[str, Any], error: ValidationError) -> InputError:
    # A mistyped key is also a missing one: name what was typed.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"] if part != "quantity")
    context = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        return InputError(
            f"{path}: unknown key {where}", f"did you mean {near[0]!r}?" if near else f"keys there: {', '.join(known)}"
        )
    if first["type"] == "missing":
        return InputError(f"{path}: {where} is missing", "add it; docs/design.md shows a complete sweep file")
    if first["type"] == "quantity":
        return InputError(f"{path}: {where + ': ' if where else ''}{context['text']}", context["hint"])
    shown = first.get("input")
    return InputError(
        f"{path}: {where} = {shown!r}: {first['msg'][0].lower()}{first['msg'][1:]}",
        "docs/design.md shows a complete sweep file",
    )


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "final": Final, "price": Price, "exploration": Exploration, "lab": Lab, "study": Study, "idea": Idea,
    }  # fmt: skip
    table = tables.get(str(location[0]), SweepFile) if location else SweepFile
    return [field.alias or name for name, field in table.model_fields.items()]
