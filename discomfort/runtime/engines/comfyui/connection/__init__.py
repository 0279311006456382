"""One connection to a ComfyUI server, and the prompts in flight on it."""
