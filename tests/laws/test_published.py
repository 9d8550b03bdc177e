"""Every published law written as a formula passes the same claims, at its own example."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from truths import SHARED, needs_shared

from planner.errors import InputError
from planner.fitting.descend import Box, Local, descend
from planner.laws.centre import Centre
from planner.laws.coupled import Coupled
from planner.laws.formula.grammar import parse
from planner.laws.formula.syntax import evaluate
from planner.laws.published import PUBLISHED
from planner.laws.published.compute_power import PF_DAY, ComputePower
from planner.laws.published.critical_batch import CriticalBatch
from planner.laws.published.data_constrained import DataConstrainedExcess
from planner.laws.published.data_mixture import data_mixture
from planner.laws.published.group_factors import group_factors
from planner.laws.published.multi_power import MOST_STAGES, multi_power
from planner.laws.published.over_training import OverTraining
from planner.laws.published.routed import Routed
from planner.laws.published.skaling import Skaling
from planner.laws.published.step_law import BestBatch, BestRate, LearningSurface
from planner.laws.published.tied import TiedChinchilla
from planner.laws.published.vocabulary import Vocabulary
from planner.laws.schedules import annealing_areas, binned_columns, cosine, stable_decay, stage_columns

FAMILIES = [data_mixture(("a", "b", "c", "d", "e")), multi_power(3), group_factors(("x",))]
STARTS = 8

every_law = pytest.mark.parametrize(
    "law",
    [*PUBLISHED, *FAMILIES],
    ids=[law.name for law in PUBLISHED] + [f"{law.name} of other size" for law in FAMILIES],
)
quoted = pytest.mark.parametrize(
    ("law", "published"),
    [(law, published) for law in PUBLISHED for published in law.published],
    ids=lambda value: value.name if isinstance(value, type) else value.source[-30:],
)


def example(law):
    """The example's law, its columns, and what the fitter takes of them."""
    columns = [law.example.columns[name] for name in law.variables]
    return law(**law.example.letters), columns, law.inputs(Centre.of(*columns), *columns)


def fitted(law, value):
    return np.log(value) if law.link == "log" else value


def nearby(law, seed):
    """Three thetas beside the example's, within the law's bounds, `(3, p)`."""
    truth, columns, _ = example(law)
    theta = truth.theta(Centre.of(*columns))
    off = 0.02 * np.random.default_rng(seed).normal(size=(3, theta.size)) * np.maximum(np.abs(theta), 0.1)
    off[:, [name in law.plain for name in law.letters]] *= 0.2
    return np.clip(theta + off, law.lower, law.upper)


def steps(theta):
    return 1e-5 * np.maximum(np.abs(theta[0]), 1e-2)[:, None] * np.eye(theta.shape[1])


@every_law
def test_theta_and_law_are_two_ways_to_write_the_same(law):
    truth, columns, x = example(law)
    centre = Centre.of(*columns)
    assert vars(law.from_theta(truth.theta(centre), centre)) == pytest.approx(dict(law.example.letters), rel=1e-12)
    np.testing.assert_allclose(law.gradient(truth.theta(centre), x)[0][0], fitted(law, truth(*columns)), rtol=1e-11)


@every_law
def test_the_example_lies_within_the_bounds(law):
    truth, columns, _ = example(law)
    theta = truth.theta(Centre.of(*columns))
    assert (theta >= law.lower).all()
    assert (theta <= law.upper).all()
    assert columns[0].size >= 2 * theta.size


@every_law
def test_the_gradient_agrees_with_differences(law):
    _, _, x = example(law)
    theta = nearby(law, seed=1)
    _, J = law.gradient(theta, x)
    for i, step in enumerate(steps(theta)):
        numeric = (law.gradient(theta + step, x)[0] - law.gradient(theta - step, x)[0]) / (2 * step[i])
        np.testing.assert_allclose(J[:, i], numeric, atol=1e-6 * max(1.0, np.abs(J[:, i]).max()))


@every_law
def test_the_curvature_agrees_with_differences_of_the_gradient(law):
    _, _, x = example(law)
    theta = nearby(law, seed=2)
    weight = np.random.default_rng(3).normal(size=(3, x.shape[1])) / x.shape[1]
    H = law.curvature(theta, x, weight)
    for i, step in enumerate(steps(theta)):
        change = (law.gradient(theta + step, x)[1] - law.gradient(theta - step, x)[1]) / (2 * step[i])
        numeric = np.einsum("sm,spm->sp", weight, change)
        scale = np.einsum("sm,spm->sp", np.abs(weight), np.abs(change)).max()
        np.testing.assert_allclose(H[:, i], numeric, atol=1e-6 * max(1.0, scale))


@every_law
def test_the_limits_are_as_documented(law):
    truth, columns, _ = example(law)
    assert law.example.limits
    middle = {name: column[column.size // 2] for name, column in zip(law.variables, columns, strict=True)}
    for limit in law.example.limits:
        at = {**middle, **limit.columns}
        expected = evaluate(parse(limit.formula), {**law.example.letters, **at})
        assert truth(*at.values()) == pytest.approx(float(expected), rel=1e-6), limit


@every_law
def test_it_falls_and_rises_as_documented(law):
    truth, columns, _ = example(law)
    before = truth(*columns)
    for sign, names in ((-1, law.example.falls), (1, law.example.rises)):
        for name in names:
            more = [column * (1 + 0.01 * (name == own)) for own, column in zip(law.variables, columns, strict=True)]
            change = sign * (truth(*more) - before)
            assert (change > -1e-12 * np.abs(before)).all(), name
            assert change.max() > 0, name


@every_law
def test_it_gives_itself_back_without_noise(law):
    truth, columns, x = example(law)
    y = fitted(law, truth(*columns))
    one = np.ones((1, y.size))

    def squares(theta, rows, newton):
        at = law.expand(theta, x)
        residual = y - at.f
        inner = residual if newton else np.zeros_like(residual)
        weight = np.broadcast_to(one, residual.shape)
        return Local(0.5 * (residual**2).sum(1), -at.pull(residual), at.hessian(weight, inner), at.square(weight))

    starts = law.search_starts(x, y, one[0], STARTS)
    found = descend(squares, starts, Box(law.lower, law.upper))
    best = law.from_theta(found.theta[np.argmin(found.value)], Centre.of(*columns))
    assert vars(best) == pytest.approx(dict(law.example.letters), rel=1e-6)


@every_law
def test_the_docstring_has_formula_and_source(law):
    assert "Source:" in law.__doc__
    assert "(self" not in law.__doc__
    for number in re.findall(r"[0-9]{4}\.[0-9]{5}", law.source):
        assert number in law.__doc__
    assert re.search(r"[0-9]{4}\.[0-9]{5}", law.source)
    if not law.published:
        assert re.search(r"so\s+none\s+are\s+given", law.__doc__), "say why no coefficients are given"


@quoted
def test_published_coefficients_give_a_finite_value(law, published):
    assert re.search(r"arXiv [0-9]{4}\.[0-9]{5}", published.source)
    _, columns, _ = example(law)
    value = law(**published.values)(*columns)
    assert np.isfinite(value).all()
    theta = law(**published.values).theta(Centre.of(*columns))
    assert (theta >= law.lower).all()
    assert (theta <= law.upper).all()


def test_names_are_unique_and_kebab_case():
    names = [law.name for law in PUBLISHED]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_kaplans_compute_law_crosses_its_data_law_against_published():
    # arXiv 2001.08361, section 6.3: L* about 1.7 nats at 1e4 PF-days.
    law = ComputePower(**ComputePower.published[0].values)
    assert law(1e4 * PF_DAY) == pytest.approx(1.7, abs=0.05)


def test_muennighoffs_params_for_unique_tokens_against_published():
    # arXiv 2305.16264: U_N = 0.051 U_D.
    values = DataConstrainedExcess.published[0].values
    assert (values["A"] / values["B"]) ** (1 / values["alpha"]) == pytest.approx(0.051, rel=0.01)
    law, base = DataConstrainedExcess(**values), TiedChinchilla(**TiedChinchilla.published[0].values)
    assert law(1e9, 1e11, 1e11) == pytest.approx(float(base(1e9, 1e11)))


@needs_shared
def test_gadres_errors_of_the_largest_runs_against_published():
    # arXiv 2403.08540, abstract and figure 1: 0.7 % for 1.4B params on 900B tokens, 0.7103 and 0.7320 % in the authors' code.
    runs = pd.read_csv(SHARED / "data" / "gadre2024.csv", index_col="run_id")
    law = OverTraining(**OverTraining.published[1].values)
    for run, error in (("rpj-open_lm_1b-32.0", 0.7103), ("rpj-open_lm_7b-1.0", 0.7320)):
        row = runs.loc[run]
        off = 100 * abs(float(law(row["params"], row["tokens"])) / row["loss"] - 1)
        assert off == pytest.approx(error, abs=2e-3)


def test_clarks_effective_size_against_published():
    # arXiv 2202.01169: 5M params with 128 experts are about 55M dense ones.
    law = Routed(**Routed.published[0].values)
    sizes = np.geomspace(5e6, 5e8, 2000)
    same = sizes[np.argmin(np.abs(law(sizes, 1.0) - law(5e6, 128.0)))]
    assert same == pytest.approx(55e6, rel=0.1)


def test_zhangs_two_laws_agree_in_these_units_against_published():
    # Shared facts: 22.91 D^.47 at 3,072M tokens and 621.34 N^.087 at 302M params, in sequences of 512.
    law = CriticalBatch(**CriticalBatch.published[0].values)
    assert law(3072e6) / 512 == pytest.approx(22.91 * 3072**0.47, rel=1e-12)
    assert law(3072e6) / 512 == pytest.approx(621.34 * 302**0.087, rel=0.05)


def test_step_laws_optimum_is_the_same_in_both_units_against_published():
    rate, batch = BestRate(**BestRate.published[0].values), BestBatch(**BestBatch.published[0].values)
    surface = LearningSurface(
        **{**LearningSurface.example.letters, "p": 0.713, "q": 0.307, "r": 0.571, "eta": 8.0e-4, "b": 3.0e5}
    )
    assert surface.best_rate(3e8, 4e10) == pytest.approx(float(rate(3e8, 4e10)), rel=0.02)
    assert surface.best_batch(4e10) == pytest.approx(float(batch(4e10)), rel=0.02)
    lowest = surface(3e8, 4e10, surface.best_rate(3e8, 4e10), surface.best_batch(4e10))
    for factor in (0.8, 1.25):
        assert surface(3e8, 4e10, factor * surface.best_rate(3e8, 4e10), surface.best_batch(4e10)) > lowest
        assert surface(3e8, 4e10, surface.best_rate(3e8, 4e10), factor * surface.best_batch(4e10)) > lowest


def test_taos_vocabulary_law_has_its_optimum_inside():
    # More embedding at the same compute: 6 (params) tokens is held, so there is a best vocabulary.
    law = Vocabulary(**Vocabulary.published[0].values)
    embedding = np.geomspace(1e6, 3e9, 400)
    value = law(3e9, embedding, 1.3e21 / 6 / (3e9 + embedding))
    assert 0 < np.argmin(value) < value.size - 1
    assert embedding[np.argmin(value)] / 3200 == pytest.approx(37e3, rel=0.05)  # arXiv 2407.13623, table 2, from memory


def test_skaling_is_the_coupled_law_in_other_letters():
    law = Skaling(**Skaling.example.letters)
    k = law.k
    same = Coupled(E=law.E, A=law.A**k, B=law.B**k, alpha=k * law.alpha, beta=k * law.beta, k=k)
    params, tokens = (Skaling.example.columns[name] for name in Skaling.variables)
    np.testing.assert_allclose(law(params, tokens), same(params, tokens), rtol=1e-12)


def test_the_over_training_law_is_the_tied_law_in_other_letters():
    law = OverTraining(**OverTraining.published[0].values)
    unit = 6**-law.eta
    same = TiedChinchilla(E=law.E, A=law.a * unit, B=law.b * unit, alpha=2 * law.eta)
    params, tokens = (OverTraining.example.columns[name] for name in OverTraining.variables)
    np.testing.assert_allclose(law(params, tokens), same(params, tokens), rtol=1e-12)


def test_the_annealing_area_is_the_double_sum():
    rates, decay = cosine(3e-4, 40), 0.9
    areas = annealing_areas(rates, decay=decay)
    falls = np.concatenate([[0.0], rates[:-1] - rates[1:]])
    double = [sum(falls[k] * decay ** (i - k) for i in range(s + 1) for k in range(i + 1)) for s in range(rates.size)]
    np.testing.assert_allclose(areas.annealing, double, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(areas.forward, np.cumsum(rates))


def test_the_annealing_area_leaves_the_warm_up_out():
    warm = np.concatenate([np.linspace(1e-5, 3e-4, 11), np.full(20, 3e-4)])
    assert annealing_areas(warm, warmup=10).annealing[-1] == 0
    assert annealing_areas(warm).annealing[-1] < 0


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_the_multi_power_law_is_the_sum_over_all_steps(stages):
    law = multi_power(stages)
    truth = law(**law.example.letters)
    rates = np.repeat(np.geomspace(3e-4, 2e-5, stages + 1), 7)
    columns = stage_columns(rates, stages)
    total = np.cumsum(rates)
    for step in range(rates.size):
        loss = truth.L_0 + truth.A * total[step] ** -truth.alpha
        for k in range(1, step + 1):
            power = 1 - (1 + truth.C * rates[k] ** -truth.gamma * (total[step] - total[k - 1])) ** -truth.beta
            loss -= truth.B * (rates[k - 1] - rates[k]) * power
        assert truth(*(columns[name][step] for name in law.variables)) == pytest.approx(loss, rel=1e-12)


SMOOTH = {
    "cosine": (cosine(3e-4, 3000), 5e-4),
    "decay": (stable_decay(3e-4, 3000, 900), 5e-4),
    "short, to a fiftieth": (cosine(1e-3, 800, end=0.02), 1.5e-3),
}


@pytest.mark.parametrize(("rates", "within"), SMOOTH.values(), ids=SMOOTH)
def test_a_smooth_schedules_curve_is_met_by_ten_groups(rates, within):
    law = multi_power(MOST_STAGES)
    total, columns = np.cumsum(rates), binned_columns(rates, MOST_STAGES)
    for published in law.published:
        truth = law(**published.values)
        for step in (10, rates.size // 2, rates.size - 1):
            k = np.arange(1, step + 1)
            area = total[step] - total[k - 1]
            powers = 1 - (1 + truth.C * rates[k] ** -truth.gamma * area) ** -truth.beta
            fallen = float(((rates[k - 1] - rates[k]) * powers).sum())
            loss = truth.L_0 + truth.A * total[step] ** -truth.alpha - truth.B * fallen
            assert truth(*(columns[name][step] for name in law.variables)) == pytest.approx(loss, rel=within)


def test_grouped_falls_are_exact_for_schedules_in_steps_and_refused_where_rates_rise():
    rates = np.repeat([3e-4, 2e-4, 1e-4], 50)
    for name, column in stage_columns(rates, 3).items():
        np.testing.assert_array_equal(binned_columns(rates, 3)[name], column)
    with pytest.raises(InputError, match="the rate rises at step 1"):
        binned_columns([1e-4, 2e-4, 3e-4], 2)
    assert binned_columns([1e-4, 2e-4, *cosine(3e-4, 50)], 2, warmup=2)["drop_1"][-1] > 0


def test_schedules_start_and_end_where_they_should():
    for rates in (cosine(3e-4, 100), stable_decay(3e-4, 100, 20)):
        assert rates.shape == (100,)
        assert rates[0] == pytest.approx(3e-4)
        assert rates[-1] == pytest.approx(3e-5)
        assert (np.diff(rates) <= 0).all()
    assert (stable_decay(3e-4, 100, 20)[:80] == 3e-4).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: annealing_areas([3e-4, 0.0]), r"rates\[1\] = 0.0 is not positive"),
        (lambda: annealing_areas([]), "are no schedule"),
        (lambda: annealing_areas([3e-4], decay=1.0), r"decay = 1.0 is not in \[0, 1\)"),
        (lambda: stage_columns(cosine(3e-4, 50), 3), "changes its rate 49 times after 0 steps, over the 3"),
        (lambda: data_mixture(["web"]), "web is no mixture"),
        (lambda: data_mixture(["web", "web"]), "web, web is no mixture"),
        (lambda: group_factors([]), "nothing is no list of groups"),
        (lambda: multi_power(0), "a multi-power law of 0 stages"),
        (lambda: multi_power(MOST_STAGES + 1), "a multi-power law of 11 stages"),
    ],
)
def test_refusals_say_what_is_wrong(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert caught.value.hint


def test_the_largest_multi_power_law_is_still_a_formula():
    assert len(multi_power(MOST_STAGES).variables) == 1 + 3 * MOST_STAGES


PAGE = Path(__file__).resolve().parents[2] / "docs" / "laws.md"


@pytest.mark.parametrize("law", PUBLISHED, ids=lambda law: law.name)
def test_the_page_of_laws_lists_it(law):
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{law.name}` |")]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0].strip("|").split(" | ")]
    assert cells[1] == f"`{law.formula}`"
    assert cells[2] == ", ".join(law.variables)
    assert cells[3] == law.source
    assert cells[4] == (str(len(law.published)) if law.published else "-")


def test_the_page_shows_a_law_in_one_file_that_works(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    file = tmp_path / "pruned.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location("pruned", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pruned", module)
    spec.loader.exec_module(module)
    for claim in (
        test_theta_and_law_are_two_ways_to_write_the_same,
        test_the_example_lies_within_the_bounds,
        test_the_gradient_agrees_with_differences,
        test_the_curvature_agrees_with_differences_of_the_gradient,
        test_the_limits_are_as_documented,
        test_it_falls_and_rises_as_documented,
        test_it_gives_itself_back_without_noise,
        test_the_docstring_has_formula_and_source,
    ):
        claim(module.Pruned)
