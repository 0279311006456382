"""Values passed by reference, as live objects: made from their recipe, and stored as that again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from discomfort.context.errors import UnknownKeyError, UnresolvableRefError
from discomfort.context.holds import Holds
from discomfort.context.refs.object_recipes import ObjectRecipes
from discomfort.context.refs.recipes import Recipe
from discomfort.context.store.entries import Name
from discomfort.context.store.protocol import Store

Resolver = Callable[[str, Recipe], Any]


class LiveRefs:
    """Runs recipes where something here can, and knows which object came out of which."""

    def __init__(self, store: Store) -> None:
        self.recipes: ObjectRecipes = ObjectRecipes()
        self._store = store
        self._resolver: Resolver | None = None

    def set_resolver(self, resolver: Resolver | None) -> None:
        """Install what `load` calls for a ref: ``resolver(unique_id, recipe)`` gives the live object."""
        self._resolver = resolver

    def load(self, unique_id: str, name: Name) -> Any:
        """Return the object of a ref, whose captured values stay while its recipe runs.

        Raises:
            UnknownKeyError: it was replaced while it was read.
            UnresolvableRefError: nothing here can run its recipe.
        """
        if self._resolver is None:
            raise UnresolvableRefError(
                f"{unique_id!r} is passed by reference: the context holds the workflow that rebuilds it, and nothing "
                f'here can run it. Change the rule of its type to "val" in pass_by_rules.json to store the value '
                f"itself, or use context.recipe({unique_id!r}) for the workflow."
            )
        holds = Holds(self._store)
        if not holds.keep(name.refs):
            raise UnknownKeyError(f"{unique_id!r} was replaced while it was read")
        try:
            recipe: Recipe = self._store.get(str(name.digest))
            value = self._resolver(unique_id, recipe)
        finally:
            holds.release()
        self.recipes.remember(value, recipe)
        return value
