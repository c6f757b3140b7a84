"""Room for the columns of a code: a column that is no longer read makes room for others."""

from bisect import bisect_right

from mrftool.inference.native.instructions import Code


def places_of(code: Code) -> tuple[list[int], int]:
    """The place of each column, and how many places there are. Constants come first."""
    firsts, sizes = [first for first, _ in code.ranges], dict(code.ranges)
    places = [0] * code.n_columns
    room = _Room(_place_constants(code, places))
    leaving = _leaving(code, firsts)
    taken: set[int] = set()
    for step, instruction in enumerate(code.instructions):
        first = firsts[bisect_right(firsts, instruction.to) - 1]
        if instruction.writes and first not in taken:
            taken.add(first)
            start = room.take(sizes[first])
            places[first : first + sizes[first]] = range(start, start + sizes[first])
        for gone in leaving.get(step, ()):
            room.give_back(places[gone], sizes[gone])
    return places, room.end


def _place_constants(code: Code, places: list[int]) -> int:
    """Give constants the first places, and tell how many."""
    end = 0
    for first, values in code.constants:
        count = len(values) // 4
        places[first : first + count] = range(end, end + count)
        end += count
    return end


def _leaving(code: Code, firsts: list[int]) -> dict[int, list[int]]:
    """The ranges, by their first columns, that are no longer needed after each instruction."""
    fixed = {first for first, _ in code.constants}
    leaving: dict[int, list[int]] = {}
    for first, last in _last_uses(code, firsts).items():
        if first not in fixed:
            leaving.setdefault(last, []).append(first)
    return leaving


def _last_uses(code: Code, firsts: list[int]) -> dict[int, int]:
    """Which instruction is the last to read or write each range, by its first column."""
    listed = dict(code.lists)
    last: dict[int, int] = {}
    for step, instruction in enumerate(code.instructions):
        columns = [first for first, _ in instruction.operands]
        if instruction.operation == "pairs":
            columns += listed[instruction.at]
        if instruction.writes:
            columns.append(instruction.to)
        for column in columns:
            last[firsts[bisect_right(firsts, column) - 1]] = step
    return last


class _Room:
    """Free places, as the first gap that is large enough."""

    def __init__(self, start: int) -> None:
        self.end = start
        self._gaps: list[tuple[int, int]] = []

    def take(self, count: int) -> int:
        for k, (first, size) in enumerate(self._gaps):
            if size >= count:
                self._gaps[k] = (first + count, size - count)
                return first
        first = self.end
        if self._gaps and sum(self._gaps[-1]) == self.end:
            first = self._gaps.pop()[0]
        self.end = first + count
        return first

    def give_back(self, first: int, count: int) -> None:
        gaps = sorted(gap for gap in (*self._gaps, (first, count)) if gap[1])
        self._gaps = [gaps[0]]
        for start, size in gaps[1:]:
            before, length = self._gaps[-1]
            if before + length == start:
                self._gaps[-1] = (before, length + size)
            else:
                self._gaps.append((start, size))
