"""The name that the earlier Discomfort had for `discomfort.WorkflowTools`; see docs/earlier-discomfort.md."""

from discomfort import WorkflowTools

__all__ = ["WorkflowTools"]
