"""The pictures of a fit show the fit's own numbers."""

from dataclasses import replace

import numpy as np
import pytest
from truths import TRUTHS, noisy

from planner.decisions.allocation import allocate
from planner.fitting.fit import fit
from planner.fitting.predict import predict
from planner.report.fit_figures import isoflop_figure, law_figure, letters_figure, picture, pictures
from planner.report.forecast_figures import allocation_figure, backtest_figure, extrapolation_figure
from planner.runs.columns import Count
from planner.runs.sample import Sample


@pytest.fixture(scope="module")
def runs():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.003, 1)
    loss[4] *= 1.1
    return Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ())


@pytest.fixture(scope="module")
def made(runs):
    return fit(runs)


def line(axes, label):
    return next(item for item in axes.get_lines() if str(item.get_label()).startswith(label))


def points(axes, label):
    return next(item for item in axes.collections if str(item.get_label()).startswith(label)).get_offsets()


def test_the_law_is_drawn_at_its_losses_and_the_outlier_is_ringed(runs, made):
    figure = law_figure(made, runs)
    top, bottom = figure.axes[:2]
    drawn = line(top, "law at 20")
    params = np.sqrt(drawn.get_xdata() / 120)
    np.testing.assert_allclose(drawn.get_ydata(), made.law(params, 20 * params), rtol=1e-9)
    assert points(top, "beyond 5").tolist() == [[runs.flops[4], runs.loss[4]]]
    residual = np.log(runs.loss) - np.log(made.law(runs.params, runs.tokens))
    np.testing.assert_allclose(np.sort(bottom.collections[0].get_offsets()[:, 1]), np.sort(residual))
    assert "30 runs" in figure.get_suptitle()


def test_runs_outside_the_window_are_hollow(runs):
    from planner.fitting.recipe import default_recipe

    made = fit(runs, replace(default_recipe(), window=100.0))
    assert made.n_windowed_out > 0
    assert len(points(law_figure(made, runs).axes[0], "not fitted")) == made.n_windowed_out


def test_the_bands_are_the_intervals_that_predict_gives(runs, made):
    axes = extrapolation_figure(made, runs).axes[0]
    law = line(axes, "coupled law")
    end = law.get_xdata()[-1]
    assert end == pytest.approx(100 * runs.flops.max())
    best = made.law.optimum(end)
    found = predict(made, params=best.params, tokens=best.tokens)
    assert law.get_ydata()[-1] == pytest.approx(found.loss)
    for label, (low, high) in (
        ("90% interval of the mean", found.interval_mean),
        ("90% interval of one", found.interval_run),
    ):
        band = next(item for item in axes.collections if item.get_label().startswith(label)).get_paths()[0].vertices
        at_end = band[np.isclose(band[:, 0], end)][:, 1]
        assert (at_end.min(), at_end.max()) == pytest.approx((low, high))


def test_what_is_not_supported_is_shaded(runs, made):
    near = replace(made, reach=replace(made.reach, limit=5.0))
    labels = [str(patch.get_label()) for patch in extrapolation_figure(near, runs).axes[0].patches]
    assert "not supported by the backtest" in labels
    far = replace(made, reach=replace(made.reach, limit=1e4))
    assert not extrapolation_figure(far, runs).axes[0].patches


def test_a_target_is_shown_where_it_is_foretold(made):
    found = predict(made, params=1e10, tokens=5e11)
    figure = extrapolation_figure(made, None, target=found)
    star = figure.axes[0].containers[0].lines[0]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (pytest.approx(3e22), pytest.approx(found.loss))
    assert f"{found.loss:.3f}" in figure.get_suptitle()


def test_the_best_size_is_the_lowest_of_its_curve(made):
    found = allocate(made, flops=1e22)
    axes = allocation_figure(made, found).axes[0]
    curve, star = line(axes, "coupled law"), line(axes, "best")
    assert star.get_xdata()[0] == found.params
    assert curve.get_xdata()[np.argmin(curve.get_ydata())] == pytest.approx(found.params, rel=0.05)


def test_the_letters_show_draws_and_the_optimum(made):
    figure = letters_figure(made)
    assert len(figure.axes) == 6
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("alpha", "beta")
    cross = next(item for item in axes.get_lines() if item.get_marker() == "+")
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (made.law.alpha, made.law.beta)
    drawn = axes.collections[0].get_offsets()
    np.testing.assert_allclose(drawn[:, 0], made.uncertainty.draws[: len(drawn), 3])


def test_profiles_are_drawn_only_where_there_are_some(runs, made):
    assert isoflop_figure(made, runs) is None
    law = TRUTHS["hoffmann"]
    levels = np.repeat([1e19, 1e20, 1e21], 7)
    params = np.concatenate([law.optimum(level).params * np.geomspace(0.3, 3, 7) for level in (1e19, 1e20, 1e21)])
    sweep = Sample(
        params, levels / 6 / params, law(params, levels / 6 / params), Count.PARAMS, "", "nats_per_token", {}, ()
    )
    figure = isoflop_figure(fit(sweep), sweep)
    assert figure.get_suptitle() == "3 of 3 isoFLOP profiles have a sound minimum"


def test_the_backtest_is_drawn_row_by_row(made):
    assert backtest_figure((), 0.9) is None
    left, right = backtest_figure(made.backtest, made.level).axes
    held = [bar.get_height() for bar in right.patches]
    assert held == [row.coverage for row in made.backtest]
    assert [bar.get_height() for bar in left.patches[: len(held)]] == [row.p90_error for row in made.backtest]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_files_are_the_same_every_time_and_hold_no_date(runs, made, kind):
    once, twice = pictures(made, runs, kind), pictures(made, runs, kind)
    assert once == twice
    assert set(once) == {f"{name}.{kind}" for name in ("law", "letters", "extrapolation", "backtest")}
    assert all(b"<dc:date>" not in content for content in once.values())


def test_a_group_named_like_a_formula_or_a_tag_is_only_text(runs, made):
    named = replace(made, group="$x^2$ <b>&")
    content = picture("law", lambda: law_figure(named, runs), "svg").decode()
    assert "$x^2$ &lt;b&gt;&amp;: 30 runs" in content


def test_of_very_many_runs_some_are_drawn_and_that_is_said():
    rng = np.random.default_rng(0)
    params, tokens = (np.exp(rng.uniform(np.log(low), np.log(high), 4000)) for low, high in ((1e8, 3e9), (2e9, 2e11)))
    loss = TRUTHS["coupled"](params, tokens) * np.exp(0.003 * rng.normal(size=4000))
    many = Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ())
    figure = law_figure(fit(many), many)
    assert "3,000 of 4,000 drawn" in figure.get_suptitle()
    assert len(figure.axes[0].collections[0].get_offsets()) == 3000
