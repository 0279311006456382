"""JSON schemas of what Discomfort reads and writes: plans, `--json` outputs, settings files.

pydantic and the models are imported when a schema is requested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(name: str) -> dict[str, Any]:
    """Return a JSON schema by its name, such as "plan"; `discomfort.schema_names()` lists them.

    Raises:
        ValueError: there is none of that name.

    Example:
        >>> discomfort.schema("plan")["title"]
        'Discomfort: plan'
    """
    from discomfort.settings.checking import SCHEMA_KEY
    from discomfort.settings.models import SETTINGS

    made = adapter(name).json_schema(mode="validation")
    if name in SETTINGS:  # the key that names the schema of a file to editors
        made["properties"] = {SCHEMA_KEY: {"type": "string"}, **made.get("properties", {})}
    return {"$schema": DIALECT, **made, "title": f"Discomfort: {name}"}


def schema_names() -> list[str]:
    """Return the names of the schemas: of plans, of the `--json` output of each command, of the settings files.

    Example:
        >>> "plan" in discomfort.schema_names()
        True
    """
    return sorted(_models())


def adapter(name: str) -> TypeAdapter[Any]:
    """Return what validates data against the schema of that name.

    Raises:
        ValueError: there is none of that name.
    """
    from pydantic import TypeAdapter

    models = _models()
    if name not in models:
        raise ValueError(f"no schema is called {name!r}; there are {', '.join(sorted(models))}")
    return TypeAdapter(models[name])


def _models() -> dict[str, Any]:
    from discomfort.json_schemas.outputs import OUTPUTS
    from discomfort.json_schemas.plan import PlanDocument
    from discomfort.settings.models import SETTINGS

    return {"plan": PlanDocument, **OUTPUTS, **SETTINGS}
