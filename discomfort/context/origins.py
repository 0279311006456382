"""Which live objects came out of which recipe, so that saving such an object stores its recipe again."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any

from discomfort.context.recipes import Recipe

_STRONG = 64


class Origins:
    """Remembers objects by identity, weakly where their type allows.

    A list (CONDITIONING is one) cannot be referred to weakly: the last 64 of those are kept alive.
    """

    def __init__(self) -> None:
        self._weak: dict[int, tuple[weakref.ref[Any], Recipe]] = {}
        self._strong: OrderedDict[int, tuple[Any, Recipe]] = OrderedDict()

    def remember(self, value: Any, recipe: Recipe) -> None:
        """Note where an object came from. Atoms have no identity worth noting."""
        if value is None or type(value) in (bool, int, float, str, bytes):
            return
        key = id(value)
        try:
            reference = weakref.ref(value, lambda _: self._weak.pop(key, None) and None)
        except TypeError:
            self._strong[key] = (value, recipe)
            self._strong.move_to_end(key)
            while len(self._strong) > _STRONG:
                self._strong.popitem(last=False)
            return
        self._weak[key] = (reference, recipe)

    def recipe_of(self, value: Any) -> Recipe | None:
        """The recipe an object came out of, if any."""
        if not self._weak and not self._strong:
            return None
        weak = self._weak.get(id(value))
        if weak is not None and weak[0]() is value:
            return weak[1]
        strong = self._strong.get(id(value))
        return strong[1] if strong is not None and strong[0] is value else None
