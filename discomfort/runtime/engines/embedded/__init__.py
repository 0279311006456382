"""The engine that needs no ComfyUI: classes that follow the V1 node protocol, run in this process."""
