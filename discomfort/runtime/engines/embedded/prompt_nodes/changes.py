"""Whether a result is still what its node gave: tensors count their changes, containers are compared by their items.

Nodes get the very objects that the nodes before them gave. One that changes an input in place, as a few do, changes the
result of another node, which must then not be used again. PyTorch counts the changes of a tensor and of all its views;
inference tensors, which do not count, are replaced by tensors on the same memory that do. Containers (dict, list,
tuple) are looked into, so that what a latent or a conditioning holds counts, too.

Not seen: changes of numpy arrays, of tensors through numpy, `.data` or a custom kernel, and of objects such
as models.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import eq, is_
from typing import Any

from discomfort.context.values.value_list import ValueList

_DEPTH = 4
"""How deep containers are looked into: a conditioning is a list of lists with a dict of tensors."""
_PLAIN = frozenset({int, float, str, bool, type(None), bytes, complex})
_CONTAINERS = frozenset({dict, list, tuple, ValueList})

Watch = list[tuple[Any, Any]]
"""Objects and what they were like: the count of a tensor's changes, the items of a container."""


def watch_outputs(outputs: Sequence[list[Any]]) -> Watch | None:
    """Return what `has_changed` needs to see whether any value has, None where none can.

    Inference tensors in `outputs`, and in the containers there, are replaced.
    """
    watch: Watch | None = None
    for values in outputs:
        for index, value in enumerate(values):
            if type(value) in _PLAIN:
                continue
            if watch is None:
                watch = []
            counted = _note(value, watch, _DEPTH)
            if counted is not value:
                values[index] = counted
    return watch or None


def has_changed(watch: Watch) -> bool:
    """Return whether something is no longer as it was."""
    for thing, before in watch:
        kind = type(thing)
        if kind is dict:
            same = len(thing) == len(before) and all(map(is_, thing.values(), before.values()))
            same = same and all(map(eq, thing, before))
        elif kind is list or kind is ValueList:
            same = len(thing) == len(before) and all(map(is_, thing, before))
        else:
            same = thing._version == before
        if not same:
            return True
    return False


def _note(value: Any, watch: Watch, depth: int) -> Any:
    """Add `value` to `watch`, and what is in it; return what is to be used in its place."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in _CONTAINERS:
        return _note_container(value, kind, watch, depth - 1) if depth else value
    torch = sys.modules.get("torch")
    if torch is None or kind is not torch.Tensor:
        return value
    try:
        watch.append((value, value._version))
    except RuntimeError:  # an inference tensor
        value = _counting(value, torch)
        if not value.is_inference():
            watch.append((value, value._version))
    return value


def _note_container(value: Any, kind: type, watch: Watch, depth: int) -> Any:
    items = list(value.values() if kind is dict else value)
    if not _PLAIN.issuperset(map(type, items)):
        noted = [_note(item, watch, depth) for item in items]
        if not all(map(is_, noted, items)):
            items = noted
            value = _replace_items(value, kind, noted)
    if kind is not tuple:
        watch.append((value, value.copy() if kind is dict else items))
    return value


def _replace_items(value: Any, kind: type, items: list[Any]) -> Any:
    if kind is tuple:
        return tuple(items)
    if kind is dict:
        value.update(zip(list(value), items, strict=True))
    else:
        value[:] = items
    return value


def _counting(tensor: Any, torch: Any) -> Any:
    """Return a tensor on the memory of an inference tensor that counts its changes; itself where there is none."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return tensor
    if tensor.is_conj() or tensor.is_neg() or tensor.is_nested or tensor.device.type == "meta":
        return tensor
    with torch.inference_mode(False):
        return torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(tensor)
