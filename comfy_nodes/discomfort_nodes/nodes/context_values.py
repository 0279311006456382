"""How values enter and leave a prompt on a ComfyUI server: put in by Discomfort's engine, never by hand."""

from __future__ import annotations

from typing import Any

from discomfort_nodes.nodes.anytype import ANY, LoaderTypes
from discomfort_nodes.registry import REGISTRY
from discomfort_nodes.tickets import TICKETS


def values_type() -> type[list[Any]]:
    """Return the type of a list of values; imported when first needed, as everything of the context is here."""
    from discomfort.context.values.value_list import ValueList

    return ValueList


def _may_read(digest: str | None) -> bool:
    try:
        return digest in TICKETS.of_running_prompt().digests
    except LookupError:
        return False


class _Granted(str):
    """A text that equals its own kind only, which no prompt can hold, since JSON gives plain text.

    Where a node of a prompt holds `is_changed`, ComfyUI's cache takes that for the answer of IS_CHANGED.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Granted)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, _Granted)

    def __hash__(self) -> int:
        return hash(_Granted)


class DiscomfortContextLoader:
    """Gives the value with a content digest; a list of values as several, so that what follows runs for each.

    The digest is all that the prompt holds, so ComfyUI's cache hits exactly when the content is equal. For a prompt
    without a ticket for the value it never hits: neither the value nor what was made of it is in the cache for that.
    """

    CATEGORY = "discomfort/internal"
    DESCRIPTION = "Put in by Discomfort when it sends a prompt: gives a value of the running context."
    RETURN_TYPES: tuple[str, ...] = LoaderTypes((ANY,))
    RETURN_NAMES = ("value",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[Any, ...]]]:
        return {
            "required": {
                "digest": ("STRING", {"default": "", "multiline": False}),
                "value_type": ("STRING", {"default": "*", "multiline": False}),
            }
        }

    @classmethod
    def IS_CHANGED(cls, digest: str | None = None, **_inputs: object) -> str | float:
        """Answer what never changes to a prompt that may read the value, and to others what never is the same."""
        return _Granted() if _may_read(digest) else float("nan")  # a new one each time: one object equals itself

    def load(self, digest: str, value_type: str) -> tuple[list[Any]]:
        """Return the value with this digest, as a node does whose output is a list.

        Raises:
            RuntimeError: the prompt may not read it, or its context does not hold it.
        """
        try:
            ticket = TICKETS.of_running_prompt()
            if digest not in ticket.digests:
                raise LookupError(f"the prompt was not registered to read the value with digest {digest}")
            value = REGISTRY.value(ticket.key, digest)
        except LookupError as error:
            raise RuntimeError(
                f"DiscomfortContextLoader: {error} (expected type {value_type}). Prompts with this node run through "
                "Discomfort.run() or plan.run(ctx), which register them first."
            ) from error
        return (value if isinstance(value, values_type()) else [value],)


class DiscomfortContextSaver:
    """Stores a value in the context of the prompt that is running, and answers with its content digest.

    It is never cached: its answer is about one context, and two clients may queue equal prompts. What feeds
    it stays cached, and equal contents are stored once.
    """

    CATEGORY = "discomfort/internal"
    DESCRIPTION = "Put in by Discomfort when it sends a prompt: hands a value to the running context."
    RETURN_TYPES = ()
    FUNCTION = "save"
    OUTPUT_NODE = True
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[Any, ...]]]:
        return {"required": {"value": (ANY,), "name": ("STRING", {"default": "", "multiline": False})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types: dict[str, str]) -> bool:
        """Accept any type for `value`: a context stores what it is given."""
        return True

    @classmethod
    def IS_CHANGED(cls, **_inputs: object) -> float:
        return float("nan")

    def save(self, value: list[Any], name: list[str]) -> dict[str, dict[str, list[dict[str, str]]]]:
        """Store `value`, a list as every node output is one to ComfyUI; a list of one is stored as its item.

        Raises:
            RuntimeError: the prompt may not store anything under this name, or its context is gone.
        """
        try:
            ticket = TICKETS.of_running_prompt()
            if name[0] not in ticket.names:
                raise LookupError(f"the prompt was not registered to store {name[0]!r}")
            digest = REGISTRY.store(ticket.key, value[0] if len(value) == 1 else values_type()(value), ticket.letterbox)
        except LookupError as error:
            raise RuntimeError(
                f"DiscomfortContextSaver: {error}. Prompts with this node run through Discomfort.run() or "
                "plan.run(ctx), which register them first."
            ) from error
        return {"ui": {"discomfort": [{"name": name[0], "digest": digest}]}}
