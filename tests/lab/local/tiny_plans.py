"""Plans of tiny runs, for tests of the local lab."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from planner.models.architecture import Architecture
from planner.models.parameters import count_parameters

CONTEXT, BATCH = 16, 128


def row(run_id: str, *, steps: int = 60, d_model: int = 16, n_layers: int = 2, **cells) -> dict[str, object]:
    """One planned run of about 15,000 parameters, as `planner propose` would write it."""
    shape = Architecture("tiny", "tiny", n_layers, d_model, 2, 2, d_model // 2, 3 * d_model, 256)
    count = count_parameters(shape)
    return {
        "run_id": run_id, "trunk_id": "", "study": "scaling", "kind": "scaling", "variant": "baseline", "stage": 1,
        "priority": 2, "seed": 3, "status": "planned", "model": "tiny", "n_layers": n_layers, "d_model": d_model,
        "n_heads": 2, "n_kv_heads": 2, "head_dim": d_model // 2, "d_ff": 3 * d_model, "vocab_size": 256, "n_experts": 0,
        "params_total": count.total, "params_active": count.active, "params_non_embedding": count.non_embedding,
        "context_length": CONTEXT, "batch_tokens": BATCH, "tokens": BATCH * steps, "resumed_tokens": 0, "lr_peak": 0.01,
        "warmup_tokens": BATCH * 5, "weight_decay": 0.1, "schedule": "cosine", "cooldown_fraction": 0.0,
        "optimizer": "adamw", **cells,
    }  # fmt: skip


def branch(run_id: str, trunk: str, *, steps: int, cooldown: int, **cells) -> dict[str, object]:
    """A run that leaves its trunk for the last `cooldown` of its steps."""
    return row(run_id, steps=steps, schedule="wsd", trunk_id=trunk, resumed_tokens=BATCH * (steps - cooldown),
               cooldown_fraction=cooldown / steps, **cells)  # fmt: skip


def write(path: Path, *rows: dict[str, object]) -> Path:
    """A plan as a file."""
    pd.DataFrame(list(rows)).to_csv(path, index=False)
    return path


def write_texts(folder: Path, *, files: int = 40) -> Path:
    """A folder of small texts, no two alike, with something in them to learn."""
    folder.mkdir(parents=True, exist_ok=True)
    sentence = "the quick brown fox jumps over a lazy dog while seven wizards box with five dozen liquor jugs"
    words = sentence.split()
    for number in range(files):
        text = " ".join(words[(place * (number + 3) + place * place) % len(words)] for place in range(700))
        (folder / f"text{number:03}.txt").write_text(f"{number} {text}\n")
    return folder
