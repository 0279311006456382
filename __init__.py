"""What ComfyUI loads when this repository is cloned into its `custom_nodes` folder.

The packages beside this file are then importable under their own names, and as `custom_nodes.discomfort.discomfort`:
both names are one module.
"""

import importlib
import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parent)
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

if __name__.startswith("custom_nodes."):
    sys.modules[f"{__name__}.discomfort"] = importlib.import_module("discomfort")

_nodes = importlib.import_module("comfy_nodes")

NODE_CLASS_MAPPINGS = _nodes.NODE_CLASS_MAPPINGS
NODE_DISPLAY_NAME_MAPPINGS = _nodes.NODE_DISPLAY_NAME_MAPPINGS
WEB_DIRECTORY = "./comfy_nodes/web"

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
