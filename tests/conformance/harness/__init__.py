"""The official ComfyUI frontend as a black box: what it makes of a workflow, asked in a real browser."""
