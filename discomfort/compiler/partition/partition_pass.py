"""partition: several prompts where one would be too deep for a ComfyUI server, or where several cost it less.

The nodes lie in a row (`row.py`), and each prompt is a stretch of it: it ends where the cost a node is least
(`cost.py`), before it is too deep. Only plain values cross, at the places that `cut` marked; a ref is rebuilt in every
prompt that uses it, by the same nodes, unless they must not run twice: then the prompt does not end between them.
Where a value is converted, a prompt ends on every engine, and with `for_speed=False` and `depth=0` only there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import inf
from typing import ClassVar

from discomfort.compiler.partition.cost import CROSSING_SECONDS, SAFE_DEPTH, SAVING, prompt_seconds
from discomfort.compiler.partition.row import Row
from discomfort.ir.catalog.effects import EffectTable
from discomfort.ir.graph import Graph, Link, NodeId, Step
from discomfort.ir.walk import reachable

LOOK_AHEAD_TIMES = 1.5
LOOK_AHEAD = 16
"""A better stretch is looked for up to so many times the length of the best one so far, and so many nodes beyond."""

NEVER_ONE = 1000
"""A block of so many nodes is always worth dividing, without computing what it would cost undivided."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The pass. `depth` is the most nodes in a row of a prompt (0: any); `for_speed` splits where that costs less."""

    name: ClassVar[str] = "partition"
    depth: int = SAFE_DEPTH
    for_speed: bool = True

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph with its steps."""
        row = Row(graph, effects)
        deepest = self.depth or len(row.order) + 2
        stretches = [
            stretch for block in _blocks(row) for stretch in _divide(row, block, deepest, for_speed=self.for_speed)
        ]
        if len(stretches) < 2:
            return replace(graph, steps=(Step("1", tuple(graph.nodes)),) if graph.nodes else ())
        return replace(graph, steps=_steps(row, stretches))


@dataclass(slots=True)
class _Stretch:
    """The nodes from `start` to `end`: one prompt.

    `depth` counts the nodes in a row. Besides its own nodes the prompt holds those it repeats to rebuild refs, and
    `loads` values of earlier prompts, some of them (`converted`) as another type.
    """

    start: int
    end: int
    depth: int
    repeated: dict[int, None]
    loads: dict[Link, None]
    converted: dict[Link, None]

    @property
    def cost(self) -> float:
        """The predicted seconds of the prompt."""
        return prompt_seconds(self.end - self.start + len(self.repeated) + len(self.loads), self.depth + 1)

    def reads(self, place: Mapping[NodeId, int]) -> list[Link]:
        """Return what the prompt loads: what it holds anyway is only loaded where it is converted."""
        return [link for link in self.loads if link in self.converted or place[link.node] not in self.repeated]


class _Growing:
    """A stretch that takes in one node after another, and can give any of its beginnings."""

    def __init__(self, row: Row, start: int) -> None:
        self._row = row
        self._depths: list[int] = []
        self._found = _Stretch(start, start, 0, {}, {}, {})
        self.now = self._found

    def grow(self) -> None:
        """Take in the next node."""
        row, found, depth = self._row, self._found, 1
        for place, link, is_cut, converts in row.sources[found.end]:
            if place >= found.start:
                before = self._depths[place - found.start]
            elif is_cut:
                before = row.rebuilt[place] if row.repeatable[place] else 1
                found.loads[link] = None
                if converts:
                    found.converted[link] = None
            else:
                before = row.rebuilt[place]
                self._repeat(place)
            depth = max(depth, before + 1)
        self._depths.append(depth)
        found.depth = max(found.depth, depth)
        found.end += 1

    def _repeat(self, place: int) -> None:
        found = self._found

        def producers(place: int) -> Iterator[int]:
            if place in found.repeated:
                return
            found.repeated[place] = None
            whole = self._row.whole[place]
            for producer, link, is_cut, converts in self._row.sources[place]:
                if is_cut and not whole:
                    found.loads[link] = None
                    if converts:
                        found.converted[link] = None
                else:
                    yield producer

        reachable([place], producers)

    def mark(self) -> tuple[int, int, int, int, int]:
        """Return what `until` needs to give the stretch as it is now."""
        found = self._found
        return found.end, found.depth, len(found.repeated), len(found.loads), len(found.converted)

    def until(self, mark: tuple[int, int, int, int, int]) -> _Stretch:
        """Return the stretch as it was when `mark` was taken."""
        found, (end, depth, repeated, loads, converted) = self._found, mark
        return _Stretch(
            found.start,
            end,
            depth,
            dict.fromkeys(islice(found.repeated, repeated)),
            dict.fromkeys(islice(found.loads, loads)),
            dict.fromkeys(islice(found.converted, converted)),
        )


def _blocks(row: Row) -> list[tuple[int, int]]:
    """Return the stretches of one stage each, or of several where a prompt may not end between them."""
    stage, closed = row.stage, row.closed
    ends = [place for place in range(1, len(stage)) if stage[place] != stage[place - 1] and not closed[place]]
    return list(zip([0, *ends], [*ends, len(stage)], strict=True)) if stage else []


def _divide(row: Row, block: tuple[int, int], deepest: int, *, for_speed: bool) -> list[_Stretch]:
    """Return the prompts of one block: itself, where dividing it does not pay."""
    start, end = block
    found: list[_Stretch] = []
    total = 0.0
    while start < end:
        stretch = _best(row, start, end, deepest, for_speed=for_speed)
        found.append(stretch)
        start = stretch.end
        total += stretch.cost + CROSSING_SECONDS * row.width[start]
    if len(found) < 2 or not for_speed or end - block[0] >= NEVER_ONE:
        return found
    alone = _Growing(row, block[0])
    for _ in range(block[0], end):
        alone.grow()
    return [alone.now] if alone.now.depth < deepest and total > (1 - SAVING) * alone.now.cost else found


def _best(row: Row, start: int, end: int, deepest: int, *, for_speed: bool) -> _Stretch:
    """Return the best prompt that begins at `start`."""
    growing, least = _Growing(row, start), inf
    now, mark = growing.now, growing.mark()
    while now.end < end:
        growing.grow()
        too_deep = now.depth >= deepest
        if too_deep and least < inf:
            break
        if now.end < end and row.closed[now.end]:
            continue
        rate = -float(now.end)
        if for_speed:
            rate = (now.cost + CROSSING_SECONDS * row.width[now.end]) / (now.end - start)
        if rate < least:
            mark, least = growing.mark(), rate
        elif now.end - start > LOOK_AHEAD_TIMES * (mark[0] - start) + LOOK_AHEAD:
            break
        if too_deep:
            break
    return growing.until(mark)


def _steps(row: Row, stretches: Sequence[_Stretch]) -> tuple[Step, ...]:
    reads = [stretch.reads(row.place) for stretch in stretches]
    writes: list[dict[Link, None]] = [{} for _ in stretches]
    owner = [index for index, stretch in enumerate(stretches) for _ in range(stretch.start, stretch.end)]
    for links in reads:
        for link in links:
            writes[owner[row.place[link.node]]][link] = None
    return tuple(
        Step(str(index + 1), tuple(row.order[stretch.start : stretch.end]), tuple(reads[index]), tuple(writes[index]))
        for index, stretch in enumerate(stretches)
    )
