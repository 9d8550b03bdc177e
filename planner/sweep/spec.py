"""The question as a file: a sweep in TOML, checked key by key."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from planner.costs.accelerators import Accelerator, find_accelerator
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.catalog import find_model
from planner.models.huggingface import read_config
from planner.quantities import Budget, TokenBound, parse_budget, parse_count, parse_tokens
from planner.text import short


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
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True, pattern=r"^[^\x00]*$")]
Question = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True, pattern=r"^[^\x00]*$")]
Whole = Annotated[int, Field(gt=0, strict=True)]
Rate = Annotated[float, Field(ge=0, le=0.3, strict=True)]


SMALLEST_SPAN = 2.0  # of sizes: three levels in less cannot show an exponent


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Final(_Table):
    """The run all this is for; tokens raw, hours on `count` accelerators."""

    model: Name
    tokens: Amount
    accelerator: Name
    count: Whole
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
    count: Whole
    max_days_per_run: float = Field(default=7.0, gt=0, strict=True)

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        low, high = self.params_active
        if high < SMALLEST_SPAN * low and low < high:
            _complain(
                f"params_active: {low:.4g} to {high:.4g} is less than a factor of {SMALLEST_SPAN:g}",
                "a law needs sizes that differ: widen the range",
            )
        if low >= high:
            _complain(
                f"params_active: the size range {low:.4g} to {high:.4g} is empty",
                'give the smaller size first: ["1B", "7B"]',
            )
        for size in (low, high):
            least, most = (bound.tokens(size) for bound in self.tokens)
            if least >= most:
                _complain(
                    f"tokens: the range {least:.4g} to {most:.4g} is empty at {size:.4g} active parameters",
                    'give the smaller amount first, as in ["20 per param", "1T"], or lower params_active',
                )
        return self


class Lab(_Table):
    """Where the runs run; the simulated lab's noise is the sd of ln loss at 1B, its rates are fractions of runs."""

    kind: Literal["simulated"] = "simulated"
    noise: float = Field(default=0.002, ge=0, le=0.1, strict=True)
    failure_rate: Rate = 0.03
    divergence_rate: Rate = 0.01
    mistuned_rate: Rate = 0.03


class Study(_Table):
    """A share of the budget and what it is for."""

    kind: Literal["scaling", "hyperparameters", "ideas"]
    share: float = Field(gt=0, le=1, strict=True)
    design: Literal["optimal", "ladder"] = "optimal"


class Idea(_Table):
    """A change to test; `expected_gain` is a prior guess of its compute-equivalent gain (1.05 saves 5 %)."""

    name: Name
    expected_gain: float | None = Field(default=None, gt=0, lt=10, strict=True)


class SweepFile(_Table):
    """Every key a sweep file may have."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")
    question: Question
    seed: int = Field(default=0, ge=0, strict=True)
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
        names = [idea.name.casefold() for idea in self.idea]
        twice = {name for name in names if names.count(name) > 1} | ({"baseline"} & set(names))
        if twice:
            _complain(f"idea: the name {min(twice)!r} is taken", "give each idea a name of its own")
        return self


@dataclass(frozen=True)
class Sweep:
    """A checked sweep file with model and accelerator read, where it came from and a hash of its bytes and of both."""

    file: SweepFile
    model: Architecture
    accelerator: Accelerator
    source: str
    sha256: str


def read_sweep(path: str | Path) -> Sweep:
    """Read and check a sweep file; InputError names the file, the key, the value and what to try."""
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}", "`planner init` writes a first sweep to edit")
    content = path.read_bytes()
    try:
        raw = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}", "quote texts, and write one key = value a line") from None
    try:
        file = SweepFile.model_validate(raw)
    except ValidationError as error:
        raise _translate(path, raw, error) from None
    try:
        accelerator = find_accelerator(file.final.accelerator, _beside(path, file.final.accelerator))
        model = _model(path, file.final.model)
    except InputError as error:
        raise InputError(f"{path}: final: {error.message}", error.hint) from None
    digest = hashlib.sha256(content + repr((model, accelerator)).encode("utf-8")).hexdigest()
    return Sweep(file, model, accelerator, str(path), digest)


def _model(path: Path, name: str) -> Architecture:
    text = _beside(path, name)
    if text is not None and name.endswith(".json"):
        return read_config(text, name).architecture
    return find_model(name, text)


def _beside(path: Path, name: str) -> str | None:
    """What the file `name` beside the sweep holds; None for a catalog name."""
    if not name.endswith((".toml", ".json")):
        return None
    beside = path.parent / name
    if not beside.is_file():
        raise InputError(f"no file {beside}", "give a path relative to the sweep, or a catalog name")
    try:
        return beside.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{beside}: not UTF-8: {error}", "save it as UTF-8") from None


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
    if first["type"] == "missing" and isinstance(first["loc"][-1], int):
        where = ".".join(map(str, first["loc"][:-1]))
        return InputError(f"{path}: {where} has too few values", "two are wanted, the smallest and the largest")
    if first["type"] == "missing":
        return InputError(f"{path}: {where} is missing", f"add it; {COMPLETE}")
    if first["type"] == "quantity":
        return InputError(f"{path}: {where + ': ' if where else ''}{context['text']}", context["hint"])
    if where == "name" and first["type"] == "string_pattern_mismatch":
        return InputError(f"{path}: name = {short(repr(first['input']))}", "use letters, digits, _ . - and no path")
    says = _SAYS.get(first["type"], f"{first['msg'][0].lower()}{first['msg'][1:]}")
    return InputError(f"{path}: {where} = {short(repr(first['input']))}: {says}", COMPLETE)


COMPLETE = "`planner init` writes a complete sweep file to compare with"
_SAYS = {
    "too_long": "two values are wanted, the smallest and the largest",
    "too_short": "at least one is wanted",
    "tuple_type": "two values are wanted, the smallest and the largest",
    "model_type": "a table is wanted, as in [final]",
    "model_attributes_type": "a table is wanted, as in [final]",
    "string_too_long": "it is too long",
    "string_too_short": "it is empty",
    "string_pattern_mismatch": "it holds a NUL character",
}


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "final": Final, "price": Price, "exploration": Exploration, "lab": Lab, "study": Study, "idea": Idea,
    }  # fmt: skip
    table = tables.get(str(location[0]), SweepFile) if location else SweepFile
    return [field.alias or name for name, field in table.model_fields.items()]
