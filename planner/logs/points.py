"""The points that count, each with its run and the phase of the learning rate that it was taken in."""

from __future__ import annotations

import duckdb
import pandas as pd

# A cosine or linear run has no stable phase to speak of: its points before the end are in decay, un-annealed.
VIEW = """
CREATE OR REPLACE VIEW checkpoints AS
SELECT s.run AS run_id, p.step, p.tokens, p.loss, p.train_loss, p.lr, p.time,
    CASE WHEN p.lr IS NULL OR f.lr_peak IS NULL THEN 'unknown'
         WHEN p.step < f.warmup_step THEN 'warmup'
         WHEN p.step >= f.step AND p.lr <= 0.35 * f.lr_peak THEN 'annealed'
         WHEN p.step <= f.stable_step THEN 'stable'
         ELSE 'decay' END AS phase,
    p.step >= f.step AS is_last
FROM points AS p JOIN segments AS s USING (segment) JOIN finals AS f USING (run)
WHERE p.reason IS NULL
"""


def make_checkpoints(connection: duckdb.DuckDBPyConnection) -> None:
    """The view `checkpoints` in the database."""
    connection.execute(VIEW)


def checkpoints(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Every point that counts: run_id, step, tokens, losses, learning rate, time and phase, runs and steps in order.

    `phase` is warmup, stable, decay or annealed (the end of a decay), by the logged learning rate; unknown without one.
    """
    return connection.execute("SELECT * FROM checkpoints ORDER BY run_id, step").df()
