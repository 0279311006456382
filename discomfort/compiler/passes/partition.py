"""partition: several prompts where one would be too deep for a ComfyUI server, or where several cost it less.

The nodes lie in a row (`layout.py`), and each prompt is a stretch of it: it ends where the cost a node is least
(`cost.py`), before it is too deep. Only plain values cross, at the places that `cut` marked; a ref is rebuilt in every
prompt that uses it, by the same nodes, unless they must not run twice: then the prompt does not end between them.
Where a value is converted, a prompt ends on every engine, and with `for_speed=False` and `depth=0` only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar

from discomfort.compiler.cost import CROSSING_SECONDS, SAFE_DEPTH, SAVING, prompt_seconds
from discomfort.compiler.effects import EffectTable
from discomfort.compiler.graph import Graph, Link, Step
from discomfort.compiler.passes.layout import Layout

LOOK_AHEAD = 16
"""How many nodes beyond twice the best stretch so far are looked at for a better one."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The pass. `depth` is the most nodes in a row of a prompt (0: any); `for_speed` splits where that costs less."""

    name: ClassVar[str] = "partition"
    depth: int = SAFE_DEPTH
    for_speed: bool = True

    def __call__(self, graph: Graph, effects: EffectTable) -> Graph:
        """Return the graph with its steps."""
        layout = Layout(graph, effects)
        deepest = self.depth or len(layout.order) + 2
        stretches = [
            stretch for block in _blocks(layout) for stretch in _divide(layout, block, deepest, self.for_speed)
        ]
        if len(stretches) < 2:
            return replace(graph, steps=(Step("1", tuple(graph.nodes)),) if graph.nodes else ())
        return replace(graph, steps=_steps(layout, stretches))


class _Stretch:
    """The nodes from `start` on, with what their prompt holds beside them: grown by one node after another."""

    def __init__(self, layout: Layout, start: int, end: int | None = None) -> None:
        self._layout = layout
        self.start = start
        self.end = start
        self.depth = 0
        self.repeated: set[int] = set()
        self.loads: dict[Link, bool] = {}
        self._depths: list[int] = []
        while end is not None and self.end < end:
            self.grow()

    @property
    def cost(self) -> float:
        """The predicted seconds of the prompt."""
        size = self.end - self.start + len(self.repeated) + len(self.loads)
        return prompt_seconds(size, self.depth + 1)

    def grow(self) -> None:
        """Take in the next node."""
        layout, depth = self._layout, 1
        for source in layout.sources[self.end]:
            place = source.place
            if place >= self.start:
                before = self._depths[place - self.start]
            elif source.is_cut:
                before = layout.rebuilt[place] if layout.repeatable[place] else 1
                self.loads[source.link] = source.converts or self.loads.get(source.link, False)
            else:
                before = layout.rebuilt[place]
                self._repeat(place)
            depth = max(depth, before + 1)
        self._depths.append(depth)
        self.depth = max(self.depth, depth)
        self.end += 1

    def reads(self) -> list[Link]:
        """Return what the prompt loads: what it holds anyway is only loaded where it is converted."""
        place = self._layout.place
        return [link for link, converts in self.loads.items() if converts or place[link.node] not in self.repeated]

    def _repeat(self, place: int) -> None:
        stack = [place]
        while stack:
            place = stack.pop()
            if place in self.repeated:
                continue
            self.repeated.add(place)
            whole = self._layout.whole[place]
            for source in self._layout.sources[place]:
                if source.is_cut and not whole:
                    self.loads[source.link] = source.converts or self.loads.get(source.link, False)
                else:
                    stack.append(source.place)


def _blocks(layout: Layout) -> list[tuple[int, int]]:
    """Return the stretches of one stage each."""
    stage = layout.stage
    ends = [place for place in range(1, len(stage)) if stage[place] != stage[place - 1]]
    return list(zip([0, *ends], [*ends, len(stage)], strict=True)) if stage else []


def _divide(layout: Layout, block: tuple[int, int], deepest: int, for_speed: bool) -> list[_Stretch]:
    """Return the prompts of one block, itself where dividing it does not pay."""
    start, end = block
    alone = _Stretch(layout, start, end)
    fits = alone.depth < deepest
    if fits and not for_speed:
        return [alone]
    found: list[_Stretch] = []
    total = 0.0
    while start < end:
        stretch = _Stretch(layout, start, _best_end(layout, start, end, deepest, for_speed))
        found.append(stretch)
        start = stretch.end
        total += stretch.cost + CROSSING_SECONDS * layout.width[start]
    return [alone] if fits and total > (1 - SAVING) * alone.cost else found


def _best_end(layout: Layout, start: int, end: int, deepest: int, for_speed: bool) -> int:
    """Return where the prompt that begins at `start` ends best."""
    stretch = _Stretch(layout, start)
    best, least = end, inf
    while stretch.end < end:
        stretch.grow()
        place, length = stretch.end, stretch.end - start
        too_deep = stretch.depth >= deepest
        if too_deep and least < inf:
            break
        if place < end and layout.closed[place]:
            continue
        rate = -float(place)
        if for_speed:
            rate = (stretch.cost + CROSSING_SECONDS * layout.width[place]) / length
        if rate < least:
            best, least = place, rate
        elif length > 2 * (best - start) + LOOK_AHEAD:
            break
        if too_deep:
            break
    return best


def _steps(layout: Layout, stretches: Sequence[_Stretch]) -> tuple[Step, ...]:
    reads = [stretch.reads() for stretch in stretches]
    writes: list[dict[Link, None]] = [{} for _ in stretches]
    owner = [index for index, stretch in enumerate(stretches) for _ in range(stretch.start, stretch.end)]
    for links in reads:
        for link in links:
            writes[owner[layout.place[link.node]]][link] = None
    return tuple(
        Step(
            str(index + 1), tuple(layout.order[stretch.start : stretch.end]), tuple(reads[index]), tuple(writes[index])
        )
        for index, stretch in enumerate(stretches)
    )
