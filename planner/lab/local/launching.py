"""What must hold before runs are trained here, and the text laid where workers find it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from planner import store
from planner.encode import to_json
from planner.errors import InputError
from planner.lab.local.corpus import Corpus
from planner.lab.local.places import Places
from planner.lab.local.task import Task


def require_torch() -> None:
    """Refuse to train without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        raise InputError("training needs PyTorch, which is not installed", "pip install 'scaling-planner[train]'")


def require_enough(tasks: Sequence[Task], text: Corpus, epochs: float) -> None:
    """Refuse runs that would see the text more often than asked for: repeats change the law (arXiv 2305.16264)."""
    most = epochs * text.train.size
    long = [task for task in tasks if task.tokens > most]
    if long:
        longest = max(long, key=lambda task: task.tokens)
        raise InputError(
            f"{longest.run_id}: {longest.tokens:,} tokens are more than {epochs:g} epochs of the {text.train.size:,} bytes of "
            f"{text.name}" + (f", and so are those of {len(long) - 1:,} other runs" if len(long) > 1 else ""),
            f"give more text with --corpus, or allow --epochs {-(-longest.tokens // text.train.size)}",
        )


def lay_down(text: Corpus, places: Places) -> None:
    """Write the corpus for the workers, unless it lies there, and what it is."""
    for part, content in (("train", text.train), ("validation", text.validation)):
        path = places.corpus(part)
        if not path.is_file() or path.stat().st_size != content.size:
            store.write_bytes(path, content.tobytes())
    told = {
        "name": text.name, "sha256": text.sha256, "n_files": text.n_files, "train_bytes": text.train.size,
        "validation_bytes": text.validation.size,
    }  # fmt: skip
    store.write_bytes(places.folder / "corpus.json", (to_json(told) + "\n").encode())
