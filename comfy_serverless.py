"""The name that the earlier Discomfort had for its ComfyUI server; see docs/earlier-discomfort.md."""

from discomfort.connector import ComfyConnector

__all__ = ["ComfyConnector"]
