"""Merkle keys: what a node computes, as a hash of its class, its inputs, and the keys of what feeds it.

Ids, titles and the order of inputs take no part. Literals are tagged with their type, so that `1`, `1.0`, `true` and
`"1"` differ. Two kinds of key share one encoding: `structural_keys` says which nodes are the same piece of graph,
`node_keys` says which results are the same value and refuses (None, which is contagious) where that is not certain.

What a result depends on besides its inputs (the content of files, the code of a class, what the class answers when
called) is in `Source`s, which the engine that runs the nodes provides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from discomfort.ir.catalog.effects import LOADER_CLASS, Effect, EffectTable
from discomfort.ir.graph import Graph, Input, Json, Link, Literal, Node, NodeId

KEY_BYTES = 16
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Source:
    """What the result of one node depends on besides its inputs.

    `token` is equal for equal sources, None where they are unknown; `version` changes with every change, also with one
    that was undone: a result is worth remembering where it is the same before and after the run. `why` says for people
    what is unknown. `prompt_input` is what a server's own cache has to hold besides a node's inputs, "" for nothing;
    `keeps_state`: the node's object may hold what it read in an earlier run.
    """

    token: str | None
    version: str = ""
    why: str = ""
    prompt_input: str = ""
    keeps_state: bool = False


_NOTHING = Source("")
_REMEMBERED = (Effect.PURE, Effect.FILE)


def structural_keys(graph: Graph, order: Iterable[NodeId]) -> dict[NodeId, str]:
    """Return the key of each node of `order` (producers first); equal keys are equal pieces of graph.

    A parameter counts by its name. Links to nodes outside `order` count by the id they name.
    """
    nodes = graph.nodes
    keys: dict[NodeId, str] = {}
    token_of = partial(_structural_token, nodes, keys)
    for node_id in order:
        parts = _parts(nodes[node_id], token_of)
        assert parts is not None
        keys[node_id] = _digest(parts)
    return keys


def node_identity(node: Node) -> str:
    """Return text that is equal for two nodes of one graph exactly when class and inputs are."""
    return _SEPARATOR.join(_parts(node, _identity_token) or ())


def node_keys(
    graph: Graph,
    order: Iterable[NodeId],
    param_keys: Mapping[str, str | None],
    effects: EffectTable,
    sources: Mapping[NodeId, Source],
) -> dict[NodeId, str | None]:
    """Return the memo key of each node of `order` (producers first): equal keys, equal results.

    `param_keys` gives the digest of each parameter's value, `sources` what else nodes depend on. The key
    is None, and so is that of everything behind it, for classes that are volatile, unknown or run for their effect, for
    parameters without digest, for sources that are unknown, and for file readers without a source.
    """
    nodes = graph.nodes
    keys: dict[NodeId, str | None] = {}
    token_of = partial(_memo_token, nodes, keys, param_keys)
    rule_of = effects.rule
    for node_id in order:
        node = nodes[node_id]
        effect = rule_of(node.class_type).effect
        source = sources.get(node_id, _NOTHING)
        if effect not in _REMEMBERED or source.token is None or (effect is Effect.FILE and source is _NOTHING):
            keys[node_id] = None
            continue
        parts = _parts(node, token_of)
        if parts is None:
            keys[node_id] = None
            continue
        if source.token:
            parts.append(f"@{source.token}")
        keys[node_id] = _digest(parts)
    return keys


def output_key(key: str, slot: int) -> str:
    """Return the key of output `slot` of a node with key `key`."""
    return f"{key}.{slot}"


def literal_token(value: Json) -> str:
    """Return text that is equal for two JSON values exactly when they are the same value of the same type.

    Raises:
        TypeError, ValueError: it is not a JSON value: a tuple, a dict with keys that are not text, an object.
    """
    if isinstance(value, str):
        return f"s{len(value)}:{value}"
    if isinstance(value, bool):
        return "b1" if value else "b0"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return f"f{value!r}"
    _require_json(value)
    return "j" + json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _parts(node: Node, token_of: Callable[[Input], str | None]) -> list[str] | None:
    """Return what makes a node what it is: its class, and its inputs by name; None where an input has no token."""
    parts = [_class_token(node.class_type)]
    for name in sorted(node.inputs):
        token = token_of(node.inputs[name])
        if token is None:
            return None
        parts.append(f"{len(name)}:{name}")
        parts.append(token)
    return parts


def _class_token(name: str | None) -> str:
    """Return the text of a class: its name as it is, but for names that would run into what follows."""
    if name is None:
        return "\x1e"
    return name if "\x1f" not in name and "\x1e" not in name else f"\x1e{len(name)}:{name}"


def _require_json(value: object) -> None:
    """Raise where JSON would write two different values alike: `(1,)` and `[1]`, `{1: 2}` and `{"1": 2}`."""
    stack = [value]
    while stack:
        part = stack.pop()
        if type(part) is dict:
            if not all(isinstance(key, str) for key in part):
                raise TypeError("the keys of a JSON object are text")
            stack.extend(part.values())
        elif type(part) is list:
            stack.extend(part)
        elif part is not None and not isinstance(part, (str, int, float)):
            raise TypeError(f"{type(part).__name__} is not a JSON value")


def _identity_token(value: Input) -> str:
    if isinstance(value, Link):
        return f"l{len(value.node)}:{value.node}.{value.slot}"
    return literal_token(value.value) if isinstance(value, Literal) else f"p{value.name}"


def _structural_token(nodes: Mapping[NodeId, Node], keys: Mapping[NodeId, str], value: Input) -> str:
    if isinstance(value, Link):
        digest = _loader_digest(nodes.get(value.node))
        return f"l{keys.get(value.node, value.node)}.{value.slot}" if digest is None else f"v{digest}"
    return literal_token(value.value) if isinstance(value, Literal) else f"p{value.name}"


def _memo_token(
    nodes: Mapping[NodeId, Node],
    keys: Mapping[NodeId, str | None],
    param_keys: Mapping[str, str | None],
    value: Input,
) -> str | None:
    if isinstance(value, Link):
        digest = _loader_digest(nodes.get(value.node))
        if digest is not None:
            return f"v{digest}"
        key = keys.get(value.node)
        return None if key is None else f"l{key}.{value.slot}"
    if isinstance(value, Literal):
        return literal_token(value.value)
    digest = param_keys.get(value.name)
    return None if digest is None else f"v{digest}"


def _loader_digest(node: Node | None) -> str | None:
    """Return the digest that a loader node names: a loaded value counts as the value, not as a node."""
    if node is None or node.class_type != LOADER_CLASS:
        return None
    digest = node.inputs.get("digest")
    return str(digest.value) if isinstance(digest, Literal) else None


def _digest(parts: list[str]) -> str:
    return blake2b(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).hexdigest()
