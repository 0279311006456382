"""A ComfyUI server of our own: its settings, its process, the guard that ends it."""
