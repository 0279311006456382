"""Results kept between runs, by what they were computed from."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from xxhash import xxh3_128_hexdigest

from discomfort.compiler.keys import literal_token
from discomfort.runtime.engines.embedded.prompt import PromptNode
from discomfort.runtime.engines.embedded.sizes import bytes_of

MAX_ENTRIES = 4096
MAX_BYTES = 4 << 30
"""Bytes of tensors that are kept at most; other objects (models) count as nothing and leave by age alone."""

_SMALL = frozenset({int, float, str, bool, type(None)})


class NodeResult:
    """What one node gave: each output as the list of its values, and what it shows (`ui`)."""

    __slots__ = ("nbytes", "outputs", "ui")

    def __init__(self, outputs: list[list[Any]], ui: Mapping[str, Any] | None = None) -> None:
        self.outputs = outputs
        self.ui = ui
        self.nbytes = 0
        """Bytes it was counted with when it was kept."""

    def measure(self) -> int:
        """Return the bytes of the tensors in the outputs, also of those one level down (a latent's samples)."""
        total = 0
        for values in self.outputs:
            for value in values:
                if type(value) in _SMALL:
                    continue
                for part in value.values() if type(value) is dict else (value,):
                    total += bytes_of(part)
        return total


class ResultCache:
    """The results used most recently, bounded by their number and by the bytes of their tensors."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._results: OrderedDict[str, NodeResult] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: str) -> NodeResult | None:
        """Return the result under `key`, and count it as used."""
        kept = self._results.get(key)
        if kept is not None:
            self._results.move_to_end(key)
        return kept

    def put(self, key: str, result: NodeResult) -> None:
        """Keep a result; the ones not used for longest make room."""
        results = self._results
        if key in results:
            self._bytes -= results.pop(key).nbytes
        result.nbytes = result.measure()
        self._bytes += result.nbytes
        results[key] = result
        while len(results) > self._max_entries or self._bytes > self._max_bytes:
            _, oldest = results.popitem(last=False)
            self._bytes -= oldest.nbytes

    def clear(self) -> None:
        """Let everything go."""
        self._results.clear()
        self._bytes = 0


def result_key(node: PromptNode, keys: Mapping[str, str | None], change: str | None = "") -> str | None:
    """Return the key of a node's result: its class, its literals, its producers' keys, what IS_CHANGED said.

    None, which is contagious, where a result must not be used again: `change` is None, or a literal is an object that
    cannot be compared (expansions may hold some).
    """
    definition = node.definition
    if change is None or definition.never_cached:
        return None
    parts: list[str] = []
    for name, producer, slot in node.links:
        key = keys.get(producer)
        if key is None:
            return None
        parts.append(f"{len(name)}:{name}<{key}.{slot}")
    try:
        for name, value in node.constants.items():
            if type(value) is int:
                parts.append(f"{len(name)}:{name}=i{value}")
            else:
                token = literal_token(value)
                parts.append(f"{len(name)}:{name}={len(token)}:{token}")
    except (TypeError, ValueError):
        return None
    if not definition.grown:  # those may read the order of their inputs
        parts.sort()
    kind, own = definition.name, node.id if definition.keyed_by_id else ""
    text = f"{len(kind)}:{kind}{len(own)}:{own}{len(change)}:{change}{';'.join(parts)}"
    return xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def change_token(answer: Any) -> str | None:
    """Return text that is equal for equal answers of IS_CHANGED; None where nothing equals the answer (NaN)."""
    if isinstance(answer, float) and math.isnan(answer):
        return None
    if isinstance(answer, bytes):
        return f"x{answer.hex()}"
    try:
        return literal_token(answer)
    except (TypeError, ValueError):
        return None
