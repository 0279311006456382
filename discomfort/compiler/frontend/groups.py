"""Legacy group nodes, which the editor turns into subgraphs when it loads a workflow."""

from __future__ import annotations

from discomfort.compiler.frontend.findings import Findings
from discomfort.compiler.frontend.models import SavedWorkflow


def groups_to_subgraphs(workflow: SavedWorkflow, findings: Findings) -> None:
    """Replace each group node by a subgraph host."""
