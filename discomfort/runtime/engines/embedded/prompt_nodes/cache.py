"""Results kept between runs, by what they were computed from."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from xxhash import xxh3_128_hexdigest

from discomfort.context.home.os_support import available_ram
from discomfort.ir.keys import literal_token
from discomfort.runtime.engines.embedded.prompt_nodes.changes import Watch, has_changed
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import PromptNode
from discomfort.runtime.engines.embedded.prompt_nodes.result_sizes import Piece, pieces_of

MAX_ENTRIES = 4096
SHARE_OF_RAM = 4
"""Values may take this part, a quarter, of the RAM that is free when the first is kept, and models as much again."""


MAX_MAPPED = 32
"""How many results may keep memory of contexts mapped; each such mapping takes a file descriptor."""


class NodeResult:
    """What one node gave: each output as the list of its values, and what it shows (`ui`)."""

    __slots__ = ("outputs", "pieces", "prompt", "ui", "watch")

    def __init__(self, outputs: list[list[Any]], ui: Mapping[str, Any] | None = None) -> None:
        self.outputs: list[list[Any]] = outputs
        self.ui: Mapping[str, Any] | None = ui
        self.pieces: tuple[Piece, ...] = ()
        """The memory it was counted with when it was kept."""
        self.prompt: int = 0
        """The last prompt that used it while it was kept."""
        self.watch: Watch | None = None
        """What its values were like when the node gave them, where they can change."""

    @property
    def has_changed(self) -> bool:
        """Whether another node, or a caller, has changed its values in place."""
        return self.watch is not None and has_changed(self.watch)


class ResultCache:
    """The results used most recently, bounded by their number and by the memory that they take.

    Values (tensors, arrays, texts) and what belongs to live objects, such as the weights of models, are bounded
    separately. The live objects that the running prompt uses stay, even where they take more than their bound.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int | None = None) -> None:
        """Keep at most so many results, and bytes of values and of live objects each; None: a quarter of free RAM."""
        self._results: OrderedDict[str, NodeResult] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._users: dict[Piece, int] = {}
        self._bytes = {False: 0, True: 0}
        self._prompt = 0
        self._loaded: list[tuple[int, int]] = []
        self._mapped: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._results)

    @property
    def nbytes(self) -> int:
        """Bytes that the results take."""
        return sum(self._bytes.values())

    def begin_prompt(self) -> None:
        """Note that another prompt runs from here on."""
        self._prompt += 1
        self._loaded.clear()

    def note_loaded(self, value: Any) -> None:
        """Note that the running prompt has a value from a context, whose memory may be mapped."""
        found = pieces_of([[value]])
        self._loaded += [(one.place, one.place + one.nbytes) for one in found if one.kind in ("cpu", "array")]

    def get(self, key: str) -> NodeResult | None:
        """Return the result under `key`, and count it as used; one that has changed since is dropped."""
        kept = self._results.get(key)
        if kept is None:
            return None
        if kept.has_changed:
            self.drop(key)
            return None
        self._results.move_to_end(key)
        if key in self._mapped:
            self._mapped.move_to_end(key)
        kept.prompt = self._prompt
        return kept

    def put(self, key: str, result: NodeResult) -> None:
        """Keep a result; the ones not used for longest make room."""
        results = self._results
        if key in results:
            self.drop(key)
        results[key] = result
        result.prompt = self._prompt
        pieces = result.pieces = pieces_of(result.outputs)
        for piece in pieces:
            users = self._users.get(piece, 0)
            self._users[piece] = users + 1
            self._bytes[piece.live] += 0 if users else piece.nbytes
        if self._loaded and any(start <= piece.place < end for piece in pieces for start, end in self._loaded):
            self._mapped[key] = None
        if len(self._mapped) > MAX_MAPPED:
            self.drop(next(iter(self._mapped)))
        if len(results) > self._max_entries:
            self.drop(next(iter(results)))
        if pieces:
            self._make_room(live=False)
            self._make_room(live=True)

    def drop(self, key: str) -> None:
        """Forget the result under `key`, where there is one."""
        result = self._results.pop(key, None)
        self._mapped.pop(key, None)
        for piece in result.pieces if result is not None else ():
            self._users[piece] -= 1
            if not self._users[piece]:
                del self._users[piece]
                self._bytes[piece.live] -= piece.nbytes

    def clear(self) -> None:
        """Let everything go."""
        self._results.clear()
        self._mapped.clear()
        self._users.clear()
        self._bytes = {False: 0, True: 0}

    def _make_room(self, live: bool) -> None:
        if self._max_bytes is None:
            self._max_bytes = available_ram() // SHARE_OF_RAM
        if self._bytes[live] <= self._max_bytes:
            return
        for key, result in list(self._results.items()):
            if any(piece.live is live for piece in result.pieces) and not (live and result.prompt == self._prompt):
                self.drop(key)
                if self._bytes[live] <= self._max_bytes:
                    return


def result_key(node: PromptNode, keys: Mapping[str, str | None], change: str | None = "") -> str | None:
    """Return the key of a node's result: its class and that one's code, its literals, its producers' keys, what
    IS_CHANGED said and what is in the files that it reads.

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
    own = node.id if definition.keyed_by_id else ""
    text = f"{definition.identity}{len(own)}:{own}{len(change)}:{change}{';'.join(parts)}"
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
