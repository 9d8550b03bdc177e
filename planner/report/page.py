"""The de-risking report: one page, its Markdown and its JSON, from what a results folder holds."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from planner import store
from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction
from planner.fitting.recipe import LEFT_OUT_COVERAGE
from planner.fitting.saved import fit_from_record, fit_summary
from planner.quantities import dollars, human, percent
from planner.report.entries import entries_of
from planner.report.figures import cost_figure, ideas_figure, law_figure, plane_figure
from planner.report.ledger import Ledger, ledger_of
from planner.runs.columns import Status
from planner.text import visible


@dataclass(frozen=True)
class Findings:
    """What a results folder holds, read back."""

    question: dict[str, Any]
    runs: pd.DataFrame
    fit: Fit
    forecast: dict[str, Any]
    choices: dict[str, Any]
    score: dict[str, Any]
    ledger: Ledger

    @property
    def prediction(self) -> Prediction:
        """The registered forecast of the final run."""
        fields = dict(self.forecast["prediction"])
        for name in ("interval_mean", "interval_run"):
            fields[name] = tuple(fields[name])
        return Prediction(**fields)


def write_report(folder: store.Folder) -> dict[str, Any]:
    """Write index.html, report.md and report.json into the folder's report/; returns what report.json holds."""
    found = _gather(folder)
    summary = _summary(found)
    context = {**summary, "caveats": caveats(found), "figures": _figures(found)}
    folder.write_text(store.REPORT_HTML, _environment(html=True).get_template("page.html.j2").render(context))
    folder.write_text(store.REPORT_MARKDOWN, _environment(html=False).get_template("report.md.j2").render(context))
    folder.write_json(store.REPORT_JSON, summary)
    return summary


def caveats(found: Findings) -> list[str]:
    """What the numbers rest on, as sentences."""
    return [*_caveats_of_the_lab(found), *_caveats_of_the_forecast(found), *_caveats_of_the_cost(found)]


def _caveats_of_the_lab(found: Findings) -> list[str]:
    final, lines = found.question["final"], []
    if found.question["lab"] == "simulated":
        lines.append(
            "No model was trained: the losses come from a simulated lab. The counts and prices of the plan do not depend on "
            "it; the losses, the forecast and the gains of ideas are an exercise of the method."
        )
        lines.append(
            "The hidden law has the form that is fitted, and ideas are drawn from the pool that the decisions assume: that "
            "the forecast held says nothing of an error of form, which is the larger risk on real sweeps."
        )
    if final["params_total"] != final["params_active"]:
        lines.append(
            f"Mixture of experts: one law in active parameters ({human(final['params_active'])} of "
            f"{human(final['params_total'])} in all) is assumed to hold from the small runs to the final one, at matched "
            "sparsity (experts in all and per token). Small models carry relatively more embedding."
        )
    return lines


def _caveats_of_the_forecast(found: Findings) -> list[str]:
    fit, forecast, runs = found.fit, found.prediction, found.runs
    unseen = ", ".join(f"{percent(share, 0)} at {kappa}x" for kappa, share in LEFT_OUT_COVERAGE.items())
    extrapolated = int((runs["hyperparameters_extrapolated"].astype(str).str.lower() == "true").sum())
    return [
        f"The forecast extrapolates {forecast.compute_ratio:.0f}x in compute, "
        f"{forecast.params / runs['params_active'].max():.1f}x in size and "
        f"{forecast.tokens / runs['tokens'].max():.1f}x in data. {_sentence(forecast.reason)}",
        f"Intervals are nominal {fit.level:.0%}. On seven public sources, each predicted with nothing learned from it, "
        f"nominal 90% intervals covered {unseen} the compute; further out nobody has measured them.",
        f"Learning rates and batches follow Step Law (arXiv 2503.04715); {extrapolated:,} of {len(runs):,} runs lie beyond "
        "the sizes and data it was calibrated on.",
    ]


def _caveats_of_the_cost(found: Findings) -> list[str]:
    question = found.question
    lines = [
        "Hours of the small runs are those of the step-time model's fastest layouts times "
        f"{question['yardstick']['factor']:.2f}, {question['yardstick']['source']}; the final run uses "
        f"{percent(question['utilisation']['fraction'], 1)} of the BF16 peak.",
        f"Rent of ${question['final']['usd_per_gpu_hour']:g} per hour is taken from {question['price_source']}; owning a "
        "cluster, staff, data and failed hardware are not in it.",
        "Failed and diverged runs are paid for and not repeated.",
    ]
    if found.choices["ideas"]:
        lines.append(
            "Every idea runs on every rung that the budget pays: gates that stop hopeless ideas would cost less."
        )
    return lines


def _gather(folder: store.Folder) -> Findings:
    path = folder.path
    question = store.read_json(path / store.QUESTION)
    runs = pd.read_csv(path / store.RUNS, keep_default_na=False, na_values=[""])
    plan = pd.read_csv(path / store.PLAN, keep_default_na=False, na_values=[""])
    costs = pd.read_csv(path / store.COSTS, keep_default_na=False, na_values=[""])
    runs["tokens_planned"] = plan["tokens"]
    return Findings(
        question=question,
        runs=runs,
        fit=fit_from_record(store.read_json(path / store.FIT), str(path / store.FIT)),
        forecast=store.read_json(path / store.FORECAST),
        choices=store.read_json(path / store.CHOICES),
        score=store.read_json(path / store.SCORE),
        ledger=ledger_of(entries_of(runs, costs, question["rates"])),
    )


def _summary(found: Findings) -> dict[str, Any]:
    ideas = found.choices["ideas"]
    return {
        "question": found.question,
        "exploration": asdict(found.ledger.exploration),
        "final": asdict(found.ledger.final),
        "ratio": found.ledger.ratio,
        "by_study": {name: asdict(amounts) for name, amounts in found.ledger.by_axis["study"].items()},
        "by_size": {name: asdict(amounts) for name, amounts in found.ledger.by_axis["size"].items()},
        "by_status": {name: asdict(amounts) for name, amounts in found.ledger.by_axis["status"].items()},
        "forecast": found.forecast,
        "fit": fit_summary(found.fit),
        "allocation": found.choices["allocation"],
        "tuning": found.choices["tuning"],
        "untuned_because": found.choices["untuned_because"],
        "ideas": ideas,
        "untested": found.choices["untested"],
        "decisions": {name: sum(idea["decision"] == name for idea in ideas) for name in ("promote", "hold", "drop")},
        "score": found.score,
        "unfinished": int((found.runs["status"] != Status.COMPLETED).sum()),
        "html": store.REPORT_HTML,
        "markdown": store.REPORT_MARKDOWN,
    }


def _figures(found: Findings) -> dict[str, Markup]:
    drawn = {
        "law": law_figure(found.runs, found.fit, found.prediction),
        "plane": plane_figure(found.runs, found.prediction),
        "cost": cost_figure(found.runs, found.ledger),
    }
    if found.choices["ideas"]:
        drawn["ideas"] = ideas_figure(found.choices["ideas"])
    # matplotlib escapes the text in its svg; nothing else in the page is marked safe.
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704


def _environment(*, html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("planner.report"),
        autoescape=html,  # noqa: S701 - Markdown has its own escaping, the md filter
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else visible(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        human=human,
        dollars=dollars,
        percent=percent,
        loss=lambda value: f"{value:.3f}",
        md=_markdown,
        number=lambda v: f"{v:.6g}",
        count=lambda v: f"{v:,.0f}",
    )
    return environment


def _markdown(text: object) -> str:
    """Text that stays text in Markdown, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>#|!$&~])", r"\\\1", visible(re.sub(r"\s+", " ", str(text))))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
