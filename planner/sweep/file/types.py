"""Types of the sweep file's values: quantities as people write them, names, rates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from planner.errors import InputError
from planner.quantities import Budget, TokenBound, parse_budget, parse_count, parse_tokens


def complain(text: str, hint: str) -> NoReturn:
    """Refuse a value with our sentence and our hint, which `read_sweep` puts behind the file's name."""
    raise PydanticCustomError("quantity", "{text}", {"text": text, "hint": hint})


def _checked(parse: Callable[[object], Any], positive: Callable[[Any], float]) -> BeforeValidator:
    def validate(value: object) -> Any:  # noqa: ANN401 - pydantic hands over what the file holds
        try:
            result = parse(value)
        except InputError as error:
            complain(error.message, error.hint)
        if positive(result) <= 0:
            complain(f"{value!r} is not above zero", "give a positive amount")
        return result

    return BeforeValidator(validate)


Amount = Annotated[float, _checked(parse_count, lambda x: x)]
AmountOrNone = Annotated[float, _checked(parse_count, lambda x: 1.0 if x == 0 else x)]
Tokens = Annotated[TokenBound, _checked(parse_tokens, lambda x: x.amount)]
Spend = Annotated[Budget, _checked(parse_budget, lambda x: x.amount)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True, pattern=r"^[^\x00]*$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True, pattern=r"^[^\x00]*$")]
PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]
Whole = Annotated[int, Field(gt=0, strict=True)]
Rate = Annotated[float, Field(ge=0, le=0.3, strict=True)]
Positive = Annotated[float, Field(gt=0)]
Factor = Annotated[float, Field(gt=0, le=100)]
Share = Annotated[float, Field(gt=0, le=1, strict=True)]


class Table(BaseModel):
    """A table of the sweep file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
