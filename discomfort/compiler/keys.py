"""Merkle keys: what a node computes, as a hash of its class, its inputs, and the keys of what feeds it.

Ids, titles and the order of inputs take no part. Literals are tagged with their type, so that `1`, `1.0`, `true` and
`"1"` differ. Two kinds of key share one encoding: `structural_keys` says which nodes are the same piece of graph,
`node_keys` says which results are the same value and refuses (None, which is contagious) where that is not certain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b

from discomfort.compiler.effects import LOADER_CLASS, Effect, EffectTable
from discomfort.compiler.graph import Graph, Input, Json, Link, Literal, Node, NodeId

KEY_BYTES = 16

Stamp = Callable[[Node, str], "str | None"]
"""Given a node and one of its file inputs: a word that changes with the file's content, None if that is unknown."""


def structural_keys(graph: Graph, order: Iterable[NodeId]) -> dict[NodeId, str]:
    """Return the key of each node of `order` (producers first); equal keys are equal pieces of graph.

    A parameter counts by its name. Links to nodes outside `order` count by the id they name.
    """
    nodes = graph.nodes
    keys: dict[NodeId, str] = {}
    for node_id in order:
        node = nodes[node_id]
        parts = [f"{node.class_type}"]
        for name in sorted(node.inputs):
            parts.append(f"{len(name)}:{name}")
            parts.append(_structural_token(node.inputs[name], nodes, keys))
        keys[node_id] = _digest(parts)
    return keys


def node_keys(
    graph: Graph,
    order: Iterable[NodeId],
    param_keys: Mapping[str, str | None],
    effects: EffectTable,
    stamp: Stamp | None = None,
) -> dict[NodeId, str | None]:
    """Return the memo key of each node of `order` (producers first): equal keys, equal results.

    `param_keys` gives the digest of each parameter's value. The key is None, and so is that of everything behind it,
    for classes that are volatile or unknown, for parameters without digest, and for file readers without `stamp`.
    """
    nodes = graph.nodes
    keys: dict[NodeId, str | None] = {}
    rule_of = effects.rule
    for node_id in order:
        node = nodes[node_id]
        rule = rule_of(node.class_type)
        if rule.effect in (Effect.VOLATILE, Effect.UNKNOWN):
            keys[node_id] = None
            continue
        parts = [f"{node.class_type}"]
        for name in sorted(node.inputs):
            token = _memo_token(node.inputs[name], nodes, keys, param_keys)
            if token is None:
                break
            parts.append(f"{len(name)}:{name}")
            parts.append(token)
        else:
            known = not rule.files or _add_stamps(parts, node, rule.files, stamp)
            keys[node_id] = _digest(parts) if known else None
            continue
        keys[node_id] = None
    return keys


def output_key(key: str, slot: int) -> str:
    """Return the key of output `slot` of a node with key `key`."""
    return f"{key}.{slot}"


def literal_token(value: Json) -> str:
    """Return text that is equal for two JSON values exactly when they are the same value of the same type."""
    if isinstance(value, str):
        return f"s{len(value)}:{value}"
    if isinstance(value, bool):
        return "b1" if value else "b0"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return f"f{value!r}"
    return "j" + json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _structural_token(value: Input, nodes: Mapping[NodeId, Node], keys: Mapping[NodeId, str]) -> str:
    if isinstance(value, Link):
        digest = _loader_digest(nodes.get(value.node))
        return f"l{keys.get(value.node, value.node)}.{value.slot}" if digest is None else f"v{digest}"
    return literal_token(value.value) if isinstance(value, Literal) else f"p{value.name}"


def _memo_token(
    value: Input,
    nodes: Mapping[NodeId, Node],
    keys: Mapping[NodeId, str | None],
    param_keys: Mapping[str, str | None],
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


def _add_stamps(parts: list[str], node: Node, files: tuple[str, ...], stamp: Stamp | None) -> bool:
    """Append the stamp of each file that `node` reads; return False when one is unknown."""
    for name in files:
        value = node.inputs.get(name)
        if value is None:
            continue
        word = stamp(node, name) if stamp is not None and isinstance(value, Literal) else None
        if word is None:
            return False
        parts.append(f"@{len(name)}:{name}")
        parts.append(literal_token(word))
    return True


def _digest(parts: list[str]) -> str:
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).hexdigest()
