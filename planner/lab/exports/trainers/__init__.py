"""The trainers that a run can be said to, by name: add one as a file that makes a `Trainer`, and a line here."""

from __future__ import annotations

from types import MappingProxyType

from planner.lab.exports.trainers.config import CONFIG
from planner.lab.exports.trainers.flag import Trainer
from planner.lab.exports.trainers.flags import FLAGS
from planner.lab.exports.trainers.megatron import MEGATRON
from planner.lab.exports.trainers.nanochat import NANOCHAT
from planner.lab.exports.trainers.olmo_core import OLMO_CORE
from planner.lab.exports.trainers.torchtitan import TORCHTITAN

TRAINERS = MappingProxyType(
    {trainer.name: trainer for trainer in (FLAGS, CONFIG, MEGATRON, TORCHTITAN, OLMO_CORE, NANOCHAT)}
)
__all__ = ["TRAINERS", "Trainer"]
