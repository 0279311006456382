"""The name that the earlier Discomfort had for `discomfort.WorkflowContext`; see docs/earlier-discomfort.md."""

from discomfort import WorkflowContext

__all__ = ["WorkflowContext"]
