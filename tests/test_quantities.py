"""Numbers as people write them are read exactly, and what is not one is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.quantities import (
    SUFFIXES,
    Budget,
    TokenBound,
    Unit,
    dollars,
    human,
    parse_budget,
    parse_count,
    parse_tokens,
    percent,
)

quickly = settings(max_examples=100, deadline=None, derandomize=True)
letters = st.sampled_from([letter for letter in SUFFIXES if letter])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("14.8T", 14.8e12),
        ("2.788M", 2_788_000),
        ("180K", 180_000),
        ("1e24", 1e24),
        ("671b", 671e9),
        ("5 G", 5e9),
        ("1E", 1e18),
        (" 1,000,000 ", 1e6),
        ("1_000", 1000),
        (".5M", 5e5),
        ("-2K", -2000),
        (671_026_419_200, 671_026_419_200),
        (2.5, 2.5),
    ],
)
def test_a_count_is_read_exactly(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(("text", "unit"), [("14.8Q", "Q"), ("14.8 GB", "GB"), ("3 tokens", "tokens"), ("5%", "%")])
def test_an_unknown_unit_is_refused_by_name(text, unit):
    with pytest.raises(InputError, match=f"'{text}' has the unknown unit '{unit}'"):
        parse_count(text)


@pytest.mark.parametrize(
    "value",
    ["", "  ", "nan", "inf", "-inf", "T", "many", "--3", ",5", math.nan, math.inf, True, False, None, [1], b"1"],
)
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(InputError, match="is not a number") as refusal:
        parse_count(value)
    assert repr(value) in refusal.value.message
    assert "14.8T" in refusal.value.hint


@pytest.mark.parametrize("value", ["1e400", "-1e400", "1e300Y", 10**400, "1e999999999", "1e99999999999999999999"])
def test_a_number_beyond_a_float_is_refused(value):
    with pytest.raises(InputError, match="is not a finite number"):
        parse_count(value)


@pytest.mark.parametrize("value", ["14,8T", "1,5", "1,,000", "1,00,0"])
def test_a_comma_that_groups_no_thousands_is_refused(value):
    with pytest.raises(InputError, match=value):
        parse_count(value)


@quickly
@given(st.integers(-(10**15), 10**15), letters, st.sampled_from(["", " "]), st.booleans())
def test_an_integer_with_a_suffix_goes_round(number, letter, space, lower):
    text = f"{number}{space}{letter.lower() if lower else letter}"
    assert parse_count(text) == float(number * 10 ** SUFFIXES[letter])


@quickly
@given(st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_itself(number):
    assert parse_count(number) == float(number)
    assert parse_count(repr(number)) == float(number)


@quickly
@given(st.text() | st.from_regex(r"[-+]?[\d.,_]{1,6}([eE][-+]?\d{1,20})? ?[kMbTx$]?( per param| final| FLOPs)?"))
def test_any_text_is_a_number_or_an_input_error(text):
    for parse, amount in ((parse_count, float), (parse_tokens, vars), (parse_budget, vars)):
        try:
            found = parse(text)
        except InputError as refusal:
            assert refusal.message
            assert refusal.hint
        else:
            assert math.isfinite(amount(found) if amount is float else found.amount)


@quickly
@given(st.floats(1.0, 1e30))
def test_what_human_writes_is_within_half_a_digit(value):
    assert parse_count(human(value, 4)) == pytest.approx(value, rel=0.5e-3)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (14.8e12, 3, "14.8T"),
        (2.788e6, 4, "2.788M"),
        (180e3, 3, "180K"),
        (3.29e24, 3, "3.29e24"),
        (999_960, 3, "1M"),
        (999, 3, "999"),
        (0, 3, "0"),
        (-5e9, 3, "-5B"),
        (math.nan, 3, "-"),
        (math.inf, 3, "-"),
    ],
)
def test_human_writes_what_people_read(value, digits, text):
    assert human(value, digits) == text


def test_dollars_and_percent_for_people():
    assert dollars(5.576e6) == "$5.576M"
    assert dollars(math.nan) == "-"
    assert percent(0.0123) == "1.23%"


@pytest.mark.parametrize(
    ("text", "bound", "tokens_at_1b"),
    [
        ("20 per param", TokenBound(20, True), 20e9),
        ("20 tokens per param", TokenBound(20, True), 20e9),
        ("1.5 per parameter", TokenBound(1.5, True), 1.5e9),
        ("1T", TokenBound(1e12, False), 1e12),
        ("14.8T tokens", TokenBound(14.8e12, False), 14.8e12),
        (5e9, TokenBound(5e9, False), 5e9),
    ],
)
def test_tokens_are_a_count_or_per_parameter(text, bound, tokens_at_1b):
    assert parse_tokens(text) == bound
    assert bound.tokens(1e9) == tokens_at_1b


@pytest.mark.parametrize("text", ["per param", "20 per gpu", "tokens", True])
def test_tokens_of_another_kind_are_refused(text):
    with pytest.raises(InputError, match=r"is not a number|unknown unit"):
        parse_tokens(text)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("3x final", Budget(3, Unit.FINAL)),
        ("2.5 X Final", Budget(2.5, Unit.FINAL)),
        ("1e24 FLOPs", Budget(1e24, Unit.FLOPS)),
        ("5M GPU-hours", Budget(5e6, Unit.GPU_HOURS)),
        ("1 gpu hour", Budget(1, Unit.GPU_HOURS)),
        ("$10M", Budget(10e6, Unit.USD)),
        ("10M dollars", Budget(10e6, Unit.USD)),
    ],
)
def test_a_budget_says_what_it_counts(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize("value", ["1e24", "", "10 apples", "3x", 1e24, None])
def test_a_budget_that_does_not_say_what_it_counts_is_refused(value):
    with pytest.raises(InputError, match="is not a budget") as refusal:
        parse_budget(value)
    assert "3x final" in refusal.value.hint


@pytest.mark.parametrize("text", ["$", "x final", "many FLOPs", "10Q GPU-hours"])
def test_a_budget_without_a_number_is_refused(text):
    with pytest.raises(InputError, match=r"is not a number|unknown unit"):
        parse_budget(text)
