"""A copy to share: no names of models, ideas, runs or people, no prices, no paths."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from planner.runs.columns import BASELINE

HIDDEN = "withheld"
KINDS = {"scaling", "hyperparameters", "ideas", "mixture", "vocabulary", "context", "sparsity", "replicates", "prior runs",
         "final run"}  # fmt: skip
NAMED = ("by_study", "by_variant", "by_owner", "by_accelerator")
WORDS = {"variant": "idea", "study": "study", "owner": "owner", "accelerator": "accelerator", "name": "entry"}
DOLLARS = re.compile(r"\$\s?\d[\d,.]*\s?[KMBT]?\b")
MONEY = ("usd", "price")  # in a key: a dollar amount or where a price is from


def redacted_summary(summary: dict[str, Any], entries: pd.DataFrame) -> dict[str, Any]:
    """report.json with names replaced by numbers, dollars by null and what speaks of prices left out."""
    names = _names(summary, entries)
    shared = _walk(
        {**summary, "tornado": [bar for bar in summary["tornado"] if bar["lever"] != "usd_per_gpu_hour"]}, names
    )
    for axis in NAMED:
        shared[axis] = {names.get(name, name): amounts for name, amounts in shared[axis].items()}
    progress = shared["completion"]
    progress["by_study"] = {names.get(name, name): row for name, row in progress["by_study"].items()}
    question = shared["question"]
    question["question"] = "What did exploration cost against the final run, and what did it find?"
    question["rates"]["accelerators"] = {}
    question["power"] = {}
    shared["caveats"] = [line for line in shared["caveats"] if not re.search(r"^(Rent|Owning|Energy)\b|\$", line)]
    shared["provenance"]["inputs"] = {}
    return dict(shared)


def redacted_entries(entries: pd.DataFrame) -> pd.DataFrame:
    """Ledger rows without dollars, sources and names."""
    shared = entries.drop(columns=["usd", "usd_owned", "source", "run_id"])
    for name, word in WORDS.items():
        shared[name] = shared[name].map(_numbered(shared[name], word))
    return shared


def _names(summary: dict[str, Any], entries: pd.DataFrame) -> dict[str, str]:
    question = summary["question"]
    found = {question["final"]["model"]: "the final model", question["sweep"]: HIDDEN, question["name"]: HIDDEN}
    for column, word in {**WORDS, "run_id": "run"}.items():
        numbered = _numbered(entries[column], word)
        found |= {name: text for name, text in numbered.items() if name != text and name not in found}
    for idea in [*summary["ideas"], *summary["closed"]]:
        found.setdefault(idea["variant"], f"idea {len(found)}")
    found |= {
        name: f"untested idea {number}" for number, name in enumerate(summary["untested"], 1) if name not in found
    }
    return found


def _numbered(values: Iterable[str], word: str) -> dict[str, str]:
    """Each name once, numbered; what the planner itself calls something stays."""
    known = {"", BASELINE, *KINDS}
    names = list(dict.fromkeys(str(value) for value in values))
    number = {name: place for place, name in enumerate((name for name in names if name not in known), 1)}
    return {name: f"{word} {number[name]}" if name in number else name for name in names}


def _walk(value: Any, names: dict[str, str]) -> Any:  # noqa: ANN401 - JSON is what it is
    """Every text with names and dollars replaced, every amount of dollars null; the published cases are public."""
    replaced = _replacer(names)

    def walk(value: Any, key: str, inside: tuple[str, ...]) -> Any:  # noqa: ANN401
        if key == "published":
            return value
        if isinstance(value, dict):
            return {name: walk(item, name, (*inside, key)) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item, key, inside) for item in value]
        if (
            "ratio" not in (key, *inside[-1:])
            and key not in ("lever", "words", "quantity")
            and any(word in key for word in MONEY)
        ):
            return None
        return replaced(value) if isinstance(value, str) else value

    return walk(value, "", ())


def _replacer(names: dict[str, str]) -> Any:  # noqa: ANN401
    known = sorted((name for name in names if name), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)") if known else None

    def replaced(text: str) -> str:
        if text in names:
            return names[text]
        if pattern is not None:
            text = pattern.sub(lambda found: names[found.group(0)], text)
        return DOLLARS.sub(HIDDEN, text)

    return replaced
