"""Studies that vary one thing at three sizes: vocabulary, context length, sparsity."""

from __future__ import annotations

from dataclasses import replace

from planner.errors import InputError
from planner.models.shape import shape_for
from planner.sweep.file.studies import ContextStudy, SparsityStudy, VocabularyStudy
from planner.sweep.request import Cell, Request
from planner.sweep.setting import Setting
from planner.sweep.size import Size
from planner.sweep.studies.patterned import patterned


def vocabulary_requests(setting: Setting, study: VocabularyStudy, budget: float) -> list[Request]:
    """The same body with each vocabulary; one law a vocabulary, since nats per token of two tokenizers don't compare."""

    def varied(cell: Cell) -> list[Cell]:
        return [
            replace(cell, size=Size(replace(cell.size.model, vocab_size=count)), group=f"vocabulary {count}")
            for count in study.vocab_sizes
        ]

    groups = [varied(cell) for cell in _three(setting)]
    return patterned(
        setting, study.name or study.kind, groups, budget, purpose="best vocabulary (compare bits per byte)"
    )


def context_requests(setting: Setting, study: ContextStudy, budget: float) -> list[Request]:
    """The same run at each context length, same tokens."""
    groups = [
        [replace(cell, context_length=length, group=f"context {length}") for length in study.context_lengths]
        for cell in _three(setting)
    ]
    return patterned(setting, study.name or study.kind, groups, budget, purpose="loss by context length")


def sparsity_requests(setting: Setting, study: SparsityStudy, budget: float) -> list[Request]:
    """Equal active parameters and tokens at each ratio of experts to experts per token."""
    if setting.family.experts is None:
        raise InputError(
            f"a sparsity study needs a mixture of experts; {setting.family.name} has none", "remove the study"
        )
    groups = [
        [
            replace(
                cell,
                size=Size(shape_for(setting.family, cell.size.active, sparsity=ratio)),
                group=f"sparsity {ratio:g}",
            )
            for ratio in study.sparsities
        ]
        for cell in _three(setting)
    ]
    return patterned(
        setting, study.name or study.kind, groups, budget, purpose="loss by sparsity at equal active parameters"
    )


def _three(setting: Setting) -> list[Cell]:
    """The smallest, middle and largest size with least data."""
    places = sorted({0, len(setting.sizes) // 2, len(setting.sizes) - 1})
    return [setting.cell(setting.sizes[place], setting.tokens_between(setting.sizes[place])[0]) for place in places]
