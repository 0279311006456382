"""What executes a prompt: embedded, comfyui, inprocess."""
