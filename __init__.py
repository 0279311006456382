"""What ComfyUI loads when this repository is cloned into its `custom_nodes` folder.

The library is then importable as `discomfort` and as `custom_nodes.discomfort.discomfort`: both names are one module.
"""

import sys

from .comfy_nodes.inject.discomfort import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

if __name__.startswith("custom_nodes."):
    sys.modules[f"{__name__}.discomfort"] = sys.modules["discomfort"]

WEB_DIRECTORY = "./comfy_nodes/discomfort_nodes/web"

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
