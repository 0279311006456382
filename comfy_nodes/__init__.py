"""The nodes Discomfort brings into ComfyUI."""
