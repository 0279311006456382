"""How values get to a ComfyUI server and back."""
