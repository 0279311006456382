"""Recipes and memo records: JSON that refers to values by digest, and so keeps them alive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from discomfort.context.errors import EncodingError
from discomfort.context.store.entries import Memo
from discomfort.context.values.digest import DIGEST_PATTERN

Recipe = dict[str, Any]


def recipe_value(unique_id: str, data: Any) -> Recipe:
    """Check that a value saved as a ref is a workflow.

    Raises:
        EncodingError: it is not a JSON-able object.
    """
    if not isinstance(data, Mapping):
        raise EncodingError(
            f'{unique_id!r}: pass_by="ref" stores the workflow that rebuilds the value (a dict), '
            f"not a {type(data).__name__}; objects are known only when they came out of a ref"
        )
    try:
        recipe: Recipe = json.loads(json.dumps(data))
    except (TypeError, ValueError) as error:
        raise EncodingError(f"{unique_id!r}: a workflow is made of JSON values: {error}") from error
    return recipe


def memo_of(record: Mapping[str, Any]) -> Memo:
    """A memo from a record.

    Raises:
        EncodingError: it is not JSON-able.
    """
    try:
        text = json.dumps(dict(record))
    except (TypeError, ValueError) as error:
        raise EncodingError(f"a memo record is made of JSON values: {error}") from error
    return Memo(text, referenced_digests(text))


def referenced_digests(text: str) -> tuple[str, ...]:
    """The digests that occur in a JSON text, each once, in order."""
    return tuple(dict.fromkeys(DIGEST_PATTERN.findall(text)))
