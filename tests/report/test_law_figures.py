"""The picture of a law shows the law's own values."""

import numpy as np
import pytest

from planner.laws import LAWS
from planner.laws.published.example import crossed, spaced
from planner.report.fit_figures import picture
from planner.report.law_figures import is_log_spaced, law_figure, levels_along, middle_of
from planner.report.law_sheet import example_of

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


@every_law
def test_each_line_is_the_law_along_its_variable(law):
    example, _ = example_of(law)
    middle = middle_of({name: example.columns[name] for name in law.variables})
    drawn = panels(law_figure(law))
    assert [axes.get_xlabel() for axes in drawn] == list(law.variables)
    for axes in drawn:
        name = axes.get_xlabel()
        line = next(item for item in axes.get_lines() if item.get_label() == name)
        x, y = (np.asarray(values, float) for values in line.get_data())
        shown = np.isfinite(y)
        assert shown.mean() > 0.3
        expected = law(**example.letters)(**{**middle, name: x[shown]})
        np.testing.assert_allclose(y[shown], expected, rtol=1e-12)
        assert np.ptp(y[shown]) > 0


@every_law
def test_the_middle_is_a_run_of_the_design_and_lies_on_every_line(law):
    example, _ = example_of(law)
    columns = {name: example.columns[name] for name in law.variables}
    middle = middle_of(columns)
    assert np.all([columns[name] == middle[name] for name in columns], axis=0).any()
    value = float(law(**example.letters)(**middle))
    for axes in panels(law_figure(law)) if len(columns) > 1 else ():
        dot = next(item for item in axes.get_lines() if item.get_label() == "middle")
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (middle[axes.get_xlabel()], value)


@every_law
def test_words_stay_inside_the_picture(law):
    figure = law_figure(law)
    figure.draw_without_rendering()
    for text in (figure._suptitle, figure._supxlabel, figure._supylabel):
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width, text.get_text()
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height, text.get_text()


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_picture_is_the_same_every_time_and_holds_no_date(kind):
    once, twice = (picture("law", lambda: law_figure(LAWS["precision"]), kind) for _ in range(2))
    assert once == twice
    assert b"<dc:date>" not in once


def test_axes_are_logarithmic_where_the_design_is_spaced_by_ratios():
    scales = {axes.get_xlabel(): axes.get_xscale() for axes in law_figure(LAWS["learning-surface"]).axes}
    assert set(scales.values()) == {"log"}
    scales = [axes.get_xscale() for axes in panels(law_figure(LAWS["precision"]))]
    assert scales == ["log", "log", "linear", "linear", "linear"]
    assert is_log_spaced(spaced(1.0, 1e3, 5))
    assert not is_log_spaced(np.linspace(1.0, 1e3, 5))
    assert not is_log_spaced(np.array([0.0, 1.0, 10.0, 100.0]))


def test_values_over_a_decade_are_drawn_on_a_log_axis():
    assert panels(law_figure(LAWS["steps-to-loss"]))[0].get_yscale() == "log"
    assert panels(law_figure(LAWS["chinchilla"]))[0].get_yscale() == "linear"


def test_a_variable_is_drawn_where_the_design_goes_from_its_middle():
    columns = crossed(unique=spaced(1e8, 1e10, 3), epochs=(1.0, 10.0, 100.0))
    columns = {"unique": columns["unique"], "tokens": columns["unique"] * columns["epochs"]}
    middle = {"unique": 1e9, "tokens": 1e10}
    np.testing.assert_allclose(levels_along("tokens", columns, middle), [1e9, 1e10, 1e11])
    alone = {"x": np.array([1.0, 2.0, 3.0]), "y": np.array([4.0, 5.0, 6.0])}
    assert levels_along("x", alone, {"x": 2.0, "y": 5.0}).tolist() == [1.0, 2.0, 3.0]
    assert levels_along("x", {"x": np.array([3.0, 3.0])}, {"x": 3.0}).tolist() == [3.0, 24.0]


def test_a_group_column_is_drawn_as_two_points():
    axes = panels(law_figure(LAWS["group-factors"]))[2]
    assert axes.get_lines()[0].get_xdata().tolist() == [0.0, 1.0]
    assert axes.get_lines()[0].get_marker() == "s"
