"""The runs that wait for nodes: by width in the order of the list, and by length for gaps before a reservation."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from heapq import heappop, heappush


class Waiting:
    """Waiting runs, numbered by their place on the list; -1 stands for none.

    Of all runs, waiting or not, `nodes` and `hours` say how wide and how long they are; `first` wait from the start, in order.
    """

    def __init__(self, nodes: list[int], hours: list[float], first: list[int]) -> None:
        self.nodes, self.hours = nodes, hours
        self._widths = sorted(set(nodes))
        self._line = list(first)
        self._lines: dict[int, list[int]] = {width: [] for width in self._widths}
        self._lengths: dict[int, list[tuple[float, int]]] = {width: [] for width in self._widths}
        for run in first:
            self._lines[nodes[run]].append(run)
            self._lengths[nodes[run]].append((hours[run], run))
        for lengths in self._lengths.values():
            lengths.sort()
        self._gone = bytearray(len(nodes))  # taken off, though it may still stand in a line, which is a heap

    def add(self, run: int) -> None:
        """A run whose gates are open."""
        heappush(self._line, run)
        heappush(self._lines[self.nodes[run]], run)
        insort(self._lengths[self.nodes[run]], (self.hours[run], run))

    def remove(self, run: int) -> None:
        """A run that started, or never will."""
        lengths = self._lengths[self.nodes[run]]
        del lengths[bisect_left(lengths, (self.hours[run], run))]
        self._gone[run] = 1

    def first(self) -> int:
        """The first on the list."""
        return self._head(self._line)

    def first_within(self, free: int) -> int:
        """The first on the list that needs `free` nodes at most."""
        return self.first_beside(free, free, 0.0)

    def first_beside(self, free: int, spare: int, hours: float) -> int:
        """The first on the list that fits `free` nodes, among the heads of lines within `spare` nodes and, of each wider
        width, the longest that ends within `hours`."""
        best = -1
        for width in self._widths:
            if width > free:
                break
            found = self._head(self._lines[width]) if width <= spare else self._longest(width, hours)
            if found >= 0 and not 0 <= best < found:
                best = found
        return best

    def _head(self, line: list[int]) -> int:
        while line and self._gone[line[0]]:
            heappop(line)
        return line[0] if line else -1

    def _longest(self, width: int, hours: float) -> int:
        lengths = self._lengths[width]
        place = bisect_right(lengths, (hours, len(self.nodes)))
        return lengths[place - 1][1] if place else -1
