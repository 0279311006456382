"""ComfyUI's types: which values, links and parameters fit together."""
