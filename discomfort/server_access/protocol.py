"""What an engine and the nodes on a server must agree on: the version of their routes, and the digest of a prompt."""

from __future__ import annotations

import hashlib
import json
from typing import Any

PROTOCOL = 2
"""Counted up when routes or node inputs change so that an older client could not use them."""

DIGEST = r"d1-[0-9a-f]{32}"
"""The form of a value's content digest."""


def prompt_digest(prompt: Any) -> str:
    """Return a digest of a prompt that is the same before and after it travels as JSON.

    Raises:
        ValueError, TypeError, RecursionError: it is not JSON.
    """
    return hashlib.sha256(json.dumps(prompt, separators=(",", ":")).encode()).hexdigest()
