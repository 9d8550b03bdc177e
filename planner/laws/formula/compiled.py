"""A formula ready to be evaluated, with both derivatives, at many thetas at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from planner.laws.centre import Array
from planner.laws.formula.derive import gradient, second
from planner.laws.formula.expansion import Entry, FormulaExpansion, Prepared
from planner.laws.formula.graph import Graph
from planner.laws.formula.lower import Coordinate, Lowering
from planner.laws.formula.program import Register, Step, function_of, program, run
from planner.laws.formula.syntax import Expression

HUGE = 1e150  # its square is still a number
REMEMBERED = 8  # sets of runs whose own part is kept


class Pair(NamedTuple):
    """One theta in one atom, with the node of its coefficient."""

    theta: int
    atom: int
    coefficient: int


class Compiled:
    """y as a graph over atoms, its derivatives, and the order to compute them in.

    `logarithmic` says that what is fitted is ln y.
    """

    def __init__(
        self, root: Expression, letters: Mapping[str, Coordinate], variables: tuple[str, ...], log: bool
    ) -> None:
        graph = Graph()
        lowering = Lowering(graph, letters, {name: j for j, name in enumerate(variables)})
        self.graph, self.p, self.logarithmic = graph, len(letters), log
        self.root = lowering.node(root)
        self.first = gradient(graph, self.root)
        self.second = second(graph, self.first)
        self.leaves = [(i, node.op, node.args[0]) for i, node in enumerate(graph.nodes) if node.op in ("atom", "term")]
        self._prepared: dict[tuple[tuple[int, ...], bytes], Prepared] = {}

    @cached_property
    def value_steps(self) -> list[Step]:
        """The steps to y."""
        return program(self.graph, [self.root], set())

    @cached_property
    def gradient_steps(self) -> list[Step]:
        """The steps to dy that follow those to y."""
        return program(self.graph, self.first, {step.out for step in self.value_steps})

    @cached_property
    def hessian_steps(self) -> list[Step]:
        """The steps to d2y that follow those to dy."""
        done = {step.out for step in (*self.value_steps, *self.gradient_steps)}
        return program(self.graph, list(self.second.values()), done)

    @cached_property
    def risky(self) -> list[int]:
        """Nodes of y that may overflow while y itself does not: none in a sum of exponentials."""
        curved = [step.out for step in self.value_steps if self.graph.nodes[step.out].op in ("exp", "log", "power")]
        terms = [place for place, op, _ in self.leaves if op == "term"]
        return terms + curved if curved else []

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every theta of every atom, by atom."""
        return [Pair(i, k, c) for k, atom in enumerate(self.graph.atoms) for i, c in atom.coefficients]

    @cached_property
    def atom_slices(self) -> list[slice]:
        """The pairs of each atom."""
        ends = np.cumsum([0] + [len(atom.coefficients) for atom in self.graph.atoms])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    @cached_property
    def gather(self) -> Array:
        """Sums pairs into thetas, `(c, p)`."""
        return np.array([[float(pair.theta == i) for i in range(self.p)] for pair in self.pairs])

    @cached_property
    def apart(self) -> bool:
        """Whether every theta is in one atom only."""
        return bool((self.gather.sum(0) <= 1).all())

    @cached_property
    def entries(self) -> list[Entry]:
        """Every pair of atoms k <= l, the node of its second derivative (-1: zero), and its columns of `scatter`."""
        found, start = [], 0
        for k in range(len(self.graph.atoms)):
            for m in range(k, len(self.graph.atoms)):
                end = start + len(self._index_pairs(k, m))
                found.append(Entry(k, m, self.second.get((k, m), -1), slice(start, end)))
                start = end
        return found

    @cached_property
    def scatter(self) -> Array:
        """Where sums over products of coefficients go in the Hessian, `(n, p p)`."""
        rows = []
        for k, m, _, _ in self.entries:
            for i, j in self._index_pairs(k, m):
                row = np.zeros((self.p, self.p))
                row[i, j] += 1
                if k != m or i != j:
                    row[j, i] += 1
                rows.append(row.ravel())
        return np.array(rows)

    def expand(self, theta: Array, x: Array) -> FormulaExpansion:
        """y at thetas `(S, p)` of runs `(v, m)`, ready for its derivatives."""
        at = self.prepared(x)
        registers = at.registers.copy()
        with np.errstate(all="ignore"):
            values = [theta @ slopes for slopes in at.slopes]
            for k, constant in enumerate(at.constants):
                if constant is not None:
                    values[k] = values[k] + constant
            for place, op, k in self.leaves:
                registers[place] = np.exp(values[k]) if op == "term" else values[k]
            run(self.value_steps, registers)
            y = np.asarray(registers[self.root])
            if y.shape[1] != at.m:
                y = np.repeat(y, at.m, axis=1)
            f = np.log(y) if self.logarithmic else y
            return FormulaExpansion(self, at, registers, y, self._trusted(f, registers))

    def _trusted(self, f: Array, registers: list[Register]) -> Array:
        """f, but nan where an operation on the way has overflown, for the derivatives then have no value."""
        for place in self.risky:
            value = np.asarray(registers[place])
            if not np.vdot(value, value) < np.inf:
                f = np.where(np.abs(value) < HUGE, f, np.nan)
        return f

    def prepared(self, x: Array) -> Prepared:
        """The runs' own part at x `(v, m)`, kept for the next call."""
        key = x.shape, x.tobytes()
        found = self._prepared.get(key)
        if found is None:
            while len(self._prepared) >= REMEMBERED:
                self._prepared.pop(next(iter(self._prepared)), None)
            found = self._prepared[key] = self._prepare(x)
        return found

    def _prepare(self, x: Array) -> Prepared:
        graph, m, atoms = self.graph, x.shape[1], self.graph.atoms
        registers = self._own_registers(x)

        def full(place: int) -> Array:
            return np.broadcast_to(np.asarray(registers[place], float), (m,))

        coefficients = np.stack([full(pair.coefficient) for pair in self.pairs], axis=1)
        dense = np.zeros((len(atoms), self.p, m))
        for column, pair in enumerate(self.pairs):
            dense[pair.atom, pair.theta] = coefficients[:, column]
        products = [
            np.stack([dense[k, i] * dense[n, j] for i, j in self._index_pairs(k, n)], axis=1)
            for k, n, _, _ in self.entries
        ]
        constants = [None if atom.constant == graph.zero else np.asarray(registers[atom.constant]) for atom in atoms]
        alike = [all(graph.nodes[c].op == "number" for _, c in atom.coefficients) for atom in atoms]
        slopes = [row[:, :1] if same else row for row, same in zip(dense, alike, strict=True)]
        return Prepared(registers, constants, slopes, coefficients, products, m)

    def _own_registers(self, x: Array) -> list[Register]:
        registers: list[Register] = [np.nan] * len(self.graph.nodes)
        with np.errstate(all="ignore"):
            for place, node in enumerate(self.graph.nodes):
                if node.op in ("number", "column"):
                    registers[place] = node.value if node.op == "number" else x[node.args[0]]
                elif self.graph.fixed[place]:
                    registers[place] = function_of(node.op, node.value)(*(registers[a] for a in node.args))
        return registers

    def _index_pairs(self, k: int, m: int) -> list[tuple[int, int]]:
        """Pairs of thetas of two atoms; each unordered pair once when it is the same atom."""
        first, then = ([i for i, _ in self.graph.atoms[a].coefficients] for a in (k, m))
        return [(i, j) for i in first for j in then if k != m or i <= j]
