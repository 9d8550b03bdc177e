"""The simulated lab: a plan in, a tracker's log out, the truth kept behind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from planner.lab.effects import setting_excess, usual_of
from planner.lab.world import BROKEN, DIVERGENT_RATE, DIVERGES_TOO_FAST, World
from planner.sweep.file.tables import Lab

VALIDATION = "simulated-validation"  # the evaluation set that its losses are on: by this name they are known again


class Run(NamedTuple):
    """What the lab needs of a planned run."""

    run_id: str
    study: str
    variant: str
    seed: int
    params_active: float
    params_active_non_embedding: float
    tokens: float
    lr_peak: float
    batch_tokens: float
    gpu_hours: float


def run_plan(plan: pd.DataFrame, world: World, lab: Lab) -> Iterator[dict[str, object]]:
    """One log record per planned run, as a tracker would hold it: what was seen, nothing of why.

    A failed run (hardware, bug) stops part-way without a loss; a diverged one stops with none that is finite. Neither
    is repeated, and the branches of such a trunk never start. A mistuned run logs its planned settings and a loss that is
    too high.
    """
    records = plan.to_dict("records")
    lines = [record for record in records if record.get("kind", "scaling") in ("scaling", "ideas", "hyperparameters")]
    usual = usual_of({str(name): value for name, value in (lines or records)[0].items()})
    fates: dict[str, str] = {}
    for record in records:
        run = Run._make(record[name] for name in Run._fields)
        trunk = str(record.get("trunk_id", ""))
        best = world.best_setting(run.params_active_non_embedding, run.tokens)
        state, done = _fate(run.run_id, run.lr_peak / best[0], world, lab)
        fates[run.run_id] = state
        if trunk and fates.get(trunk, "completed") != "completed":
            state, done = "killed", 0.0
        yield _record(run, record, state, done, best, world, lab, usual)


def _record(
    run: Run, row: Mapping[object, object], state: str, done: float, best: tuple[float, float], world: World, lab: Lab,
    usual: Mapping[str, float],
) -> dict[str, object]:  # fmt: skip
    trunk, resumed = str(row.get("trunk_id", "")), float(str(row.get("resumed_tokens", 0)))
    pair = ("trunk", trunk) if trunk else (run.study, run.params_active, run.tokens, run.seed)
    log_loss = (
        math.log(world.mean_loss(run.variant, run.params_active, run.tokens))
        + world.tuning_excess(run.lr_peak, run.batch_tokens, best)
        + setting_excess({str(name): value for name, value in row.items()}, world, usual)
        + world.seed_noise(run.run_id, run.params_active, pair)
        + _mistake(run.run_id, world, lab)
    )
    return {
        "run_id": run.run_id,
        "state": state,
        "eval/loss": math.exp(log_loss) if state == "completed" else None,
        "eval_set": VALIDATION,
        "n_tokens_seen": round(resumed + (run.tokens - resumed) * done) if done else 0,
        "learning_rate": run.lr_peak,
        "gpu_hours": run.gpu_hours * done * (1 + 0.03 * world.normal("hours", run.run_id)),
    }


def final_loss(world: World, params: float, tokens: float) -> float:
    """What the well-tuned final run will reach, seed noise included: for scoring a registered forecast only."""
    return world.mean_loss("baseline", params, tokens) * math.exp(world.seed_noise("final", params, ("final",)))


def _fate(run_id: str, rate_ratio: float, world: World, lab: Lab) -> tuple[str, float]:
    """How a run ends, and the fraction of its tokens it saw."""
    too_fast = rate_ratio > DIVERGENT_RATE and world.uniform("too fast", run_id) < DIVERGES_TOO_FAST
    if too_fast or world.uniform("diverges", run_id) < lab.divergence_rate:
        return "diverged", 0.05 + 0.55 * world.uniform("stops", run_id)
    if world.uniform("fails", run_id) < lab.failure_rate:
        return "failed", world.uniform("stops", run_id)
    return "completed", 1.0


def _mistake(run_id: str, world: World, lab: Lab) -> float:
    """Excess of ln loss of a run with a bug in it; zero for most."""
    if world.uniform("mistuned", run_id) >= lab.mistuned_rate:
        return 0.0
    return BROKEN * -math.log(world.uniform("how mistuned", run_id))
