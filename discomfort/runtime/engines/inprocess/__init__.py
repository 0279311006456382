"""ComfyUI inside this Python: the node classes of a checkout, run on the embedded engine's scheduler."""

from __future__ import annotations

from discomfort.runtime.engines.inprocess.engine import InProcessEngine

__all__ = ["InProcessEngine"]
