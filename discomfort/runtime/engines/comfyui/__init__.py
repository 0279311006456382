"""The engine that runs prompts on a ComfyUI server."""
