"""Published laws written as formulas, one file each; a new law is listed here and nowhere else."""

from __future__ import annotations

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.accuracy import AverageError, SigmoidAccuracy
from planner.laws.published.annealing import Annealing
from planner.laws.published.broken_power import BrokenPower
from planner.laws.published.compute_power import ComputePower, ComputePowerFloor
from planner.laws.published.critical_batch import CriticalBatch, StepsToLoss, TokensToLoss
from planner.laws.published.data_constrained import DataConstrained, DataConstrainedExcess
from planner.laws.published.data_mixture import DataMixture
from planner.laws.published.data_power import DataPower, DataPowerFloor
from planner.laws.published.farseer import Farseer
from planner.laws.published.granularity import Granularity
from planner.laws.published.group_factors import GroupFactors
from planner.laws.published.joint_moe import JointMoe
from planner.laws.published.kaplan_joint import KaplanJoint
from planner.laws.published.multi_power import MultiPower
from planner.laws.published.over_training import OverTraining
from planner.laws.published.parallel_streams import ParallelStreams
from planner.laws.published.precision import Precision
from planner.laws.published.repeat_penalty import RepeatPenalty
from planner.laws.published.routed import Routed
from planner.laws.published.size_power import SizePower, SizePowerFloor
from planner.laws.published.skaling import Skaling
from planner.laws.published.sparsity import Sparsity
from planner.laws.published.step_law import BestBatch, BestRate, LearningSurface
from planner.laws.published.three_term import ThreeTerm
from planner.laws.published.tied import TiedChinchilla
from planner.laws.published.vocabulary import Vocabulary

PUBLISHED: tuple[type[FromFormula], ...] = (
    SizePower, SizePowerFloor, DataPower, DataPowerFloor, ComputePower, ComputePowerFloor, KaplanJoint, TiedChinchilla,
    Skaling, OverTraining, Farseer, DataConstrained, DataConstrainedExcess, RepeatPenalty, BrokenPower, Routed, Granularity,
    Sparsity, JointMoe, Vocabulary, ParallelStreams, Precision, ThreeTerm, StepsToLoss, TokensToLoss, CriticalBatch, BestRate,
    BestBatch, LearningSurface, DataMixture, Annealing, MultiPower, SigmoidAccuracy, AverageError, GroupFactors,
)  # fmt: skip

__all__ = ["PUBLISHED"]
