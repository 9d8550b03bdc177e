"""The whole state of a run as arrays in one npz file: weights, optimizer, steps done, the log's length."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from planner import store


@dataclass(frozen=True)
class Progress:
    """Steps done (a trunk's counted), bytes of the log, seconds of training so far."""

    step: int
    log_bytes: int = 0
    seconds: float = 0.0


def save(path: Path, model: nn.Module, optimizer: torch.optim.AdamW, progress: Progress) -> None:
    """Write the state of a run, whole or not at all; WorldError when the disk does not take it."""
    arrays = {"progress": np.array([progress.step, progress.log_bytes, progress.seconds], np.float64)}
    for name, weight in model.named_parameters():
        arrays[f"weight/{name}"] = _array(weight)
        arrays[f"mean/{name}"] = _array(optimizer.state[weight]["exp_avg"])
        arrays[f"square/{name}"] = _array(optimizer.state[weight]["exp_avg_sq"])
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    store.write_bytes(path, content.getvalue())


def read(path: Path) -> dict[str, NDArray[np.float64]] | None:
    """The arrays that were saved; None when there are none that can be read. Nothing in them is unpickled."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:  # np.load leaves a broken file open
            return {name: saved[name] for name in saved.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def progress_of(arrays: dict[str, NDArray[np.float64]]) -> Progress:
    """How far the run was."""
    step, log_bytes, seconds = arrays["progress"]
    return Progress(int(step), int(log_bytes), float(seconds))


def restore(arrays: dict[str, NDArray[np.float64]], model: nn.Module, optimizer: torch.optim.AdamW) -> None:
    """Take up the saved weights and the optimizer's state."""
    step = float(arrays["progress"][0])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.from_numpy(arrays[f"weight/{name}"]))
            optimizer.state[weight] = {
                "step": torch.tensor(step, dtype=torch.float32, device=weight.device),
                "exp_avg": torch.from_numpy(arrays[f"mean/{name}"]).to(weight.device),
                "exp_avg_sq": torch.from_numpy(arrays[f"square/{name}"]).to(weight.device),
            }


def _array(tensor: torch.Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().cpu().numpy()
    return array
