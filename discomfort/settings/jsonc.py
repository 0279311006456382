"""JSON with comments, as the configuration files of Discomfort are written."""

from __future__ import annotations

import json
import re
from typing import Any

# A string is matched first, so that "http://host" inside one is never taken for a comment. What never closes is matched
# up to the end, so that it is looked at once.
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*\\?(?:"|\Z)|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)


def loads_jsonc(text: str) -> Any:
    """Parse JSON that may hold ``//`` and ``/* */`` comments.

    Comments are blanked, not cut, so that the line and column of a syntax error are those of the file.

    Raises:
        json.JSONDecodeError: the text is not JSON once its comments are gone.
    """
    return json.loads(_STRING_OR_COMMENT.sub(_blank_comment, text))


def _blank_comment(match: re.Match[str]) -> str:
    text = match.group()
    if text.startswith('"') or (text.startswith("/*") and (len(text) < 4 or not text.endswith("*/"))):
        return text  # a comment that never closes stays, and is what is wrong
    return "".join("\n" if character == "\n" else " " for character in text)
