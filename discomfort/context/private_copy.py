"""Values that may be changed without changing those that they were copied from."""

from __future__ import annotations

import sys
from operator import is_
from typing import Any

from discomfort.context.values.value_list import ValueList

_PLAIN = frozenset({int, float, str, bool, type(None), bytes, complex})


def private_copy(value: Any) -> Any:
    """Return a value that may be changed without changing `value`: tensors and plain containers are copied.

    Everything else, such as a model, is the same object. What is in a container twice is so in the copy.
    """
    return _copied(value, {}, [])


def _copied(value: Any, made: dict[int, Any], kept: list[Any]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if id(value) in made:
        return made[id(value)]
    copy = value
    if kind is dict:
        copy = made[id(value)] = {}
        for key, item in value.items():
            copy[key] = _copied(item, made, kept)
    elif kind is list or kind is ValueList:
        copy = made[id(value)] = kind()
        copy.extend(_copied(item, made, kept) for item in value)
    elif kind is tuple:
        items = tuple(_copied(item, made, kept) for item in value)
        copy = value if all(map(is_, items, value)) else items
    else:
        copy = _copied_tensor(value)
    made[id(value)] = copy
    kept.append(value)
    return copy


def _copied_tensor(value: Any) -> Any:
    torch = sys.modules.get("torch")
    if torch is None or type(value) is not torch.Tensor:
        return value
    with torch.inference_mode(False):
        return value.detach().clone() if not value.requires_grad else value.detach().clone().requires_grad_()
