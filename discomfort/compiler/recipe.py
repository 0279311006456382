"""Recipes: the minimal closed subgraph that rebuilds a ref.

A recipe holds exactly the ancestors of its output (law L5) and no parameter: what it read by value was captured when
it was saved. Its nodes are named by what they compute, so that equal recipes become the same nodes with the same ids,
whichever workflow they came from and whichever prompt they are spliced into (laws R3 and L6).
"""

from __future__ import annotations

from dataclasses import dataclass

from discomfort.compiler.graph import Graph, Link


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to rebuild one value: `graph`, the `output` in it, ComfyUI's `type` of it, and its Merkle `key`."""

    graph: Graph
    output: Link
    type: str
    key: str
