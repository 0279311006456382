"""The nodes that Discomfort adds to ComfyUI.

ComfyUI loads this package as a custom node; what it looks for are the three names below. Everything a node needs
beyond the standard library is imported when the node runs, so a ComfyUI in which something is missing still starts,
and the node that misses it says what to install.
"""

from __future__ import annotations

from discomfort_nodes.nodes.context_values import DiscomfortContextLoader, DiscomfortContextSaver
from discomfort_nodes.nodes.port import DiscomfortPort
from discomfort_nodes.nodes.test_runner import DiscomfortTestRunner, watch_prompts
from discomfort_nodes.routes import editor, fingerprints, validation  # noqa: F401  (importing declares their routes)
from discomfort_nodes.routes.engine import add_routes

NODE_CLASS_MAPPINGS: dict[str, type] = {
    "DiscomfortPort": DiscomfortPort,
    "DiscomfortTestRunner": DiscomfortTestRunner,
    "DiscomfortContextLoader": DiscomfortContextLoader,
    "DiscomfortContextSaver": DiscomfortContextSaver,
}

NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {
    "DiscomfortPort": "Discomfort Port (Input/Output)",
    "DiscomfortTestRunner": "Discomfort Test Runner",
    "DiscomfortContextLoader": "Discomfort Context Loader (internal)",
    "DiscomfortContextSaver": "Discomfort Context Saver (internal)",
}

WEB_DIRECTORY = "./web"
"""Where the editor's part lies, relative to this package. The injecting package gives it as an absolute path."""

add_routes()
watch_prompts()

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
