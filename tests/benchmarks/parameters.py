"""Counted beside published parameters, every model of the catalog.

python tests/benchmarks/parameters.py
"""

from __future__ import annotations

from planner.models.catalog import find_model, model_entries
from planner.models.parameters import count_parameters


def main() -> None:
    """Print one Markdown row a model, and how many are equal."""
    print(
        "| model | counted | published | difference | active | without embedding and head |\n|---|---|---|---|---|---|"
    )
    equal = 0
    for name, entry in model_entries().items():
        count = count_parameters(find_model(name))
        equal += entry.published == count.total
        known = f"{entry.published:,} | {count.total - entry.published:,}" if entry.published else "- | -"
        print(f"| {name} | {count.total:,} | {known} | {count.active:,} | {count.non_embedding:,} |")
    print(
        f"\n{equal} of {sum(entry.published is not None for entry in model_entries().values())} published totals are equal."
    )


if __name__ == "__main__":
    main()
