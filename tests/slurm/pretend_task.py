"""The planner's own task with a trainer that trains nothing, so that no PyTorch is needed.

`long...` takes 600 s. `steady...` takes three times 600 s in steps of 10, with a checkpoint at the beginning of each.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from planner.lab.local.places import Ending, Outcome
from planner.lab.local.worker import Job
from planner.lab.slurm.task import perform


def train(job: Job) -> Outcome:
    log = job.places.log(job.run_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f'{{"run_id": "{job.run_id}", "step": 1, "tokens": 128}}\n{{"run_id": "cut o')
    if job.run_id.startswith("steady") and (done := job.places.saved_steps(job.run_id)) < 20:
        import numpy as np

        np.savez(job.places.checkpoint(job.run_id), progress=np.array([done + 10, 0, 0.0]))
        time.sleep(600)
    time.sleep(600 if job.run_id.startswith("long") else 0)
    outcome = Outcome(job.run_id, Ending.COMPLETED, loss=1.0)
    job.places.write_outcome(outcome)
    return outcome


sys.exit(perform(Path(sys.argv[1]), sys.argv[2], int(os.environ["SLURM_ARRAY_TASK_ID"]), lambda: train))
