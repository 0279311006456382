"""ComfyUI's model-free core nodes, for the embedded engine: same class names, same inputs, same results.

The classes follow the V1 protocol. Where ComfyUI's own class has dynamic inputs, the declaration is ComfyUI's and the
scheduler nests what arrives, as ComfyUI does, before it calls FUNCTION:

- `COMFY_AUTOGROW_V3`: prompt keys `images.image0`, `images.image1` … arrive as `images={"image0": …, "image1": …}`,
  in the order of the prompt;
- `COMFY_DYNAMICCOMBO_V3`: prompt keys `resize_type`, `resize_type.width` … arrive as
  `resize_type={"resize_type": "scale dimensions", "width": …}`;
- a class with `ACCEPT_ALL_INPUTS = True` (CustomCombo) is also given the inputs that it does not declare;
- a literal `{"__value__": x}` means `x` (ComfyUI's frontend wraps lists so, to distinguish them from links).

`COMFY_MATCHTYPE_V3` is any type. Importing this package imports torch.
"""

from __future__ import annotations

from typing import Any

from discomfort.runtime.engines.embedded.pack import files
from discomfort.runtime.engines.embedded.pack.images import (
    batches,
    colors,
    compositing,
    filters,
    geometry,
    images,
    masks,
    porter_duff,
    tiles,
)
from discomfort.runtime.engines.embedded.pack.latents import latents, sigmas, vae
from discomfort.runtime.engines.embedded.pack.protocol import (
    NODE_CLASS_MAPPINGS,
    NODE_DISPLAY_NAME_MAPPINGS,
    describe,
)
from discomfort.runtime.engines.embedded.pack.values import logic, mathematics, primitives, strings

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "THEMES", "describe", "object_info"]

THEMES = (
    images,
    filters,
    colors,
    geometry,
    tiles,
    compositing,
    porter_duff,
    masks,
    batches,
    latents,
    vae,
    files,
    strings,
    primitives,
    mathematics,
    logic,
    sigmas,
)
"""The pack's modules, in the order of the documentation."""


def object_info() -> dict[str, Any]:
    """Return the pack as ComfyUI's `/object_info` describes it, with the files that are there now."""
    return {name: describe(name) for name in NODE_CLASS_MAPPINGS}
