"""Lists of values, which ComfyUI distinguishes from a value that is a list."""

from __future__ import annotations

from typing import Any


class ValueList(list[Any]):
    """Several values where a node gives or takes one: what an output declared as a list (`OUTPUT_IS_LIST`) gave.

    A node that receives it runs once for each value. To Python it is a list; `context.save(name, ValueList(images))`
    hands several values to the consumers of a port, where a plain list would be one value that is a list.

    Example:
        >>> discomfort.ValueList([1, 2, 3]) == [1, 2, 3]
        True
    """

    __slots__ = ()
