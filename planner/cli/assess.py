"""`planner assess`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, Seed, say, show_json, show_table, steps


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("assess")(assess)


def assess(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="The question: a TOML file, as in sweeps/.")],
    worlds: Annotated[int, typer.Option(min=2, max=10_000, help="Simulated worlds to try the plan in.")] = 20,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Before spending: the scaling study in many simulated worlds, beside a ladder at equal GPU-hours."""
    import os

    from planner.assess.worlds import DESIGNS, LEVEL, assess_plan
    from planner.quantities import human
    from planner.sweep.spec import read_sweep

    question = read_sweep(sweep)
    with steps(DESIGNS) as progress:
        scores = assess_plan(question, worlds=worlds, seed=seed, workers=os.cpu_count() or 1, progress=progress)
    if json:
        show_json({"worlds": worlds, "level": LEVEL, "designs": scores})
        return
    show_table(
        f"{question.file.name}: scaling study in {worlds} worlds, error of the final run's loss",
        ("design", "runs", "GPU-hours", "median error", "90th pct", f"inside {LEVEL:.0%}", "median width", "waste"),
        [
            (score.name, f"{score.n_runs:,}", human(score.gpu_hours, 4), f"{score.median_error:.2%}", f"{score.p90_error:.2%}",
             f"{score.coverage:.0%}", f"{score.median_width:.2%}", f"{score.waste:.1%}") for score in scores
        ],
    )  # fmt: skip
    say("waste: median fraction of the final compute lost by the size and data chosen from the fit")
