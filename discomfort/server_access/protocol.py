"""What an engine and the nodes on a server must agree on: the version of their routes, names, and digests."""

from __future__ import annotations

import hashlib
import json
from typing import Any

PROTOCOL = 2
"""Counted up when routes or node inputs change so that an older client could not use them."""

DIGEST = r"d1-[0-9a-f]{32}"
"""The form of a value's content digest."""

PORT_CLASS = "DiscomfortPort"

LOADER_CLASS = "DiscomfortContextLoader"
"""Inputs: `digest` (a value's content digest) and `value_type` (ComfyUI's type, for people). One any-typed output."""

PENDING = ""
"""The digest in a loader for a value that an earlier prompt will compute, in prompts that are only validated."""

SAVER_CLASS = "DiscomfortContextSaver"
"""Inputs: `value` (a link) and `name` (the key of `PromptRequest.outputs` it answers). An output node."""

RUNNER_CLASS = "DiscomfortTestRunner"

RUNNER_OUTPUTS = 32
"""How many OUTPUT ports of a workflow the runner shows: ComfyUI wants a class's outputs to be declared."""


def prompt_digest(prompt: Any) -> str:
    """Return a digest of a prompt that is the same before and after it travels as JSON.

    Raises:
        ValueError, TypeError, RecursionError: it is not JSON.
    """
    return hashlib.sha256(json.dumps(prompt, separators=(",", ":")).encode()).hexdigest()
