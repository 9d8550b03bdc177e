"""Laws that are formulas: ours as a class, the user's from text; fitted from nothing."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from worlds_of_formulas import CHINCHILLA, WORLDS, columns, fitted, recovered

from planner.errors import InputError
from planner.laws.formula import FromFormula, make_law

every_world = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)


@dataclass(frozen=True)
class Broken(FromFormula):
    """E + A/params^alpha (1 + (params/d)^(1/f))^(-c f)."""

    E: float
    A: float
    alpha: float
    d: float
    f: float
    c: float

    name: ClassVar[str] = "broken"
    formula: ClassVar[str] = "E + A/params^alpha*(1 + (params/d)^(1/f))^(-c*f)"
    source: ClassVar[str] = "a test"
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"f": (0.05, 1.0), "E": (0.1, 10.0)}


@every_world
@pytest.mark.parametrize("seed", [1001, 1002])
def test_a_law_is_recovered_from_noise_free_data_and_nothing_else(world, seed):
    truth = world.near(seed)
    found, value = fitted(world, truth, seed=seed)
    assert value < 1e-20
    assert recovered(found, truth), found


@every_world
def test_a_fit_of_noisy_data_is_no_worse_than_the_truth(world):
    noise, rows = 0.01, 60
    truth = world.near(7)
    _, value = fitted(world, truth, rows=rows, seed=7, noise=noise)
    residual = noise * np.random.default_rng(7).normal(size=rows)
    assert value < 0.5 * (residual**2).sum()


@pytest.mark.parametrize("unit", [1e-9, 1e6])
def test_starts_do_not_depend_on_the_units_of_the_variables(unit):
    law = make_law("E + A/params^alpha*(1 + (params/d)^(1/f))^(-c*f)", ["params"])
    params = np.geomspace(1e7, 1e10, 200)
    loss = np.log(law(**WORLDS["broken"].letters)(params))
    start = law.search_starts((params * unit)[None], loss, np.ones(200), 1)
    found = law.from_theta(start[0])
    assert found.d == pytest.approx(WORLDS["broken"].letters["d"] * unit, rel=1e-3)
    assert found.c == pytest.approx(0.25, rel=1e-3)


def test_starts_are_always_the_same_and_as_many_as_asked():
    law = make_law("E + A/params^alpha", ["params"])
    params = np.geomspace(1e7, 1e10, 30)
    y = np.log(1.7 + 400 / params**0.34)
    for keep in (1, 5):
        starts = law.search_starts(params[None], y, np.ones(30), keep)
        assert starts.shape == (keep, 3)
        np.testing.assert_array_equal(starts, law.search_starts(params[None], y, np.ones(30), keep))


def test_runs_of_no_weight_do_not_move_the_starts():
    law = make_law("E + A/params^alpha", ["params"])
    params = np.geomspace(1e7, 1e10, 30)
    y = np.log(1.7 + 400 / params**0.34)
    y[3] = 9.0
    start = law.search_starts(params[None], y, (np.arange(30) != 3) * 1.0, 1)
    found = law.from_theta(start[0])
    assert abs(found.E - 1.7) < 1e-6


def test_a_class_says_what_its_formula_says():
    assert Broken.letters == ("E", "A", "alpha", "d", "f", "c")
    assert Broken.variables == ("params",)
    assert Broken.plain == {"alpha", "f", "c"}
    assert Broken.linear == ("E", "A")
    assert Broken.theta_names == ("ln E", "ln A", "alpha", "ln d", "f", "c")
    np.testing.assert_allclose(Broken.lower, [np.log(0.1), -80, 1e-3, -80, 0.05, 1e-3])
    np.testing.assert_allclose(Broken.upper, [np.log(10), 80, 2.5, 80, 1.0, 2.5])


def test_theta_and_law_are_two_ways_to_write_the_same():
    law = Broken(0.5, 30.0, 0.2, 3e8, 0.3, 0.25)
    assert vars(Broken.from_theta(law.theta())) == pytest.approx(vars(law), rel=1e-14)
    params = np.geomspace(1e7, 1e10, 9)
    np.testing.assert_allclose(np.exp(Broken.gradient(law.theta(), params[None])[0][0]), law(params), rtol=1e-13)
    np.testing.assert_array_equal(law(params), law(params=params))
    np.testing.assert_array_equal(Broken.letter_forms(), np.eye(6))
    with pytest.raises(InputError, match="A = -3 is not positive"):
        Broken(0.5, -3.0, 0.2, 3e8, 0.3, 0.25).theta()
    with pytest.raises(TypeError, match="takes params"):
        law(params, params)


def test_a_users_law_is_a_frozen_dataclass_of_its_letters():
    law = make_law("E + A/params^alpha + B/tokens^beta", ["tokens", "params", "loss"], name="mine")
    assert (law.name, law.letters, law.variables) == ("mine", ("E", "A", "alpha", "B", "beta"), ("params", "tokens"))
    assert law(**CHINCHILLA)(1e9, 1e11) == pytest.approx(1.7 + 400 / 1e9**0.34 + 2000 / 1e11**0.37)
    with pytest.raises(dataclasses.FrozenInstanceError):
        law(**CHINCHILLA).E = 2.0
    assert law(**CHINCHILLA)([1e9, 1e10], 1e11).shape == (2,)


def test_signs_are_settled_by_the_runs_where_they_can_be():
    world = WORLDS["negative"]
    table = columns(200)
    law = make_law(world.formula, table)
    assert law.plain == {"E", "B", "beta", "a", "b"}
    used = [table[name] for name in law.variables]
    x, y = law.inputs(None, *used), np.log(law(**world.letters)(*used))
    signed = law.signed(x, y, np.ones(200))
    assert (signed.plain, signed.negative) == ({"beta"}, {"b"})
    assert signed.theta_names == ("ln E", "ln B", "beta", "ln a", "ln -b")
    assert signed.signed(x, y, np.ones(200)) is signed
    assert signed(**world.letters).theta()[signed.letters.index("b")] == pytest.approx(np.log(30))
    noise = np.random.default_rng(0).normal(size=200)
    assert "a" in law.signed(x, np.log(3 + 0 * y) + 0.01 * noise, np.ones(200)).plain


def test_letters_given_as_positive_are_held_by_their_logarithm():
    law = make_law("E + A*lr^2", ["lr"], positive=["E"])
    assert law.theta_names == ("ln E", "A")
    with pytest.raises(InputError, match="no letter 'Z'"):
        make_law("E + A*lr^2", ["lr"], positive=["Z"])


@pytest.mark.parametrize(
    ("formula", "message", "hint"),
    [
        ("E + A/N^alpha", "no name in the formula is a column: E, A, N, alpha", "columns: lr_peak, params, tokens"),
        ("E + A/param^alpha", "'param' is not a column", "did you mean 'params'"),
        ("3 + 2", "no name in the formula is a column: it has none", "columns"),
        ("params/tokens", "no letters to fit", "letters"),
        ("E + A/parms^alpha + tokens*B", "'parms' is not a column", "did you mean 'params'"),
        ("E + A/params^lambda", "'lambda' is neither a column", "otherwise"),
        ("E + source*params", "'source' is neither a column", "otherwise"),
        ("E + theta*params", "'theta' is neither a column", "otherwise"),
        ("E + __class__*params", "'__class__' is neither a column", "otherwise"),
    ],
)
def test_a_formula_that_cannot_be_a_law_is_refused(formula, message, hint):
    with pytest.raises(InputError) as caught:
        make_law(formula, ["params", "tokens", "lr_peak"])
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_column_outside_of_the_formulas_domain_is_refused_with_its_run():
    law = make_law("E + G*log(warmup)^2 + A/params^alpha", ["warmup", "params"])
    with pytest.raises(InputError, match=r"log\(warmup\) has no value at run 1 \(warmup = 0\)"):
        law.inputs(None, [1e9, 1e9], [1.0, 0.0])
    with pytest.raises(InputError, match="takes params, warmup, not 1 columns"):
        law.inputs(None, [1.0])
    with pytest.raises(InputError, match="params has no value at run 0"):
        law.inputs(None, [np.nan, 1e9], [1.0, 1.0])


def test_what_a_class_writes_must_be_its_fields_and_variables():
    @dataclass(frozen=True)
    class Wrong(FromFormula):
        """A letter that the formula lacks."""

        E: float
        Z: float
        formula: ClassVar[str] = "E + params"
        name: ClassVar[str] = "wrong"

    with pytest.raises(TypeError, match="letters"):
        Wrong.reading()
