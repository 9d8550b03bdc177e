"""What the numbers of a report rest on, as sentences."""

from __future__ import annotations

from typing import Any

from planner.fitting.recipe import LEFT_OUT_COVERAGE
from planner.quantities import human, percent
from planner.report.findings import Findings


def caveats(found: Findings) -> list[str]:
    """What the numbers rest on, as sentences."""
    return [*_caveats_of_the_lab(found), *_caveats_of_the_forecast(found), *_caveats_of_the_cost(found)]


def _caveats_of_the_lab(found: Findings) -> list[str]:
    final, lines = found.question["final"], []
    if found.question["lab"] == "simulated" and found.fit is not None:
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
    if fit is None or forecast is None:
        return ["No law is fitted yet: nothing is said of the final run's loss, its best size, or the gains of ideas."]
    unseen = ", ".join(f"{percent(share, 0)} at {kappa}x" for kappa, share in LEFT_OUT_COVERAGE.items())
    extrapolated = int((runs["hyperparameters_extrapolated"].astype(str).str.lower() == "true").sum())
    return [
        f"The forecast extrapolates {forecast.compute_ratio:.0f}x in compute, "
        f"{forecast.params / runs['params_active'].max():.1f}x in size and "
        f"{forecast.tokens / runs['tokens'].max():.1f}x in data. {sentence(forecast.reason)}",
        f"Intervals are nominal {fit.level:.0%}. On seven public sources, each predicted with nothing learned from it, "
        f"nominal 90% intervals covered {unseen} the compute; further out nobody has measured them.",
        f"Learning rates and batches follow Step Law (arXiv 2503.04715); {extrapolated:,} of {len(runs):,} runs lie beyond "
        "the sizes and data it was calibrated on.",
    ]


def _caveats_of_the_cost(found: Findings) -> list[str]:
    question, rates = found.question, found.question["rates"]
    rate, grid = rates["accelerators"][rates["reference"]], rates["grid"]
    lines = [
        "Hours planned for the small runs are those of the step-time model's fastest layouts times "
        f"{question['yardstick']['factor']:.2f}, {question['yardstick']['source']}; the final run uses "
        f"{percent(question['utilisation']['fraction'], 1)} of the BF16 peak.",
        f"Rent of ${question['final']['usd_per_gpu_hour']:g} per hour is taken from {question['price_source']}.",
        f"Owning the same hours: {rate['owned_source']}.",
        f"Carbon: {grid['kg_co2_per_kwh']:g} kg CO2e per kWh ({grid['source']}, {grid['date']}), electricity only.",
        *_power(question["power"]),
        "Failed and diverged runs are paid for and not repeated.",
    ]
    if found.choices["ideas"]:
        lines.append(
            "An idea that a gate stopped is judged on the rungs it ran on, with wider intervals."
            if found.choices["closed"]
            else "Every idea runs on every rung that the budget pays: gates that stop hopeless ideas would cost less."
        )
    return lines


def _power(power: dict[str, Any]) -> list[str]:
    if power["tdp_watts"] is None:
        return ["Energy is not known: the accelerator's power is not."]
    return [
        f"Energy: {power['tdp_watts']:g} W a chip x {power['server_power_factor']:g} for the server x "
        f"{power['average_draw']:g} average draw x PUE {power['pue']:g} (Cottier et al., arXiv 2405.21015)."
    ]


def sentence(text: str) -> str:
    """A clause as a sentence."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
