"""What came of one case on both sides, and how they differ."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from tests.runtime.pack.goldens import Arrays, describe_file, normalized

Outcome = dict[str, Any]
"""`outputs`, `ui` and `files`; or `rejected` or `raised` and a message."""

TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 2e-2}
USUAL_TOLERANCE = 1e-5


def failed(outcome: Outcome) -> str | None:
    """Return why there is no result, None where there is one."""
    if "raised" in outcome:
        return f"raised {outcome['raised']}: {outcome.get('message', '')}".strip()
    return f"rejected {outcome['rejected']}" if "rejected" in outcome else None


def changed_inputs(values: dict[str, list[Any]], after: dict[str, list[Any]]) -> list[str]:
    """Return which of a case's values a node changed in place; it must not."""
    found = list[str]()
    for name, given in values.items():
        _compare(given, after[name], f"input {name} changed", found)
    return found


def differences(real: Outcome, ours: Outcome) -> list[str]:
    """Return what differs, in lines; which error it is does not matter, only that there is one."""
    theirs, mine = failed(real), failed(ours)
    if theirs is not None or mine is not None:
        if theirs is not None and mine is not None:
            return []
        return [f"real: {theirs or shown(real.get('outputs'))} | ours: {mine or shown(ours.get('outputs'))}"[:1500]]
    found = list[str]()
    _compare(real["outputs"], ours["outputs"], "outputs", found)
    _compare(_plain(real["ui"]), _plain(ours["ui"]), "ui", found)
    _compare(described(real["files"]), described(ours["files"]), "files", found)
    return found


def _plain(ui: Any) -> Any:
    return normalized(json.loads(json.dumps(ui or {})))


def described(files: dict[str, bytes]) -> dict[str, Any]:
    """Return files by name as what a reader finds in them; those whose names differ by chance alone in one list."""
    result: dict[str, list[Any]] = {}
    for name, content in files.items():
        arrays = Arrays()
        described = describe_file(content, "." + name.rpartition(".")[2], arrays)
        values = {key: torch.from_numpy(np.array(array)) for key, array in arrays.arrays.items()}
        result.setdefault(normalized(name), []).append({"described": normalized(described), "arrays": values})
    return {name: sorted(same, key=_content) for name, same in result.items()}


def _content(file: dict[str, Any]) -> str:
    return repr([values.tolist() for values in file["arrays"].values()])


def _compare(real: Any, ours: Any, place: str, found: list[str]) -> None:
    if type(real) is not type(ours):
        found.append(f"{place}: real {shown(real)}, ours {shown(ours)}")
    elif isinstance(real, torch.Tensor):
        _compare_tensors(real, ours, place, found)
    elif isinstance(real, dict):
        if set(real) != set(ours):
            found.append(f"{place}: real has {sorted(map(repr, real))}, ours {sorted(map(repr, ours))}")
        for key in real.keys() & ours.keys():
            _compare(real[key], ours[key], f"{place}.{key}", found)
    elif isinstance(real, list | tuple):
        if len(real) != len(ours):
            found.append(f"{place}: real has {len(real)} items, ours {len(ours)}: {shown(real)} {shown(ours)}")
        for index, (one, other) in enumerate(zip(real, ours, strict=False)):
            _compare(one, other, f"{place}[{index}]", found)
    elif isinstance(real, float):
        if not np.isclose(real, ours, rtol=1e-12, atol=0, equal_nan=True):
            found.append(f"{place}: real {real!r}, ours {ours!r}")
    elif real != ours:
        found.append(f"{place}: real {shown(real)}, ours {shown(ours)}")


def _compare_tensors(real: torch.Tensor, ours: torch.Tensor, place: str, found: list[str]) -> None:
    if real.shape != ours.shape or real.dtype != ours.dtype:
        found.append(f"{place}: real {shown(real)}, ours {shown(ours)}")
        return
    limit = TOLERANCE.get(real.dtype, USUAL_TOLERANCE)
    one, other = (values.to(torch.complex128 if values.is_complex() else torch.float64) for values in (real, ours))
    if not torch.allclose(one, other, rtol=limit, atol=limit, equal_nan=True):
        apart = (one - other).abs()
        wrong = int((~torch.isclose(one, other, rtol=limit, atol=limit, equal_nan=True)).sum())
        found.append(
            f"{place}: {wrong} of {apart.numel()} values differ, by up to {float(apart.nan_to_num().max()):.3g}"
        )


def shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(shown(item) for item in value[:9])})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in list(value.items())[:8]) + "}"
    return f"{type(value).__name__} {value!r}"[:200]
