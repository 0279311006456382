"""Workflows joined into one document that ComfyUI's editor opens."""
