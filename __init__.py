"""What ComfyUI loads when this repository is cloned into its `custom_nodes` folder.

The library is then importable as `discomfort` and as `custom_nodes.discomfort.discomfort`: both names are one module.
"""

import importlib.util
import sys
from pathlib import Path

# By its path: whoever loads this file, a test runner for example, may know no package that it belongs to.
_SPEC = importlib.util.spec_from_file_location(
    "discomfort_injected", Path(__file__).resolve().parent / "comfy_nodes" / "inject" / "discomfort" / "__init__.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
_injected = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_injected)

if __name__.startswith("custom_nodes."):
    sys.modules[f"{__name__}.discomfort"] = sys.modules["discomfort"]

NODE_CLASS_MAPPINGS = _injected.NODE_CLASS_MAPPINGS
NODE_DISPLAY_NAME_MAPPINGS = _injected.NODE_DISPLAY_NAME_MAPPINGS
WEB_DIRECTORY = "./comfy_nodes/discomfort_nodes/web"

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
