"""Robust V-optimal design: where runs should lie so that a law tells most, with a certificate of optimality.

Belief (draws of a law) + bundles (what can be bought) + goals -> problem -> best fractions -> whole runs under constraints.
"""

from planner.sweep.design.belief import Belief, fitted_belief, prior_belief
from planner.sweep.design.bundles import Bundles, joined, single_runs, trunk_bundles
from planner.sweep.design.constraints import Constraints, Grid
from planner.sweep.design.design import Design, designed
from planner.sweep.design.goals import BestSize, ExcessLoss, Goal, LossAt, LossBand
from planner.sweep.design.optimal import SEED_NOISE, Done, Trunks, candidates, design_problem, optimal_design
from planner.sweep.design.problem import Problem, build
from planner.sweep.design.shares import Relaxed, relaxed
from planner.sweep.design.spend import Spending, budgets_around, spending

__all__ = [
    "SEED_NOISE", "Belief", "BestSize", "Bundles", "Constraints", "Design", "Done", "ExcessLoss", "Goal", "Grid", "LossAt",
    "LossBand", "Problem", "Relaxed", "Spending", "Trunks", "budgets_around", "build", "candidates", "design_problem", "designed",
    "fitted_belief", "joined", "optimal_design", "prior_belief", "relaxed", "single_runs", "spending", "trunk_bundles",
]  # fmt: skip
