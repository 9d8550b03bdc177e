"""A fit for people, in the manner of lmfit's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from planner.cli.output import say, show_table

if TYPE_CHECKING:
    from planner.decisions.approaches import Approach
    from planner.fitting.certify import Certificate
    from planner.fitting.cross_check import Road
    from planner.fitting.fit import Fit

FURTHER = 10.0  # times the largest fitted compute, where a cross-check looks
FINAL = 100.0  # times the largest fitted compute, where approaches are compared when no final run is named
STRONG = 0.9  # correlations of letters worth a line


def show_fit(fit: Fit) -> None:
    """Model, statistics, letters with intervals, strong correlations, backtest, checks."""
    say()
    if fit.group:
        say(f"group {fit.group}")
    say("[[Model]]")
    say(f"    {fit.law.name}: {fit.law.formula}")
    say(f"    {_legend(fit)}")
    say("[[Fit]]")
    for name, value in _statistics(fit):
        say(f"    {name:<24} {value}")
    say("[[Letters]]")
    rows = [
        (f"    {name}", f"{value:.6g}", *(f"{edge:.4g}" for edge in fit.intervals[name]), _note(fit, name))
        for name, value in fit.parameters.items()
    ]
    show_table("", ("    letter", "value", f"{fit.level:.0%} from", "to", ""), rows)
    strong = [(pair, r) for pair, r in fit.correlations.items() if abs(r) >= STRONG]
    if strong:
        say(f"[[Correlations]] (of the letters' logs, {STRONG:g} or more)")
        say("    " + ", ".join(f"{one}-{other} {r:+.2f}" for (one, other), r in strong))
    if fit.backtest:
        show_backtest(fit)
    if fit.rivals:
        _show_laws(fit)
    say("[[Checks]]")
    say(f"    {fit.outcome.value}")
    for finding in fit.findings:
        say(
            f"    {finding.severity} {finding.name}: {finding.sentence}{f'; {finding.remedy}' if finding.remedy else ''}"
        )


def _statistics(fit: Fit) -> list[tuple[str, str]]:
    known = fit.uncertainty
    dropped = ", ".join(f"{number} {reason}" for reason, number in fit.dropped.items())
    delta = "" if fit.delta == float("inf") else f", delta {fit.delta:.4g}"
    tails = f"; one new run {known.noise:.3%}, tails counted" if known.noise > known.scale else ""
    lines = [
        ("runs", f"{fit.n_runs} fitted" + (f"; dropped: {dropped}" if dropped else "")),
        ("objective", f"{fit.objective}{delta}, sum over runs {fit.objective_value:.9g}"),
        (f"residual sd of {'ln ' if fit.law.link == 'log' else ''}{fit.target}", f"{known.scale:.3%}{tails}"),
        ("intervals", f"{fit.level:.0%}, {known.spread.value}, {known.df:.3g} degrees of freedom"),
    ]
    if fit.n_windowed_out:
        lines.insert(1, ("outside the window", f"{fit.n_windowed_out} runs of less compute"))
    if known.drift:
        lines.append(
            ("allowed for the law", f"{known.drift:.3%} of the loss per nat of compute beyond the largest run")
        )
    if fit.constraints:
        lines.append(("constraints", fit.constraints))
    lines += _supported(fit)
    return lines


def _legend(fit: Fit) -> str:
    """What the formula's variables count, and its value's unit."""
    from planner.laws.law import of_size_and_data

    unit = fit.loss_unit.replace("_", " ")
    if of_size_and_data(type(fit.law)):
        return f"N = {fit.count}, D = tokens, L in {unit}"
    counted = f"params = {fit.count}; " if "params" in fit.law.variables and fit.count != "params" else ""
    return (
        f"{counted}speaks of {', '.join(fit.law.variables)}; gives {'loss in ' if fit.target == 'loss' else ''}{unit}"
    )


def _supported(fit: Fit) -> list[tuple[str, str]]:
    """How far predictions are supported along the scale, and the ranges of what else the law speaks of."""
    from planner.fitting.reach import RATIO, widened
    from planner.laws.scale import scale_of

    reach, own = fit.reach, scale_of(type(fit.law))
    ranges = [
        f"{f'{name} ' if name != RATIO else ''}{low:.3g} to {high:.3g}{' tokens per parameter' if name == RATIO else ''}"
        for name, (low, high) in ((name, widened(*pair)) for name, pair in reach.ranges.items())
    ]
    if own is None or reach.largest is None:
        return [("supported within", ", ".join(ranges))]
    away = f"{reach.limit:.3g}x {'below ' if own.falls else ''}the largest run"
    far = f"{own.told(reach.limit * reach.largest)} ({away})"
    return [("supported up to" if not own.falls else "supported down to", ", ".join([far, *ranges]))]


def _show_laws(fit: Fit) -> None:
    from planner.fitting.finding import FURTHER
    from planner.quantities import human

    ahead = any(rival.loss is not None for rival in fit.rivals)
    said = f"; what they say of {FURTHER:g}x the compute" if ahead else ""
    say(f"[[Laws]] by their forecasts of the same hidden runs{said}")
    rows = [
        (f"    {rival.law}", str(rival.hidden), f"{rival.error:.2%}", "" if rival.loss is None else f"{rival.loss:.4f}",
         "" if rival.params is None else human(rival.params)) for rival in fit.rivals
    ]  # fmt: skip
    show_table("", ("    law", "hidden runs", "mean error", "loss", "best size"), rows)


def _note(fit: Fit, letter: str) -> str:
    low, high = fit.intervals[letter]
    return "held" if low == high else ""


def show_backtest(fit: Fit) -> None:
    """What the sweep says of its own extrapolation."""
    say("[[Backtest]] the largest runs hidden, predicted from smaller ones")
    rows = [
        (f"    {row.kappa:g}x", str(row.n), f"{row.bias:+.2%}", f"{row.median_error:.2%}", f"{row.p90_error:.2%}",
         f"{row.coverage:.0%}", f"{row.median_width:.2%}") for row in fit.backtest
    ]  # fmt: skip
    header = (
        f"    {fit.reach.order} beyond, from",
        "runs",
        "bias",
        "median error",
        "90th pct",
        f"inside {fit.level:.0%}",
        "median width",
    )
    show_table("", header, rows)


class Extras(NamedTuple):
    """What was asked for beside a fit; None for what was not."""

    certificate: Certificate | None
    cross_check: list[Road] | None
    approaches: list[Approach]
    flops: float
    usd: float | None

    @property
    def asked(self) -> dict[str, object]:
        """Those that are there, for JSON."""
        asked: dict[str, object] = {}
        if self.certificate is not None:
            asked["certificate"] = {name: value for name, value in vars(self.certificate).items() if name != "solution"}
        if self.cross_check is not None:
            asked["cross_check"] = self.cross_check
        if self.approaches:
            asked["approaches"] = [{**vars(one), "waste_usd": self._usd(one)} for one in self.approaches]
            asked["approaches_flops"] = self.flops
        return asked

    def _usd(self, approach: Approach) -> float | None:
        return None if self.usd is None else approach.waste * self.usd


def show_extras(fit: Fit, extras: Extras) -> None:
    """A certificate, and the forecast by other kinds of interval."""
    from planner.quantities import human

    if extras.approaches:
        _show_approaches(extras)
    if extras.certificate is not None:
        say("[[Certificate]]")
        for sentence in extras.certificate.sentences:
            say(f"    {sentence}")
    if extras.cross_check is not None:
        best = fit.law.optimum(FURTHER * fit.reach.flops)
        where = f"{human(best.params)} parameters on {human(best.tokens)} tokens, the best split of {FURTHER:g}x the compute"
        say(f"[[Cross-check]] {fit.level:.0%} intervals of the mean loss at {where}")
        rows = [
            (f"    {road.name}", *(f"{value:.4f}" for value in (road.loss, road.low, road.high)),
             f"{(road.high - road.low) / road.loss:.2%}")
            for road in extras.cross_check
        ]  # fmt: skip
        show_table("", ("    way", "loss", "from", "to", "width"), rows)


def _show_approaches(extras: Extras) -> None:
    from planner.quantities import human

    say(
        f"[[IsoFLOP]] best size at {extras.flops:.3g} FLOPs by three approaches (arXiv 2203.15556); waste if the law is right"
    )
    rows = []
    for one in extras.approaches:
        usd = "" if extras.usd is None else f"${human(one.waste * extras.usd)}"
        rows.append((f"    {one.name}", f"C^{one.exponent:.3f}", human(one.params), human(one.tokens), f"{one.loss:.4f}",
                     f"{one.waste:.1%}", usd))  # fmt: skip
    show_table("", ("    approach", "params grow", "params", "tokens", "loss", "compute wasted", ""), rows)
