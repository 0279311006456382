"""Which live objects came out of which recipe, so that saving such an object stores its recipe again.

A recipe gives the object as it was: later changes are not in it. `likeness` is what an object is like,
without keeping anything of it alive.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from discomfort.context.errors import EncodingError
from discomfort.context.refs.recipes import Recipe
from discomfort.context.values.value_list import ValueList

logger: logging.Logger = logging.getLogger("discomfort")

_STRONG = 64
_DEPTH = 5
_PLAIN = frozenset({int, float, str, bool, type(None), bytes, complex})
_PATCHES = ("patches_uuid", "model_options", "object_patches")
"""What makes one of ComfyUI's models another: a number for its patches, and its options."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The recipe of an object, and what the object was like when it came out of it."""

    recipe: Recipe
    likeness: Any

    def is_of(self, value: Any) -> bool:
        """Return whether an object is still like that."""
        return bool(likeness(value) == self.likeness)


class ObjectRecipes:
    """Remembers objects by identity, weakly where their type allows.

    A list (CONDITIONING is one) cannot be referred to weakly: the last 64 of those are kept alive.
    """

    def __init__(self) -> None:
        self._weak: dict[int, tuple[weakref.ref[Any], Origin]] = {}
        self._strong: OrderedDict[int, tuple[Any, Origin]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many objects are remembered."""
        return len(self._weak) + len(self._strong)

    def remember(self, value: Any, recipe: Recipe) -> None:
        """Note where an object came from. Atoms have no identity worth noting."""
        if value is None or type(value) in (bool, int, float, str, bytes):
            return
        key, origin = id(value), Origin(recipe, likeness(value))
        try:
            reference = weakref.ref(value, lambda _: self._weak.pop(key, None) and None)
        except TypeError:
            self._strong[key] = (value, origin)
            self._strong.move_to_end(key)
            while len(self._strong) > _STRONG:
                self._strong.popitem(last=False)
            return
        self._weak[key] = (reference, origin)

    def recipe_to_save(self, unique_id: str, value: Any) -> Recipe | None:
        """The recipe to store for an object that came out of one; None for what is to be stored itself.

        That is so for a tensor or a container that has been changed since, too.

        Raises:
            EncodingError: it is a model that has been changed.
        """
        origin = self._origin_of(value)
        if origin is None or origin.is_of(value):
            return None if origin is None else origin.recipe
        if is_plain(value):
            return None
        what = f"{unique_id!r}: the {type(value).__name__} has been changed since it was loaded"
        if has_patches(value):
            raise EncodingError(
                f"{what}, and its recipe makes it as it was; make the change in a workflow, whose result is saved as a "
                "reference, or save what came out of the reference before it is changed"
            )
        logger.warning("%s, or used by something that keeps state in it; what is stored is how it was made", what)
        return origin.recipe

    def _origin_of(self, value: Any) -> Origin | None:
        if not self._weak and not self._strong:
            return None
        weak = self._weak.get(id(value))
        if weak is not None and weak[0]() is value:
            return weak[1]
        strong = self._strong.get(id(value))
        return strong[1] if strong is not None and strong[0] is value else None


def is_plain(value: Any) -> bool:
    """Return whether a value is a tensor or a container: changed ones are stored themselves, not as their recipe."""
    return type(value) in (dict, list, tuple, ValueList) or _is_tensor(value)


def has_patches(value: Any) -> bool:
    """Is this one of ComfyUI's models, or something around one, so that every change that counts can be seen?"""
    return hasattr(value, "patches_uuid") or hasattr(getattr(value, "patcher", None), "patches_uuid")


def likeness(value: Any) -> Any:
    """What a value is like: equal for a value that has not been changed, as far as that can be seen.

    Of a tensor PyTorch's count of changes, of a container its items, of a model its patches and options, of any other
    object which objects its attributes are.
    """
    if type(value) in _PLAIN or is_plain(value) or has_patches(value):
        return _likeness(value, _DEPTH)
    return tuple((name, id(part)) for name, part in getattr(value, "__dict__", {}).items())


def _likeness(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return kind, value if value == value else repr(value)
    if depth and kind is dict:
        return kind, [(key, _likeness(item, depth - 1)) for key, item in value.items()]
    if depth and kind in (list, tuple, ValueList):
        return kind, [_likeness(item, depth - 1) for item in value]
    if _is_tensor(value):
        return id(value), None if value.is_inference() else value._version
    if depth and has_patches(value):
        patched = value if hasattr(value, "patches_uuid") else value.patcher
        parts = [getattr(patched, name, None) for name in _PATCHES]
        return id(patched), [str(parts[0]), *(_likeness(part, depth - 1) for part in parts[1:])]
    return id(value)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and type(value) is torch.Tensor
