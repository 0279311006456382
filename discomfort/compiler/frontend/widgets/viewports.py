"""What 3D viewers say of their camera: the editor sends it in place of the saved `viewport_state`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discomfort.compiler.frontend.saved.document import SavedNode

VIEWERS = frozenset(
    {
        "Load3DAdvanced",
        "Preview3DAdvanced",
        "PreviewGaussianSplat",
        "PreviewPointCloud",
        "Save3DAdvanced",
        "SaveGaussianSplat",
        "SavePointCloud",
    }
)

LAST_MODEL = "Last Time Model File"
"""The property that names the model which a viewer showed last."""

_CAMERA: Mapping[str, Any] = {
    "position": {"x": 10, "y": 10, "z": 10.000000000000002},
    "target": {"x": 0, "y": 0, "z": 0},
    "zoom": 1,
    "cameraType": "perspective",
    "quaternion": {
        "x": -0.2798481423331213,
        "y": 0.3647051996310008,
        "z": 0.11591689595929511,
        "w": 0.8804762392171493,
    },
    "fov": 35,
    "aspect": 1,
    "near": 0.01,
    "far": 10000,
    "frustum": {"left": -5, "right": 5, "top": 5, "bottom": -5},
}
"""The camera of a viewer that was never turned (observed)."""


def viewport_state(node: SavedNode, width: object, height: object) -> dict[str, Any]:
    """Return what a viewer with no model loaded sends; a camera is restored only together with the last model.

    Args:
        node: a node of one of the `VIEWERS`.
        width: the width of its pictures in pixels, as its widget holds it.
        height: their height.
    """
    camera = dict(_CAMERA)
    config = node.properties.get("Camera Config")
    state = config.get("state") if isinstance(config, Mapping) else None
    if isinstance(state, Mapping) and (node.properties.get(LAST_MODEL) or node.type == "Load3DAdvanced"):
        camera.update(state)
    if isinstance(width, (int, float)) and isinstance(height, (int, float)) and width > 0 and height > 0:
        camera["aspect"] = width / height
    if node.type == "Load3DAdvanced":
        return {"camera_info": camera, "model_3d_info": []}
    parts = {"image": "", "mask": "", "normal": "", "camera_info": camera, "recording": "", "model_3d_info": []}
    return dict(parts)
