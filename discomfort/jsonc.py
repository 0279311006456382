"""JSON with comments, as the configuration files of Discomfort are written."""

from __future__ import annotations

import json
import re
from typing import Any

# A string is matched first, so that "http://host" inside one is never taken for a comment.
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def loads_jsonc(text: str) -> Any:
    """Parse JSON that may hold ``//`` and ``/* */`` comments.

    Comments are blanked, not cut, so that the line and column of a syntax error are those of the file.

    Raises:
        json.JSONDecodeError: the text is not JSON once its comments are gone.
    """
    return json.loads(_STRING_OR_COMMENT.sub(_blank_comment, text))


def _blank_comment(match: re.Match[str]) -> str:
    found = match.group()
    if found.startswith('"'):
        return found
    return "".join("\n" if character == "\n" else " " for character in found)
