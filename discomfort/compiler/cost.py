"""What a prompt costs a ComfyUI server beside the work of its nodes: the model by which `partition` decides.

A server looks at each node of a prompt together with everything before it, so its own cost grows with nodes times
depth. The constants were measured by `benchmarks/test_partition.py`; docs/compiler.md has the figures. Only their
ratios matter to a decision, and a factor of two in any of them changes the size of a step by less than that.
"""

from __future__ import annotations

PROMPT_SECONDS = 0.004
"""Queueing a prompt, starting it, hearing of its end."""

NODE_SECONDS = 0.0003
"""Each node of a prompt, however it lies."""

PAIR_SECONDS = 0.00002
"""Each node, for each node of the prompt's depth."""

CROSSING_SECONDS = 0.015
"""Storing a value and loading it again: an image of a megapixel (12 MB)."""

SAVING = 0.25
"""What part of a prompt's cost splitting it must save."""

SAFE_DEPTH = 256
"""The most nodes in a row that a prompt may have. Servers refuse 985, and lose their worker from 750 on; node
expansion adds to the depth while a prompt runs."""


def prompt_seconds(nodes: int, depth: int) -> float:
    """Return the predicted seconds of a prompt of `nodes` nodes, `depth` of them in a row, when nothing is cached."""
    return PROMPT_SECONDS + nodes * (NODE_SECONDS + depth * PAIR_SECONDS)
