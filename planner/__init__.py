"""Plan the small runs that de-risk a large pretraining run: propose them, fit scaling laws, report what they cost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.assess.assessment import assess_plan
    from planner.costs.cost import cost
    from planner.decisions.allocation import allocate
    from planner.decisions.gains import compare
    from planner.fitting.fit import fit, run_backtest
    from planner.fitting.predict import predict
    from planner.fitting.solve import bootstrap, solve
    from planner.logs.reconcile import import_logs
    from planner.report.page import write_report
    from planner.runs import read_runs
    from planner.sweep.choose import choose
    from planner.sweep.plan import propose
    from planner.sweep.spec import read_sweep

_HOMES = {
    "allocate": "planner.decisions.allocation",
    "assess_plan": "planner.assess.assessment",
    "bootstrap": "planner.fitting.solve",
    "choose": "planner.sweep.choose",
    "compare": "planner.decisions.gains",
    "cost": "planner.costs.cost",
    "fit": "planner.fitting.fit",
    "import_logs": "planner.logs.reconcile",
    "predict": "planner.fitting.predict",
    "propose": "planner.sweep.plan",
    "read_runs": "planner.runs",
    "read_sweep": "planner.sweep.spec",
    "run_backtest": "planner.fitting.fit",
    "solve": "planner.fitting.solve",
    "write_report": "planner.report.page",
}

__all__ = [  # each is imported when it is first used, so that `import planner` stays cheap
    "allocate",
    "assess_plan",
    "bootstrap",
    "choose",
    "compare",
    "cost",
    "fit",
    "import_logs",
    "predict",
    "propose",
    "read_runs",
    "read_sweep",
    "run_backtest",
    "solve",
    "write_report",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever lives there
    if name not in _HOMES:
        raise AttributeError(f"module 'planner' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
