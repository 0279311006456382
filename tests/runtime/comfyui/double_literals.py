"""What the double makes of a literal in a prompt: as ComfyUI does, by every type that the input's type equals."""

from __future__ import annotations

from typing import Any

CONVERTERS: dict[str, Any] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def convert_literal(inputs: dict[str, Any], name: str, declared: Any) -> dict[str, Any] | None:
    """Convert a literal in place; return what `/prompt` answers about one that does not fit, else None."""
    value = inputs[name]
    if isinstance(value, dict) and "__value__" in value:
        value = value["__value__"]
    kind, options = declared[0], declared[1] if len(declared) > 1 else {}
    extra = {"input_name": name, "input_config": list(declared), "received_value": value}
    if isinstance(kind, list):
        return None
    for word, convert in CONVERTERS.items():
        if kind == word:
            try:
                value = inputs[name] = convert(value)
            except (TypeError, ValueError, OverflowError) as error:
                message = f"Failed to convert an input value to a {kind} value"
                details = f"{name}, {value}, {error}"
                return {"type": "invalid_input_type", "message": message, "details": details, "extra_info": extra}
    if kind == "COMBO" and value not in options.get("options", []):
        details = f"{name}: {value!r} not in {options.get('options', [])}"
        return {"type": "value_not_in_list", "message": "Value not in list", "details": details, "extra_info": extra}
    return None
