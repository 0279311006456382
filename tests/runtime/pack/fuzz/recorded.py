"""Cases of the fuzz with what came of them in a real ComfyUI, kept in files: compared without a ComfyUI.

Each of them differed from ComfyUI once. `python -m tests.runtime.pack.fuzz --comfyui PATH --record` records all of
them again, `--record ImageGrid:3,SaveText:7` these besides.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from tests.runtime.pack.fuzz.campaign import shown_inputs
from tests.runtime.pack.fuzz.cases import Case, make_case
from tests.runtime.pack.fuzz.compare import Outcome, failed
from tests.runtime.pack.fuzz.sides import RealComfyUI
from tests.runtime.pack.goldens import GOLDENS, Arrays

RECORDS, ARRAYS = GOLDENS / "fuzz.json", GOLDENS / "fuzz.npz"


@functools.cache
def load() -> tuple[dict[str, Any], Arrays]:
    """Read all records, by class and seed, and their arrays."""
    with np.load(ARRAYS) as stored:
        return json.loads(RECORDS.read_text(encoding="utf-8")), Arrays({key: stored[key] for key in stored.files})


def case_named(name: str) -> Case:
    """Draw the case of a name such as "ImageGrid:3"."""
    class_type, _, seed = name.partition(":")
    return make_case(class_type, int(seed))


def inputs_then(name: str) -> str:
    """Return the inputs for which a case was recorded, as `shown_inputs` writes them."""
    return str(load()[0][name]["inputs"])


def outcome(name: str) -> Outcome:
    """Return what came of a case in ComfyUI."""
    records, arrays = load()
    found: Outcome = _decoded(records[name]["outcome"], arrays)
    return found


def record(names: Iterable[str], real: RealComfyUI) -> int:
    """Record these cases, and all that there are, and return how many."""
    known = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else {}
    cases = [case_named(name) for name in sorted({*known, *names}, key=_in_order)]
    arrays, lines = Arrays(), []
    for case, theirs in zip(cases, real.run(cases), strict=True):
        if failed(theirs) is not None:
            theirs = {key: str(theirs[key])[:200] for key in ("raised", "message", "rejected") if key in theirs}
        entry = {"inputs": shown_inputs(case), "outcome": _encoded(theirs, arrays)}
        lines.append(f"{json.dumps(case.name)}: {json.dumps(entry, ensure_ascii=False)}")
    RECORDS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    np.savez_compressed(ARRAYS, allow_pickle=False, **arrays.arrays)
    return len(cases)


def _in_order(name: str) -> tuple[str, int]:
    class_type, _, seed = name.partition(":")
    return class_type, int(seed)


def _encoded(value: Any, arrays: Arrays) -> Any:
    """Turn a value into JSON: tensors as keys of `arrays`, and all that JSON lacks under a name that begins with $."""
    if isinstance(value, torch.Tensor):
        kept = value.float() if value.dtype == torch.bfloat16 else value  # which numpy does not have
        return {"$tensor": [arrays.add(kept.contiguous().numpy()), str(value.dtype).removeprefix("torch.")]}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {"$dict": [[_encoded(key, arrays), _encoded(item, arrays)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_encoded(item, arrays) for item in value]}
    return [_encoded(item, arrays) for item in value] if isinstance(value, list) else value


def _decoded(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, list):
        return [_decoded(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "$tensor":
        key, dtype = content
        return torch.from_numpy(arrays.arrays[key]).to(getattr(torch, dtype))
    if kind == "$bytes":
        return base64.b64decode(content)
    if kind == "$dict":
        return {_decoded(key, arrays): _decoded(item, arrays) for key, item in content}
    return tuple(_decoded(item, arrays) for item in content)
