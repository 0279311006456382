"""What the code of a node class is, as a short text: other code, other text.

A class may be registered again under its name, or changed in place, as notebooks do all the time. Its text is
made of module, qualified name, and what its functions are made of: bytecode, constants, defaults, closures, and the
functions, classes and constants of the user's own modules that they name, and theirs. Libraries count by name and
version. What cannot be written out (an object, a tensor) counts as itself: by a number that no other object gets, in no
other process either.

What code itself assigns is state and not code: a counter, a model that it keeps for the next call. Such a name counts
with what it holds when the class is first met, and so does what is in a list or a dict.

Not seen: what a function reaches by a text (`getattr`, `eval`, a file), and changes inside of an object.
"""

from __future__ import annotations

import dis
import hashlib
import itertools
import os
import secrets
import sys
import sysconfig
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis))
_OWN_TO_EACH_CLASS = frozenset(
    ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__", "__slots__")
)
_MAX_KNOWN = 512
_MAX_PARTS = 20_000
_MAX_ITEMS = 1_000
_MISSING = object()

_lock = threading.Lock()
_numbers = itertools.count()
_process = secrets.token_hex(8)
_Witness = Callable[[], bool]
"""Says whether something that a text was made of is still the same."""

_known: OrderedDict[type, tuple[str, list[_Witness]]] = OrderedDict()
_registrations: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()


def class_code(node_class: Any) -> str:
    """Return the text of a class; quick where nothing that it was made of has changed."""
    if not isinstance(node_class, type):
        return _number(node_class)
    with _lock:
        known = _known.get(node_class)
        if known is not None and all(same() for same in known[1]):
            _known.move_to_end(node_class)
            return known[0]
        reader = _Reader()
        text = reader.read(node_class)
        _known[node_class] = text, reader.witnesses()
        while len(_known) > _MAX_KNOWN:
            _known.popitem(last=False)
        return text


def registration(node_class: Any) -> str:
    """Return a text that only this very class has, for classes whose code does not change."""
    if not isinstance(node_class, type):
        return _number(node_class)
    found = _registrations.get(node_class)
    if found is None:
        found = _registrations[node_class] = _number(node_class)
    return found


def _number(_thing: object) -> str:
    return f"{_process}:{next(_numbers)}"


def _begin_again() -> None:
    """Count apart from the process that this one was forked from."""
    global _process, _lock
    _process, _lock = secrets.token_hex(8), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)


class _Reader:
    """Writes out one class, and notes what the text was made of."""

    def __init__(self) -> None:
        self._witnesses: list[tuple[Any, _Witness]] = []
        self._assigned: set[Any] = set()
        self._parts: list[str] = []
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []
        self._todo: list[tuple[str, Any]] = []

    def read(self, node_class: type) -> str:
        self._parts.append(f"{node_class.__module__}.{node_class.__qualname__} {sys.implementation.cache_tag}")
        self._class(node_class)
        while self._todo:
            name, value = self._todo.pop()
            self._parts.append(name)
            self._value(value)
            if len(self._parts) > _MAX_PARTS:
                return _number(node_class)
        text = "".join(f"{len(part)}:{part}" for part in self._parts)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def witnesses(self) -> list[_Witness]:
        """Return what has to be the same for the text to be: all but what the code itself assigns."""
        return [same for what, same in self._witnesses if what not in self._assigned]

    def _value(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN:
            self._parts.append(f"{kind.__name__} {value!r}")
            return
        if id(value) in self._met:
            self._parts.append(f"again {self._met[id(value)]}")
            return
        self._met[id(value)] = len(self._met)
        self._kept.append(value)  # else another object might get its address
        writer = _WRITERS.get(kind)
        if writer is not None:
            writer(self, value)
        elif isinstance(value, type):
            self._class(value)
        else:
            self._parts.append(_named(value) or _number(value))

    def _function(self, function: types.FunctionType) -> None:
        if _is_library(function.__module__):
            self._parts.append(_library_name(function))
            return
        code, defaults, keywords = function.__code__, function.__defaults__, function.__kwdefaults__
        self._witness(None, lambda: function.__code__ is code)
        self._witness(None, lambda: function.__defaults__ is defaults and function.__kwdefaults__ is keywords)
        self._later("defaults", defaults)
        self._later("keywords", keywords)
        self._later("attributes", dict(function.__dict__) or None)
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=False))
        for name, cell in cells.items():
            self._cell(name, cell)
        for part in _codes(code):
            self._code(part)
            self._names(part, function.__globals__)
            self._note_assigned(part, function.__globals__, cells)

    def _note_assigned(self, code: types.CodeType, names: dict[str, Any], cells: Mapping[str, types.CellType]) -> None:
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                self._assigned.add((id(names), instruction.argval))
            elif instruction.opname in ("STORE_ATTR", "DELETE_ATTR"):
                self._assigned.add(instruction.argval)
            elif instruction.opname == "STORE_DEREF" and instruction.argval in cells:
                self._assigned.add(id(cells[instruction.argval]))

    def _cell(self, name: str, cell: types.CellType) -> None:
        contents = _contents(cell)
        self._witness(id(cell), lambda: _contents(cell) is contents)
        self._later(f"cell {name}", None if contents is _MISSING else contents)

    def _code(self, code: types.CodeType) -> None:
        constants = [_constant(value) for value in code.co_consts if not isinstance(value, types.CodeType)]
        self._parts += [
            f"code {code.co_name} {code.co_flags}",
            f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount}",
            code.co_code.hex(),
            getattr(code, "co_exceptiontable", b"").hex(),
            *constants,
            *code.co_names,
            *code.co_varnames,
        ]

    def _names(self, code: types.CodeType, names: dict[str, Any]) -> None:
        """Note what the names in a function's code mean: globals of its module, and what is named of modules."""
        for name in code.co_names:
            value = names.get(name, _MISSING)
            self._binding(names, name, value)
            if isinstance(value, types.ModuleType) and not _is_library(value.__name__):
                for inner in code.co_names:
                    if inner in vars(value):
                        self._binding(vars(value), inner, vars(value)[inner])

    def _binding(self, names: dict[str, Any], name: str, value: Any) -> None:
        self._witness((id(names), name), lambda: names.get(name, _MISSING) is value)
        if value is not _MISSING:
            self._later(f"global {name}", value)

    def _class(self, node_class: type) -> None:
        for base in node_class.__mro__:
            if base is object or _is_library(base.__module__):
                self._parts.append(_library_name(base))
                continue
            self._parts.append(f"class {base.__module__}.{base.__qualname__}")
            body = base.__dict__
            self._witness(None, partial(_has_names, body, list(body), self._assigned))
            for name in sorted(body):
                if name not in _OWN_TO_EACH_CLASS:
                    self._witness(name, partial(_holds, body, name, body[name]))
                    self._later(name, body[name])

    def _wrapper(self, wrapper: Any) -> None:
        self._later(type(wrapper).__name__, wrapper.__func__)

    def _property(self, made: property) -> None:
        for function in (made.fget, made.fset, made.fdel):
            self._later("property", function)

    def _partial(self, made: partial[Any]) -> None:
        for part in (made.func, made.args, made.keywords):
            self._later("partial", part)

    def _method(self, method: types.MethodType) -> None:
        self._later("method", method.__func__)
        self._later("of", method.__self__)

    def _module(self, module: types.ModuleType) -> None:
        self._parts.append(f"module {module.__name__} {_version(module.__name__)}")

    def _sequence(self, items: list[Any] | tuple[Any, ...]) -> None:
        if len(items) > _MAX_ITEMS:
            self._parts.append(_number(items))
            return
        self._parts.append(f"{type(items).__name__} {len(items)}")
        for item in items:
            self._later("item", item)

    def _mapping(self, items: dict[Any, Any]) -> None:
        if len(items) > _MAX_ITEMS:
            self._parts.append(_number(items))
            return
        self._parts.append(f"dict {len(items)}")
        for key, value in items.items():
            self._later("key", key)
            self._later("value", value)

    def _set(self, items: set[Any] | frozenset[Any]) -> None:
        if len(items) > _MAX_ITEMS or not all(type(item) in _PLAIN for item in items):
            self._parts.append(_number(items))
        else:
            self._parts.append(f"{type(items).__name__} {sorted(map(_constant, items))}")

    def _witness(self, what: Any, same: _Witness) -> None:
        """Note what has to be the same; `what` is what code would assign to change it."""
        self._witnesses.append((what, same))

    def _later(self, name: str, value: Any) -> None:
        """Write a value out later: code may name itself, and be nested deeply."""
        self._todo.append((name, value))


_WRITERS: Mapping[type, Callable[[_Reader, Any], None]] = {
    types.FunctionType: _Reader._function,
    types.MethodType: _Reader._method,
    types.ModuleType: _Reader._module,
    staticmethod: _Reader._wrapper,
    classmethod: _Reader._wrapper,
    property: _Reader._property,
    partial: _Reader._partial,
    list: _Reader._sequence,
    tuple: _Reader._sequence,
    dict: _Reader._mapping,
    set: _Reader._set,
    frozenset: _Reader._set,
}


def _has_names(body: Mapping[str, Any], names: list[str], assigned: set[Any]) -> bool:
    return [name for name in body if name not in assigned] == [name for name in names if name not in assigned]


def _holds(body: Mapping[str, Any], name: str, value: Any) -> bool:
    return body.get(name, _MISSING) is value


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return _MISSING


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code object and all those inside it."""
    stack = [code]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(value for value in part.co_consts if isinstance(value, types.CodeType))


def _constant(value: Any) -> str:
    """Return text for a constant in code: plain, or a tuple or frozenset of such."""
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"tuple {[_constant(item) for item in value]}"
    return f"{type(value).__name__} {value!r}"


def _named(value: Any) -> str | None:
    """Return text for what its name says all of: functions and the like that are not written in Python."""
    if isinstance(value, (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)):
        owner = getattr(value, "__self__", None)
        if owner is None or isinstance(owner, (type, types.ModuleType)):
            return f"builtin {getattr(value, '__module__', '')} {value.__qualname__}"
    return None


def _library_name(value: Any) -> str:
    return f"library {value.__module__}.{value.__qualname__} {_version(value.__module__)}"


def _version(module: str) -> str:
    package = sys.modules.get(module.partition(".")[0])
    version = getattr(package, "__version__", "")
    return version if isinstance(version, str) else ""


def _is_library(name: str | None) -> bool:
    """Return whether a module is part of Python or installed, and so does not change while a program runs."""
    if name is None or name == "__main__":
        return False
    top = name.partition(".")[0]
    return top == "discomfort" or _is_installed(top, getattr(sys.modules.get(top), "__file__", None))


@lru_cache(maxsize=4096)
def _is_installed(name: str, file: str | None) -> bool:
    if name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return True
    if file is None:
        return False
    places = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    inside = any(place and file.startswith(place + os.sep) for place in places)
    return inside or "site-packages" in file or "dist-packages" in file
