"""Does a value fit its port? Asked at bind, before anything runs (law R5).

The rules follow what ComfyUI's nodes rely on: IMAGE float `[batch, height, width, channel]`, MASK float
`[batch, height, width]` or `[height, width]`, LATENT a dict with a tensor `samples`, AUDIO a dict with `waveform`
`[batch, channel, sample]` and `sample_rate`. A type that is not listed takes any value.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from discomfort.context.values.value_list import ValueList
from discomfort.ir.diagnostics import Diagnostic
from discomfort.ir.findings import make_finding
from discomfort.ir.untrusted_json.nesting import is_too_long
from discomfort.near_names import did_you_mean
from discomfort.printable import exact_number
from discomfort.runtime.describe_value import describe_value

if TYPE_CHECKING:
    from discomfort.compiler.plan.model import Constraint, PlanInput
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.ir.diagnostics import Place
    from discomfort.ir.graph import Graph

LARGEST_FLOAT = sys.float_info.max


def check_value(value: Any, port: PlanInput, place: Place, graph: Graph, catalog: Catalog) -> list[Diagnostic]:
    """Return every way in which `value` does not fit `port`, which is written at `place`, each once.

    Of a list of values each is checked. `catalog` is that of the engine about to run: the options of a combo
    (installed model files) are its own.
    """
    if isinstance(value, ValueList):
        checked = (finding for item in value for finding in check_value(item, port, place, graph, catalog))
        return list({finding.message: finding for finding in checked}.values())
    found: dict[str, Diagnostic] = {}
    constraints = [*port.constraints, *([] if port.constraints else [_bare(port)])]
    for constraint in constraints:
        for problem, hint in _problems(value, constraint):
            message = f"input {port.name!r} is {describe_value(value)}; {problem}"
            found.setdefault(message, make_finding("DF502", message, place, hint))
    for problem, hint in _unknown_options(value, port, graph, catalog):
        message = f"input {port.name!r} is {describe_value(value)}; {problem}"
        found.setdefault(message, make_finding("DF503", message, place, hint))
    return list(found.values())


def looks_at(port: PlanInput) -> bool:
    """Return whether `check_value` and `fit_value` look at values of a port that are neither numbers nor tensors."""
    return any(
        constraint.choices is not None or not _RULES.keys().isdisjoint(constraint.type.split(","))
        for constraint in port.constraints or (_bare(port),)
    )


def fit_value(value: Any, port: PlanInput) -> Any:
    """Return `value` as its port takes it: whole floats become ints where an INT is requested, numpy scalars plain.

    Of a list of values each is fitted; what fits already is returned itself.
    """
    types = {constraint.type for constraint in port.constraints} or {port.type}
    return convert(value, types.pop() if len(types) == 1 else "*")


def convert(value: Any, wanted: str) -> Any:
    """Return `value`, or each of a list of values, as an input of type `wanted` takes it."""
    if isinstance(value, ValueList):
        fitted = ValueList(convert(item, wanted) for item in value)
        return value if all(new is old for new, old in zip(fitted, value, strict=True)) else fitted
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if wanted == "INT" and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted == "FLOAT" and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_FLOAT:
        return float(value)
    return value


def _bare(port: PlanInput) -> Constraint:
    from discomfort.compiler.plan.model import Constraint

    return Constraint(port.type)


def _problems(value: Any, constraint: Constraint) -> Iterator[tuple[str, str | None]]:
    kinds = constraint.type.split(",")
    rules = [_RULES[kind] for kind in kinds if kind in _RULES]
    if len(rules) != len(kinds):
        return  # a type without a rule, or a union with one, takes any value
    refusals = [rule(value, constraint) for rule in rules]
    if not all(refusals):
        return
    if len(kinds) > 1 and not (_is_number(value) and _check_number in rules):
        yield f"expected a value of the type {', '.join(kinds[:-1])} or {kinds[-1]}", None
    else:
        first = refusals[rules.index(_check_number)] if len(kinds) > 1 else refusals[0]
        yield first or "", _HINTS.get(constraint.type)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_number(value: Any, constraint: Constraint) -> str | None:
    if not _is_number(value):
        return f"expected {'a whole number' if constraint.type == 'INT' else 'a number'} ({constraint.type})"
    if constraint.type == "INT" and isinstance(value, float) and not value.is_integer():
        return "expected a whole number (INT)"
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if constraint.minimum is not None and value < constraint.minimum:
        return f"expected at least {exact_number(constraint.minimum)}"
    if constraint.maximum is not None and value > constraint.maximum:
        return f"expected at most {exact_number(constraint.maximum)}"
    if constraint.type == "FLOAT" and abs(value) > LARGEST_FLOAT:
        return "expected a number that a float can hold"
    if is_too_long(value):
        return "expected a number of at most 4000 digits"
    return None


def _check_text(value: Any, _: Constraint) -> str | None:
    return None if isinstance(value, str) else "expected text (STRING)"


def _check_boolean(value: Any, _: Constraint) -> str | None:
    fits = isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    return None if fits else "expected True or False (BOOLEAN)"


def _check_image(value: Any, _: Constraint) -> str | None:
    if not _is_float_tensor(value) or value.ndim != 4 or value.shape[-1] not in (1, 3, 4):
        return "expected an IMAGE: a float tensor [batch, height, width, channel] with 1, 3 or 4 channels"
    return None


def _check_mask(value: Any, _: Constraint) -> str | None:
    if not _is_float_tensor(value) or value.ndim not in (2, 3):
        return "expected a MASK: a float tensor [batch, height, width] or [height, width]"
    return None


def _check_latent(value: Any, _: Constraint) -> str | None:
    if not isinstance(value, Mapping) or not _is_tensor(value.get("samples")):
        return 'expected a LATENT: a dict with a tensor "samples"'
    return None


def _check_audio(value: Any, _: Constraint) -> str | None:
    if not isinstance(value, Mapping) or not _is_tensor(value.get("waveform")) or "sample_rate" not in value:
        return 'expected AUDIO: a dict with a tensor "waveform" [batch, channel, sample] and a "sample_rate"'
    return None


_RULES: Mapping[str, Callable[[Any, Constraint], str | None]] = {
    "INT": _check_number,
    "FLOAT": _check_number,
    "STRING": _check_text,
    "BOOLEAN": _check_boolean,
    "IMAGE": _check_image,
    "MASK": _check_mask,
    "LATENT": _check_latent,
    "AUDIO": _check_audio,
}

_HINTS = {
    "IMAGE": "Tools.open_image_as_tensor(path) reads a file as an IMAGE; torch.from_numpy(array) wraps an array",
    "MASK": "image[..., 0] makes a MASK of an IMAGE's first channel",
}


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _is_float_tensor(value: Any) -> bool:
    return _is_tensor(value) and bool(value.is_floating_point())


def _unknown_options(value: Any, port: PlanInput, graph: Graph, catalog: Catalog) -> Iterator[tuple[str, str | None]]:
    for node_id, input_name in port.uses:
        node = graph.nodes.get(node_id)
        node_class = catalog.get(node.class_type) if node and node.class_type else None
        spec = node_class.input(input_name) if node_class else None
        if spec is None or spec.choices is None or spec.options.get("multiselect"):
            continue
        if any(key.endswith("_upload") for key in spec.options) or _is_among(value, spec.choices):
            continue
        assert node_class is not None
        hint = did_you_mean(
            value if isinstance(value, str) else describe_value(value), [str(choice) for choice in spec.choices]
        )
        yield f"{node_class.name}.{input_name} takes one of {_listed(spec.choices)}", hint


def _is_among(value: Any, choices: Sequence[Any]) -> bool:
    """Return whether a value is one of the choices; arrays, whose comparison gives arrays, never are."""
    plain = value is None or isinstance(value, (bool, int, float, str, list, dict))
    return plain and value in choices


def _listed(choices: Sequence[Any], most: int = 8) -> str:
    shown = ", ".join(repr(choice) for choice in choices[:most])
    return f"[{shown}{f', … {len(choices) - most} more' if len(choices) > most else ''}]"
