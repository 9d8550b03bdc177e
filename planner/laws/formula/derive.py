"""Exact first and second derivatives of a graph in its atoms, as more nodes of the same graph."""

from __future__ import annotations

from functools import cache

from planner.laws.formula.graph import Graph


def gradient(graph: Graph, root: int) -> list[int]:
    """The node of d root / d atom for every atom, by the reverse mode."""
    atoms = len(graph.atoms)
    found, pulled = [graph.zero] * atoms, {root: graph.one}
    for place in range(root, -1, -1):
        if place not in pulled or graph.fixed[place]:
            continue
        node, over = graph.nodes[place], pulled[place]
        if node.op in ("atom", "term"):
            k = node.args[0]
            found[k] = graph.add(found[k], over if node.op == "atom" else graph.mul(over, place))
            continue
        for argument, local in _partials(graph, place):
            pulled[argument] = graph.add(pulled.get(argument, graph.zero), graph.mul(over, local))
    return found


def second(graph: Graph, first: list[int]) -> dict[tuple[int, int], int]:
    """Nodes of the second derivatives in atoms k <= l, where they are not zero everywhere, by the forward mode."""

    @cache
    def forward(place: int, atom: int) -> int:
        node = graph.nodes[place]
        if graph.fixed[place]:
            return graph.zero
        if node.op in ("atom", "term"):
            if node.args[0] != atom:
                return graph.zero
            return graph.one if node.op == "atom" else place
        total = graph.zero
        for argument, local in _partials(graph, place):
            total = graph.add(total, graph.mul(local, forward(argument, atom)))
        return total

    pairs = {(k, m): forward(first[m], k) for m in range(len(first)) for k in range(m + 1)}
    return {pair: node for pair, node in pairs.items() if node != graph.zero}


def _partials(graph: Graph, place: int) -> list[tuple[int, int]]:
    """(argument, d node / d argument) of one operation on theta."""
    op, args, value = graph.nodes[place]
    if op == "add":
        local = [(args[0], graph.one), (args[1], graph.one)]
    elif op == "mul":
        local = [(args[0], args[1]), (args[1], args[0])]
    elif op == "exp":
        local = [(args[0], place)]
    elif op == "log":
        local = [(args[0], graph.power(args[0], -1.0))]
    elif op == "softplus":
        local = [(args[0], graph.sigmoid(args[0]))]
    elif op == "sigmoid":
        local = [(args[0], graph.mul(place, graph.add(graph.one, graph.mul(graph.number(-1), place))))]
    else:
        local = [(args[0], graph.mul(graph.number(value), graph.power(args[0], value - 1)))]
    return [(argument, partial) for argument, partial in local if not graph.fixed[argument]]
