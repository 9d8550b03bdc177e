"""Figures: the same bytes, escaped, ids of their own."""

import xml.etree.ElementTree as ET

from matplotlib.figure import Figure

from planner.report.svg import styled, to_svg


def draw(name: str, label: str = "x") -> str:
    with styled(name):
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2])
        axes.set_xlabel(label, parse_math=False)
        return to_svg(figure, name, 'a "title" <with> & all')


def test_the_same_figure_gives_the_same_bytes():
    assert draw("one") == draw("one")


def test_text_is_escaped_and_the_result_is_well_formed():
    text = draw("one", "<script>alert(1)</script>")
    assert "<script" not in text
    root = ET.fromstring(text)
    assert root.get("aria-label") == 'a "title" <with> & all'


def test_two_figures_share_no_id():
    ids = [
        {element.get("id") for element in ET.fromstring(draw(name)).iter() if element.get("id")}
        for name in ("one", "two")
    ]
    assert ids[0]
    assert not ids[0] & ids[1]
