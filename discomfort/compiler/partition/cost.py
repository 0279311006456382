"""What a prompt costs a ComfyUI server besides the work of its nodes: the model by which `partition` decides.

A server looks at each node of a prompt together with all that comes before it and with all that is still to run, so
its own cost grows with nodes times depth, and with nodes times nodes. The constants were fitted to what
`benchmarks/test_partition.py` measured on ComfyUI 0.33.0 (figures: docs/contributing/compiler.md). Only their ratios
matter to a decision, and the best size of a prompt follows their square root.
"""

from __future__ import annotations

PROMPT_SECONDS = 0.004
"""Queueing a prompt, starting it, hearing of its end."""

NODE_SECONDS = 0.0006
"""Each node of a prompt, however it lies."""

PAIR_SECONDS = 0.0000085
"""Each node, for each node of the mean of the prompt's depth and size."""

CROSSING_SECONDS = 0.01
"""Storing a value and loading it again: between what images of 64 and of 1024 pixels a side take."""

SAVING = 0.25
"""What part of a prompt's cost splitting it must save."""

SAFE_DEPTH = 256
"""The most nodes in a row that a prompt may have. Servers refuse 985, and lose their worker from 750 on; node
expansion adds to the depth while a prompt runs."""


def prompt_seconds(nodes: int, depth: int) -> float:
    """Return the predicted seconds of a prompt of `nodes` nodes, `depth` of them in a row, when nothing is cached."""
    return PROMPT_SECONDS + nodes * (NODE_SECONDS + (depth + nodes) / 2 * PAIR_SECONDS)
