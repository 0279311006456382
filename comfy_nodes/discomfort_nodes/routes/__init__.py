"""The HTTP routes that Discomfort adds to a ComfyUI server."""
