"""Settings against their model: everything that is wrong is reported at once, each with its path in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from discomfort.errors import ConfigError
from discomfort.near_names import did_you_mean
from discomfort.printable import shortened

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    Model = TypeVar("Model", bound=BaseModel)

SCHEMA_KEY = "$schema"
"""A key that every settings file may have: editors read there which schema to check it against."""
_LONGEST = 80


def check_settings(model: type[Model], settings: Mapping[Any, Any], where: object) -> Model:
    """Return settings as an instance of their model; `where` names their file in errors.

    Raises:
        ConfigError: keys are unknown, or values are not what the model says: names all of them, in their order.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate({key: value for key, value in settings.items() if key != SCHEMA_KEY})
    except ValidationError as error:
        order = list(settings)
        details = sorted(error.errors(include_url=False), key=lambda detail: order.index(detail["loc"][0]))
    wrong = list(dict.fromkeys(_finding(model, detail, settings) for detail in details))
    raise ConfigError(f"{where}: {wrong[0]}" if len(wrong) == 1 else "\n  ".join([f"{where}:", *wrong]))


def _finding(model: type[BaseModel], detail: ErrorDetails, settings: Mapping[Any, Any]) -> str:
    key = detail["loc"][0]
    if detail["type"] == "extra_forbidden":
        return f"{path_of(key)}: unknown key {key!r}; {_hint(str(key), list(model.model_fields))}"
    if detail["loc"][-1] == "[key]":
        return f"{path_of(key)}: expected the name of a type, found {_shown(key)}"
    reason = detail.get("ctx", {}).get("error")
    return f"{path_of(key)}: expected {_expected(model, str(key))}, found {_shown(settings[key])}" + (
        "" if reason is None else f" ({reason})"
    )


def _expected(model: type[BaseModel], key: str) -> str:
    """Return what the description of a setting begins with: what its value is to be."""
    if key in model.model_fields:
        return (model.model_fields[key].description or "").partition(":")[0]
    values = model.model_json_schema().get("additionalProperties", {})
    return str(values.get("description", "another value"))


def _hint(key: str, names: list[str]) -> str:
    return did_you_mean(key, names, most=1) or f"known keys are {', '.join(names)}"


def path_of(*parts: object) -> str:
    """Return the JSON path of a part of a document, such as `$.nodes[3]['a b']`."""
    return "$" + "".join(_steps(parts))


def _steps(parts: tuple[object, ...]) -> Iterator[str]:
    for part in parts:
        yield f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{part!r}]"


def _shown(value: object) -> str:
    return shortened(repr(value), _LONGEST)
