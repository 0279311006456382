"""What an entry of `/object_info` must be so that every part of the compiler can use it.

Custom nodes write these entries, and nothing checks them on their way: a bad one costs its own class, no other.
What ComfyUI and its editor tolerate is tolerated here; what is not used is not looked at, but for its depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from discomfort.printable import shortened

AUTOGROW = "COMFY_AUTOGROW_V3"
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
MATCH_TYPE = "COMFY_MATCHTYPE_V3"
EFFECTS = ("pure", "file", "effect", "volatile", "unknown")
"""What a class may say of itself: the values of `effects.Effect`."""

ENTRY_RULES = 1
"""The version of these rules: findings of other versions are not reused."""

DEEPEST = 64
"""Levels of lists and objects in an entry; ComfyUI's own have 13 at most."""
MOST_INPUTS = 10_000
"""Inputs of a class, with all that dynamic inputs may grow to; ComfyUI lets one grow to 100."""

_LONGEST_SHOWN = 40

Problem = tuple[str, str]
"""Where in an entry (a JSON path below it), and what is wrong there."""


class _BadEntry(Exception):
    """What is wrong, and where."""


def entry_problem(name: Any, info: Any) -> Problem | None:
    """Return what keeps an entry from being used as a node class, None where nothing does."""
    try:
        if not isinstance(name, str):
            _refuse("", f"its name is {_shown(name)}, expected text")
        _check_entry(info)
    except _BadEntry as error:
        return error.args[0], error.args[1]
    return None


def _refuse(path: str, message: str) -> NoReturn:
    raise _BadEntry(path, message)


def _shown(value: Any) -> str:
    """Return a short text for a value; long and deep ones are not written out."""
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(shortened(value, _LONGEST_SHOWN))
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"


def _check_entry(info: Any) -> None:
    if not isinstance(info, Mapping):
        _refuse("", f"it is {_shown(info)}, expected an object")
    if "input" not in info:
        _refuse("", "it has no 'input'")
    _check_depth(info)
    for key in ("display_name", "category", "python_module"):
        if info.get(key) and not isinstance(info[key], str):
            _refuse(f".{key}", f"it is {_shown(info[key])}, expected text")
    effect = info.get("discomfort_effect")
    if effect is not None and effect not in EFFECTS:
        _refuse(".discomfort_effect", f"it is {_shown(effect)}, expected one of {', '.join(EFFECTS)}")
    if _check_groups(info["input"], ".input") > MOST_INPUTS:
        _refuse(".input", f"it declares more than {MOST_INPUTS} inputs")
    _check_outputs(info)


def _check_depth(info: Mapping[str, Any]) -> None:
    """Refuse what nothing that recurses could write: deep entries, and keys that JSON lacks."""
    level: list[Any] = [info]
    for _ in range(DEEPEST):
        level = [item for holder in level for item in _items(holder) if type(item) in _HOLDERS]
        if not level:
            return
        if len(level) > 1000:  # what Python objects hold twice is looked at once
            level = list({id(item): item for item in level}.values())
    _refuse("", f"it is nested more than {DEEPEST} levels deep")


_HOLDERS = frozenset((dict, list, tuple))
_TEXT = frozenset((str,))


def _items(holder: Any) -> Iterable[Any]:
    if not isinstance(holder, Mapping):
        return holder  # type: ignore[no-any-return]
    if not set(map(type, holder)) <= _TEXT:
        for key in holder:
            if not isinstance(key, str):
                _refuse("", f"it holds an object with the key {_shown(key)}, expected text")
    return holder.values()


def _check_outputs(info: Mapping[str, Any]) -> None:
    types = _sequence(info, "output")
    for slot, kind in enumerate(types):
        if not isinstance(kind, (str, list, tuple)):
            _refuse(f".output[{slot}]", f"a type is {_shown(kind)}, expected text")
    _sequence(info, "output_name")
    if isinstance(_sequence(info, "output_is_list"), str):
        _refuse(".output_is_list", "it is text, expected a list")
    for slot, template in enumerate(_sequence(info, "output_matchtypes")):
        if template is not None and not isinstance(template, str):
            _refuse(f".output_matchtypes[{slot}]", f"it is {_shown(template)}, expected text")


def _sequence(info: Mapping[str, Any], key: str) -> Sequence[Any]:
    """Return a list of an entry. A text in the place of one is a list of letters, as for ComfyUI."""
    found = info.get(key) or ()
    if not isinstance(found, (list, tuple, str)):
        _refuse(f".{key}", f"it is {_shown(found)}, expected a list")
    return found


def _check_groups(groups: Any, path: str) -> int:
    """Check `{"required": {name: declaration}, ...}`; return how many inputs it may grow to."""
    if not groups:
        return 0
    if not isinstance(groups, Mapping):
        _refuse(path, f"it is {_shown(groups)}, expected an object")
    count = 0
    for group in ("required", "optional", "hidden"):
        inputs = groups.get(group)
        if not inputs:
            continue
        if not isinstance(inputs, Mapping):
            _refuse(f"{path}.{group}", f"it is {_shown(inputs)}, expected an object")
        for name, declared in inputs.items():
            if not isinstance(name, str):
                _refuse(f"{path}.{group}", f"the name of an input is {_shown(name)}, expected text")
            count += _check_input(declared, f"{path}.{group}[{name!r}]")
    return count


def _check_input(declared: Any, path: str) -> int:
    """Check the declaration of one input; return how many inputs it may grow to."""
    if isinstance(declared, str):
        return 1
    if not isinstance(declared, (list, tuple)):
        _refuse(path, f"an input is {_shown(declared)}, expected a list of type and options")
    if not declared:
        _refuse(path, "an input has no type")
    kind = declared[0]
    if not isinstance(kind, (str, list, tuple)):
        _refuse(f"{path}[0]", f"a type is {_shown(kind)}, expected text or a list of choices")
    options = declared[1] if len(declared) > 1 else None
    return _check_options(kind, options, f"{path}[1]") if isinstance(options, Mapping) else 1


def _check_options(kind: Any, options: Mapping[str, Any], path: str) -> int:
    if not all(isinstance(key, str) for key in options):
        _refuse(path, "the name of an option is not text")
    for key in ("min", "max", "step", "round", "default"):
        value = options.get(key)
        if isinstance(value, (int, float)) and not _is_finite(value, infinite=key in ("min", "max")):
            _refuse(f"{path}.{key}", f"it is {_shown(value)}, expected a number")
    kinds = (kind, options.get("widgetType"))
    grown = 1
    if AUTOGROW in kinds:
        grown = _check_template(options.get("template"), f"{path}.template")
    elif MATCH_TYPE in kinds and options.get("template") and not isinstance(options["template"], Mapping):
        _refuse(f"{path}.template", f"it is {_shown(options['template'])}, expected an object")
    if DYNAMIC_COMBO in kinds:
        grown += _check_branches(options.get("options"), f"{path}.options")
    elif kind == "COMBO":
        choices = options.get("options")
        if choices is not None and not isinstance(choices, (list, tuple)):
            _refuse(f"{path}.options", f"it is {_shown(choices)}, expected a list of choices")
    return grown


def _is_finite(value: float, *, infinite: bool) -> bool:
    """Return whether a value is a number of JavaScript; limits may be infinite with `infinite`."""
    try:
        return math.isfinite(value) or (infinite and math.isinf(value))
    except OverflowError:  # an integer beyond its doubles
        return False


def _check_template(template: Any, path: str) -> int:
    """Check what an input that grows is made of; return how many inputs it may grow to."""
    if not template:
        return 1
    if not isinstance(template, Mapping):
        _refuse(path, f"it is {_shown(template)}, expected an object")
    inner = _check_groups(template.get("input"), f"{path}.input")
    names = template.get("names")
    if names and not (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
        _refuse(f"{path}.names", "it is not a list of texts")
    for key in ("min", "max"):
        number = template.get(key, 0)
        if type(number) is not int or not 0 <= number <= MOST_INPUTS:
            _refuse(f"{path}.{key}", f"it is {_shown(number)}, expected a whole number up to {MOST_INPUTS}")
    return max(1, inner) * max(1, len(names) if names else int(template.get("max", 0)))


def _check_branches(branches: Any, path: str) -> int:
    """Check the choices of a dynamic combo; return how many inputs they add."""
    if not branches:
        return 0
    if not isinstance(branches, (list, tuple)):
        _refuse(path, f"it is {_shown(branches)}, expected a list of choices")
    count = 0
    for index, branch in enumerate(branches):
        if not isinstance(branch, Mapping):
            _refuse(f"{path}[{index}]", f"a choice is {_shown(branch)}, expected an object with 'key' and 'inputs'")
        count += _check_groups(branch.get("inputs"), f"{path}[{index}].inputs")
    return count
