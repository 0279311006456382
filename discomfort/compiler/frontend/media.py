"""x."""

from __future__ import annotations

from discomfort.compiler.frontend.findings import Findings


def is_media(content: bytes) -> bool:
    """Return whether."""
    return False


def embedded_workflow(content: bytes, findings: Findings) -> bytes | None:
    """Return."""
    return None
