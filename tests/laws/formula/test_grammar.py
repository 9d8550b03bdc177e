"""Formulas: what is read, what is refused and where, and that nothing is ever run as Python."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import planner.laws.formula
from planner.errors import InputError
from planner.laws.formula import parse
from planner.laws.formula.grammar import DEEPEST, LONGEST, MOST_NODES
from planner.laws.formula.syntax import Binary, Call, Name, Negative, Number, evaluate, names, power_depth, size

NUMBERS = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
LEAVES = st.one_of(NUMBERS.map(Number), st.sampled_from(["E", "A", "params", "lr_peak", "_x1", "e5"]).map(Name))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Negative),
        st.builds(Call, st.sampled_from(["exp", "log", "sqrt"]), inner),
        st.builds(Binary, st.sampled_from(list("+-*/^")), inner, inner),
    ),
    max_leaves=12,
)


@given(TREES.filter(lambda tree: power_depth(tree) <= 4 and len(str(tree)) <= LONGEST))
def test_the_canonical_text_of_a_formula_parses_to_the_same_formula(tree):
    assert parse(str(tree)) == tree
    assert str(parse(str(tree))) == str(tree)


@given(st.text(alphabet="eElog xp(1.5)*^-+/_,;\n√", max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        tree = parse(text)
    except InputError as error:
        assert "\n" not in error.message
        assert error.hint
    else:
        assert parse(str(tree)) == tree


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("E + A/params^alpha+B/tokens ** beta", "E + A/params^alpha + B/tokens^beta"),
        ("-a^2", "-a^2"),
        ("(-a)^2", "(-a)^2"),
        ("a^-b", "a^(-b)"),
        ("a-(b-c)", "a - (b - c)"),
        ("((a-b))-c", "a - b - c"),
        ("a/(b/c)*2", "a/(b/c)*2"),
        ("1e9*x + .5", "1e+09*x + 0.5"),
        ("(a^b)^c", "(a^b)^c"),
        ("a^(b^c)", "a^(b^c)"),
        ("exp(-log(x)) * sqrt(2)", "exp(-log(x))*sqrt(2)"),
        ("\tE\n+\n A", "E + A"),
    ],
)
def test_a_formula_prints_itself_with_the_fewest_brackets(text, canonical):
    assert str(parse(text)) == canonical


@pytest.mark.parametrize("text", ["-2^2", "2^-1", "8/2/2", "2-3-4", "2*-3", "(2^3)^2", "2^(3^2)", "1 - -1", "-(2+3)*4"])
def test_values_are_those_of_python_arithmetic(text):
    assert evaluate(parse(text), {}) == pytest.approx(_python(ast.parse(text.replace("^", "**"), mode="eval").body))


def _python(node):
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.UnaryOp):
        return -_python(node.operand)
    left, right = _python(node.left), _python(node.right)
    return {
        ast.Add: left + right,
        ast.Sub: left - right,
        ast.Mult: left * right,
        ast.Div: left / right if right else np.nan,
        ast.Pow: left**right,
    }[type(node.op)]


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 1, "empty"),
        ("   ", 4, "empty"),
        ("E + A/params^", 14, "a value is missing"),
        ("E + (A/params^alpha", 5, "never closed"),
        ("E + A)/2", 6, "never opened"),
        ("E + A $ 2", 7, "'$'"),
        ("E + α", 5, "'α'"),
        ("E.real + 1", 2, "attribute"),
        ("().__class__", 3, "attribute"),
        ("() + E", 2, "a value is expected, not ')'"),
        ("E + 1.real", 7, "operator is missing before 'real'"),
        ("log(x, 2)", 6, "comma"),
        ("L = E + 1", 3, "equals sign"),
        ("sin(x) + E", 1, "'sin' is called"),
        ("E + __import__(x)", 5, "'__import__' is called"),
        ("E + A(params)", 5, "'A' is called"),
        ("E + log * 2", 5, "log needs a value in brackets"),
        ("2x + E", 2, "operator is missing before 'x'"),
        ("a b", 3, "operator is missing before 'b'"),
        ("(a b)", 4, "operator is missing before 'b'"),
        ("a^b^c", 4, "power of a power"),
        ("a**b**c", 5, "power of a power"),
        ("a^-b^c", 5, "power of a power"),
        ("a^(b)^c", 6, "power of a power"),
        ("a + * b", 5, "a value is expected, not '*'"),
        ("1e999 * a", 1, "too large"),
        ("x[0]", 2, "'['"),
        ("x; y", 2, "';'"),
        ("'x'", 1, "character"),
        ("x if y else z", 3, "operator is missing before 'if'"),
    ],
)
def test_a_refusal_says_where(text, position, words):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert f"position {position} " in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint


def test_a_formula_that_is_too_long_is_refused():
    with pytest.raises(InputError, match="10,000 characters, over the limit of 1,000"):
        parse("a" * 10_000)
    with pytest.raises(InputError, match=f"over the limit of {MOST_NODES}"):
        parse("+".join("a" * (MOST_NODES // 2 + 1)))


def test_nesting_is_bounded_without_a_recursion_error():
    for text in (
        "(" * 60 + "a" + ")" * 60,
        "-" * 60 + "a",
        "exp(" * 60 + "a" + ")" * 60,
        "a^" + "-" * 60 + "b",
        "(" * 900,
    ):
        with pytest.raises(InputError, match=f"nested more than {DEEPEST} deep"):
            parse(text)
    assert size(parse("(" * 49 + "a" + ")" * 49)) == 1


def test_powers_within_powers_are_bounded():
    assert power_depth(parse("(((a^b)^b)^b)^b")) == 4
    with pytest.raises(InputError, match="nests powers 5 deep"):
        parse("((((a^b)^b)^b)^b)^b")


def test_the_longest_formula_prints_and_compares_within_pythons_own_limit():
    tree = parse("+".join("a" * (MOST_NODES // 2)))
    assert tree == parse(str(tree))
    assert names(tree) == ("a",)
    assert sys.getrecursionlimit() == 1000


def test_the_package_evaluates_no_python():
    for path in Path(planner.laws.formula.__file__).parent.glob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        called = {func.id for func in calls if isinstance(func, ast.Name)}
        assert not called & {"eval", "exec", "compile", "__import__"}, path.name
