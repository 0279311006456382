"""The node classes that a ComfyUI has: their inputs, outputs and effects."""
