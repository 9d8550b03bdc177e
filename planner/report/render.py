"""A summary as a page and as Markdown: everything escaped, every number bound to its place in report.json."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from planner.quantities import dollars, human, percent, times
from planner.report.caveats import sentence
from planner.report.published import UNITS, Case, Scope
from planner.report.sensitivity import WORDS
from planner.text import visible

DASH = "–"
FORMATS: dict[str, Callable[[float], str]] = {
    "human": human, "hours": lambda v: human(v, 4), "dollars": dollars, "count": lambda v: f"{v:,.0f}",
    "loss": lambda v: f"{v:.3f}",
    "percent": percent, "percent0": lambda v: percent(v, 0), "percent1": lambda v: percent(v, 1), "number": lambda v: f"{v:.6g}",
    "rate": lambda v: f"{v:.2e}", "times": times,
    "figures": lambda v: f"{v:.3g}", "one": lambda v: f"{v:.1f}",
    "zero": lambda v: f"{v:.0f}", "thousandth": lambda v: f"{v / 1000:,.0f}" if v >= 1e5 else f"{v / 1000:.3g}",
    "letter": lambda v: f"{v:.4g}", "cents": lambda v: f"${v:.2f}",
}  # fmt: skip
WIDEST = 640  # of the page's two bars, in their own units


def render_html(
    summary: dict[str, Any], figures: dict[str, tuple[str, str]], rows: dict[str, Any], *, redacted: bool
) -> str:
    """The page: one file, no request, a script and a style whose hashes its policy names."""
    css, js = (_template(name).strip() for name in ("page.css", "page.js"))
    # What our figures hold is escaped by matplotlib; our own script and style are constants.
    return _environment(html=True).get_template("page.html.j2").render(
        **_context(summary, redacted=redacted),
        figures={name: [Markup(svg) for svg in pair] for name, pair in figures.items()},  # noqa: S704
        css=Markup(css),  # noqa: S704
        js=Markup(js),  # noqa: S704
        policy=f"default-src 'none'; script-src '{_hash(js)}'; style-src '{_hash(css)}'; base-uri 'none'; form-action 'none'",
        ledger_rows=rows,
        data=_data,
    )  # fmt: skip


def render_markdown(summary: dict[str, Any], *, redacted: bool) -> str:
    """The same in short, as Markdown."""
    return _environment(html=False).get_template("report.md.j2").render(**_context(summary, redacted=redacted))


def render_ledgers(found: Sequence[Case]) -> str:
    """A page of published cases by scope: no script, no request, the same bytes every time."""
    css = _template("page.css").strip()
    low, high = (f([case.ratio for case in found]) for f in (min, max))
    return _environment(html=True).get_template("ledgers.html.j2").render(
        cases=found, scopes=[(scope, mine) for scope in Scope if (mine := [case for case in found if case.scope is scope])],
        units=UNITS, times=times, dollars=dollars, lowest=low, highest=high,
        amount_of=lambda value: human(value, 3 if value >= 1e15 else 6),
        place=lambda ratio: round(160 * (math.log10(ratio) + 3), 1), css=Markup(css),  # noqa: S704 - a constant of ours
        policy=f"default-src 'none'; style-src '{_hash(css)}'; base-uri 'none'; form-action 'none'",
    )  # fmt: skip


def _context(summary: dict[str, Any], *, redacted: bool) -> dict[str, Any]:
    hours = {
        "spent": summary["exploration"]["gpu_hours"],
        "due": summary["completion"]["gpu_hours"]["p50"],
        "once": summary["final"]["gpu_hours"],
    }
    base, bars = summary["base"], {bar["lever"]: bar for bar in summary["tornado"]}
    return {
        **summary,
        "n": lambda path, form="human": _bound(summary, path, form),
        "t": lambda path, form="human": _text(_at(summary, path), form),
        "axis_of": lambda axis: list(summary[axis]),
        "bars": {name: round(WIDEST * each / max(*hours.values(), 1e-9), 1) for name, each in hours.items()},
        "other_exploration": sum(part["runs"] for kind, part in summary["by_kind"].items() if kind not in ("run", "rerun")),
        "chip": summary["question"]["final"]["accelerator"] if redacted else summary["question"]["final"]["accelerator"].upper(),
        "units": UNITS,
        "sentence": sentence,
        "redacted": redacted,
        "base_shown": base,
        "sliders": [_slider(name, base["now"][name], bar) for name in WORDS if (bar := bars.get(name))] if base else [],
    }  # fmt: skip


def _slider(lever: str, now: float, bar: dict[str, Any]) -> dict[str, Any]:
    """A range about as wide again as the tornado's bar."""
    low, high = (0.0, 0.5) if lever == "lost_share" else (bar["low"] / 2, min(bar["high"] * 1.5, 1e9))
    return {"lever": lever, "words": WORDS[lever], "now": now, "min": min(low, now), "max": max(high, now)}


def _at(summary: dict[str, Any], path: Sequence[str | int]) -> Any:  # noqa: ANN401 - JSON is what it is
    value: Any = summary
    for step in path:
        value = value[step]
    return value


def _text(value: float | None, form: str) -> str:
    return DASH if value is None else FORMATS[form](value)


def _bound(summary: dict[str, Any], path: Sequence[str | int], form: str) -> Markup:
    """A number with its value and its place in report.json, which a test reads back."""
    value = _at(summary, path)
    if value is None:
        return Markup("&ndash;")
    key = json.dumps(list(path))
    return Markup('<data value="{}" data-key="{}">{}</data>').format(repr(value), key, _text(value, form))


def _data(value: object) -> Markup:
    """JSON inside a script element: no `<` ends it early."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _template(name: str) -> str:
    return files("planner.report").joinpath("templates", name).read_text(encoding="utf-8")


def _environment(*, html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("planner.report"),
        autoescape=html,  # noqa: S701 - Markdown has its own escaping, the md filter
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else visible(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = markdown
    return environment


def markdown(text: object) -> str:
    """Text that stays text in Markdown, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>#|!$&~])", r"\\\1", visible(re.sub(r"\s+", " ", str(text))))
