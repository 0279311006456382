"""From a workflow, in whatever form it comes, to the graph that the official editor would run."""

from discomfort.compiler.frontend.load import load_workflow
from discomfort.compiler.frontend.workflow import FrontendOptions, Workflow

__all__ = ["FrontendOptions", "Workflow", "load_workflow"]
