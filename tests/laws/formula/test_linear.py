"""Which letters are told to be linear, exponents, or of either sign."""

import pytest

from planner.laws.formula import parse
from planner.laws.formula.linear import free_letters, linear_letters, only_exponents, raising_exponents


@pytest.mark.parametrize(
    ("formula", "linear"),
    [
        ("E + A/x^alpha + B/z^beta", "E A B"),
        ("E + (A/x^alpha + B/z^beta)^k", "E"),
        ("E + A/x^a*(1 + (x/d)^(1/f))^(-c*f)", "E A"),
        ("c*(A*x + B*z)", "A B"),
        ("A*B*x", "A"),
        ("G*(log(x) - m)^2", "G"),
        ("a*x^2 + b*x + a*b", "a"),
        ("a/b + c", "a c"),
        ("-(a - x)*3", "a"),
        ("exp(a*x)", ""),
        ("((n/x)^(a/b) + d/z)^b", ""),
        ("a^1 + x", ""),
    ],
)
def test_linear_letters_are_found(formula, linear):
    root = parse(formula)
    letters = {"E", "A", "B", "G", "a", "b", "c", "d", "f", "k", "m", "n", "alpha", "beta"}
    assert linear_letters(root, letters) == tuple(linear.split())


def test_letters_that_are_exponents_alone_are_found():
    assert only_exponents(parse("E + A/x^alpha + alpha2*z^(b*c)"), {"E", "A", "alpha", "alpha2", "b", "c"}) == {
        "alpha",
        "b",
        "c",
    }
    assert only_exponents(parse("k*x^k"), {"k"}) == set()


def test_an_exponent_that_raises_a_variable_may_have_either_sign_but_not_one_that_divides_by_it():
    assert raising_exponents(parse("x^a + b/x^c + (d*x)^e + x^(-f)"), set("abcdef")) == {"a"}


def test_letters_in_bases_and_logarithms_are_positive():
    root = parse("a*exp(b*x) + log(x/c) + (d*x)^0.3 + (x - e)^2 + sqrt(g) + (x/h)^2 + (1 + exp(i*x))^-0.5")
    assert free_letters(root, set("abcdeghi")) == {"a", "b", "e", "i"}
