"""A trainer that trains nothing: what it does is in its run's id, and it leaves a trace of every start and end.

`ok...` ends well, `fail...` always fails, `flaky...` fails once, `slow...` takes 600 s the first time, `long...` always.
Every start and every end is a line of traces/RUN beside the folder of outputs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

run = os.environ["PLANNER_RUN_ID"]
traces = Path(os.environ["PLANNER_ROOT"]).parent / "traces"
traces.mkdir(exist_ok=True)


def trace(word: str) -> None:
    with (traces / run).open("a") as file:
        file.write(f"{word} {os.getpid()} {time.time()}\n")


trace("start")
starts = (traces / run).read_text().count("start")
time.sleep(600.0 if run.startswith("long") or (run.startswith("slow") and starts == 1) else 0.1)
if run.startswith("fail") or (run.startswith("flaky") and starts == 1):
    print("step 1 loss 7.0")
    print(f"ValueError: {run} does not work, attempt {starts}", file=sys.stderr)
    trace("fail")
    sys.exit(3)
with Path(os.environ["PLANNER_LOG"]).open("w") as log:
    log.write(json.dumps({"run_id": run, "step": 10, "tokens": 7680, "loss": 3.0, "status": "completed"}) + "\n")
trace("end")
