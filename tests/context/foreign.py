"""Classes of a module that this Python has for a moment only, as a server has modules that its clients lack."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SOURCE = """
class Thing:
    def __init__(self, name, frames):
        self.name, self.frames = name, frames
    def __eq__(self, other):
        return self.name == other.name and bool((self.frames == other.frames).all())
    __hash__ = None
class Moody:
    def __init__(self, mood):
        self.mood = mood
    def __setstate__(self, state):
        if mood == "bad":
            raise LookupError("not today")
        self.__dict__.update(state)
mood = "good"
"""


@contextmanager
def installed() -> Iterator[Any]:
    """Install the module `only_there` for a moment."""
    module = types.ModuleType("only_there")
    exec(SOURCE, vars(module))
    sys.modules["only_there"] = module
    try:
        yield module
    finally:
        del sys.modules["only_there"]
