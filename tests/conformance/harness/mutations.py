"""Random edits of a workflow: what people, older editors and other programs do to saved files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from .regroup import duplicate_host, legacy_group, wrap_in_subgraph
from .scopes import WIDGET_TYPES, Json, Row, Scope, clone, definitions, scopes

Mutation = Callable[[Json, Random], bool]
"""Edits the document in place; False when there was nothing to edit."""

TEXTS = (
    "a {red|blue} ball",
    "plain // with a comment",
    "before /* inside */ after",
    "{only}",
    "{}",
    r"\{kept\}",
    "{a|{b|c}}",
    '{"json": 1}',
    "see http://example.org/x",
    "",
    "line\nline // tail\nnext",
    "100%",
    "{a|b",
    "a|b}",
    "%KSampler.seed%",
)
VALUES: tuple[Any, ...] = (
    0, 1, -1, 7.5, 1e20, 2**53 + 1, 18446744073709551615, "44", "text", "", True, False, None,
    [], [1, 2], ["1", 0], ["abc", 0], [1, 2, 3], {}, {"a": 1}, {"__value__": [1]}, 0.1 + 0.2, 1e-7,
    "fixed", "randomize",
)  # fmt: skip
PREFIXES = (
    "%KSampler.seed%/x",
    "img_%Load Checkpoint.ckpt_name%",
    "%NoNode.value%",
    "%width%x%height%",
    "a/b\\c:d",
    "%CheckpointLoaderSimple.ckpt_name%",
    "%%",
    "%KSampler.nothing%",
    "%SaveImage.filename_prefix%",
)


def _scope(document: Json, random: Random) -> Scope:
    found = [scope for scope in scopes(document) if scope.nodes] or scopes(document)[:1]
    return found[0] if random.random() < 0.5 else random.choice(found)


def _some_node(document: Json, random: Random) -> Json | None:
    nodes = _scope(document, random).nodes
    return random.choice(nodes) if nodes else None


def change_mode(document: Json, random: Random) -> bool:
    """Mute, bypass or activate some nodes, subgraph hosts included."""
    nodes = _scope(document, random).nodes
    for node in random.sample(nodes, min(len(nodes), random.choice([1, 1, 2, 3]))):
        node["mode"] = random.choice([2, 4, 4, 4, 0])
    return bool(nodes)


def change_many_modes(document: Json, random: Random) -> bool:
    """Mute or bypass a third of everything."""
    for scope in scopes(document):
        for node in scope.nodes:
            if random.random() < 0.33:
                node["mode"] = random.choice([2, 4, 4, 0])
    return True


def odd_mode(document: Json, random: Random) -> bool:
    """Give a node a mode that the editor does not offer, or none."""
    node = _some_node(document, random)
    if node is None:
        return False
    node["mode"] = random.choice([1, 3, 5, -1, None, "4", "2", True, 4.0])
    return True


def cut_link(document: Json, random: Random) -> bool:
    """Remove a link as the editor does."""
    scope = _scope(document, random)
    rows = scope.rows()
    if rows:
        scope.disconnect(random.choice(rows).id)
    return bool(rows)


def forget_link(document: Json, random: Random) -> bool:
    """Clear `input.link` and leave the row behind."""
    slots = [slot for node in _scope(document, random).nodes for slot in node.get("inputs") or [] if slot.get("link")]
    if slots:
        random.choice(slots)["link"] = None
    return bool(slots)


def move_link_row(document: Json, random: Random) -> bool:
    """Change the origin slot, the target slot or the type of a row."""
    scope = _scope(document, random)
    rows = scope.inner_rows()
    if not rows:
        return False
    chosen, kept = random.choice(rows), scope.rows()
    for row in kept:
        if row.id == chosen.id:
            field = random.choice(["origin_slot", "origin_slot", "target_slot", "type"])
            setattr(
                row, field, random.choice(["*", "IMAGE", "MODEL", 0]) if field == "type" else random.choice([0, 1, 7])
            )
    scope.write_rows(kept)
    return True


def new_link(document: Json, random: Random) -> bool:
    """Connect an output to an input of the same or, seldom, any type."""
    scope = _scope(document, random)
    outputs = [(node, i, out) for node in scope.nodes for i, out in enumerate(node.get("outputs") or [])]
    inputs = [(node, i, slot) for node in scope.nodes for i, slot in enumerate(node.get("inputs") or [])]
    random.shuffle(outputs)
    random.shuffle(inputs)
    anything = random.random() < 0.2
    for origin, i, out in outputs[:20]:
        for target, j, slot in inputs:
            same = out.get("type") == slot.get("type") or "*" in (out.get("type"), slot.get("type"))
            if origin is not target and (same or anything):
                scope.connect(origin, i, target, j, out.get("type"))
                return True
    return False


def add_reroute(document: Json, random: Random) -> bool:
    """Put a Reroute (sometimes muted or bypassed, sometimes two) into a link."""
    scope = _scope(document, random)
    rows = scope.inner_rows()
    if not rows:
        return False
    row = random.choice(rows)
    for _ in range(random.choice([1, 1, 2])):
        origin, target = scope.node(row.origin), scope.node(row.target)
        if origin is None or target is None or row.target_slot >= len(target.get("inputs") or []):
            return False
        if row.origin_slot >= len(origin.get("outputs") or []):
            return False
        reroute: Json = {
            "id": scope.fresh_node_id(), "type": "Reroute", "pos": [0, 0], "size": [75, 26], "flags": {}, "order": 0,
            "mode": random.choice([0, 0, 0, 2, 4]),
            "inputs": [{"name": "", "type": "*", "link": None}],
            "outputs": [{"name": random.choice(["", str(row.type)]), "type": row.type, "links": []}],
            "properties": {"showOutputText": False, "horizontal": False},
        }  # fmt: skip
        scope.level["nodes"].append(reroute)
        scope.connect(origin, row.origin_slot, reroute, 0, row.type)
        link_id = scope.connect(reroute, 0, target, row.target_slot, row.type)
        row = Row(link_id, reroute["id"], 0, target["id"], row.target_slot, row.type)
    return True


def add_native_reroute(document: Json, random: Random) -> bool:
    """Put a reroute of the newer kind on a link: a mere bend."""
    rows = Scope(document, document).rows()
    if not rows or document.get("version") == 1:
        return False
    row, extra = random.choice(rows), document.setdefault("extra", {})
    if not isinstance(extra, dict):
        return False
    extra.setdefault("reroutes", []).append({"id": 9001, "pos": [1, 2], "linkIds": [row.id]})
    extra.setdefault("linkExtensions", []).append({"id": row.id, "parentId": 9001})
    return True


def add_primitive(document: Json, random: Random) -> bool:
    """Feed a widget from a PrimitiveNode."""
    scope = _scope(document, random)
    slots = [
        (node, i, slot)
        for node in scope.nodes
        for i, slot in enumerate(node.get("inputs") or [])
        if slot.get("widget") and slot.get("link") is None and slot.get("type") in WIDGET_TYPES
    ]
    if not slots:
        return False
    node, index, slot = random.choice(slots)
    value: Any = {"STRING": random.choice(TEXTS), "BOOLEAN": True, "COMBO": "euler"}.get(slot["type"])
    if value is None:
        value = random.choice([3, 0.333, 999999, -5, "44", 2**60])
    widget = {"name": slot["widget"]["name"]}
    primitive: Json = {
        "id": scope.fresh_node_id(), "type": "PrimitiveNode", "pos": [0, 0], "size": [210, 82], "flags": {}, "order": 0,
        "mode": random.choice([0, 0, 2, 4]), "inputs": [],
        "outputs": [{"name": slot["type"], "type": slot["type"], "widget": widget, "links": []}],
        "properties": {"Run widget replace on values": False},
        "widgets_values": random.choice([[value, "fixed"], [value, "randomize"], [value], []]),
    }  # fmt: skip
    scope.level["nodes"].append(primitive)
    scope.connect(primitive, 0, node, index, slot["type"])
    return True


def change_value(document: Json, random: Random) -> bool:
    """Write something odd into one widget value."""
    nodes = [node for node in _scope(document, random).nodes if isinstance(node.get("widgets_values"), list)]
    nodes = [node for node in nodes if node["widgets_values"]]
    if not nodes:
        return False
    node = random.choice(nodes)
    values = node["widgets_values"]
    index = random.randrange(len(values))
    if isinstance(values[index], str) and random.random() < 0.7:
        values[index] = random.choice(PREFIXES if "Save" in str(node.get("type")) else TEXTS)
    else:
        values[index] = random.choice(VALUES)
    return True


def resize_values(document: Json, random: Random) -> bool:
    """Cut, extend, shift, empty or remove a node's widget values."""
    nodes = [node for node in _scope(document, random).nodes if isinstance(node.get("widgets_values"), list)]
    if not nodes:
        return False
    node = random.choice(nodes)
    values = node["widgets_values"]
    kind = random.choice(["short", "long", "empty", "null", "absent", "shift", "insert", "null item", "numbered"])
    if kind == "absent":
        del node["widgets_values"]
    else:
        edits: Mapping[str, Any] = {
            "short": values[: random.randrange(len(values) + 1)],
            "long": [*values, 1, "x"],
            "empty": [],
            "null": None,
            "shift": values[1:],
            "insert": ["randomize", *values],
            "null item": [None if random.random() < 0.4 else value for value in values],
            "numbered": {str(i): value for i, value in enumerate(values)},
        }
        node["widgets_values"] = edits[kind]
    return True


def drop_named_values(document: Json, random: Random) -> bool:
    """Take away what newer saves add besides the positional values."""
    for scope in scopes(document):
        for node in scope.nodes:
            node.pop("widgets_values_named", None)
    return True


def rename_input(document: Json, random: Random) -> bool:
    """Give a saved input another name."""
    slots = [slot for node in _scope(document, random).nodes for slot in node.get("inputs") or []]
    if slots:
        slot = random.choice(slots)
        slot["name"] = random.choice([f"{slot.get('name')}_old", "bogus", "image", "model", "text"])
    return bool(slots)


def reorder_inputs(document: Json, random: Random) -> bool:
    """Save a node's inputs in another order, with or without updating the link rows."""
    scope = _scope(document, random)
    nodes = [node for node in scope.nodes if len(node.get("inputs") or []) > 1]
    if not nodes:
        return False
    node = random.choice(nodes)
    random.shuffle(node["inputs"])
    if random.random() < 0.6:
        slots = {slot.get("link"): i for i, slot in enumerate(node["inputs"])}
        rows = scope.rows()
        for row in rows:
            if row.target == node["id"] and row.id in slots:
                row.target_slot = slots[row.id]
        scope.write_rows(rows)
    return True


def remove_slots(document: Json, random: Random) -> bool:
    """Save a node without its inputs or outputs, or without those inputs that show widgets."""
    nodes = _scope(document, random).nodes
    if not nodes:
        return False
    kind = random.choice(["inputs", "outputs", "widget inputs", "all widget inputs"])
    chosen = nodes if kind == "all widget inputs" else [random.choice(nodes)]
    for node in chosen:
        if kind in ("inputs", "outputs"):
            node.pop(kind, None)
        elif "inputs" in node:
            node["inputs"] = [slot for slot in node["inputs"] or [] if not slot.get("widget") or slot.get("link")]
    return True


def shuffle_nodes(document: Json, random: Random) -> bool:
    """Save nodes and links in another order."""
    scope = _scope(document, random)
    random.shuffle(scope.level["nodes"])
    if scope.level.get("links"):
        random.shuffle(scope.level["links"])
    return True


def unknown_type(document: Json, random: Random) -> bool:
    """Make a node one that the server does not know."""
    node = _some_node(document, random)
    if node is None:
        return False
    node["type"] = random.choice(["NoSuchNode", "another/Node", f"{node.get('type')}X"])
    return True


def string_ids(document: Json, random: Random) -> bool:
    """Write the root's node ids as strings, in the nodes, the links, or both."""
    root, where = Scope(document, document), random.choice(["both", "both", "nodes", "links"])
    if where != "links":
        for node in root.nodes:
            node["id"] = str(node["id"])
    if where != "nodes":
        rows = root.rows()
        for row in rows:
            row.origin, row.target = str(row.origin), str(row.target)
        root.write_rows(rows)
    return True


def object_links(document: Json, random: Random) -> bool:
    """Save as schema 1: links as objects."""
    root = Scope(document, document)
    rows = root.rows()
    document["version"] = 1
    document["state"] = {"lastNodeId": 999, "lastLinkId": 999, "lastGroupId": 0, "lastRerouteId": 0}
    root.write_rows(rows)
    return True


def short_rows(document: Json, random: Random) -> bool:
    """Save link rows without their type, or leave out what the editor can do without."""
    if document.get("version") == 1:
        return False
    if random.random() < 0.5:
        document["links"] = [row[:5] if isinstance(row, list) else row for row in document.get("links") or []]
    else:
        for key in ("extra", "config", "groups", "last_node_id", "last_link_id"):
            document.pop(key, None)
    return True


def duplicate_node(document: Json, random: Random) -> bool:
    """Paste a copy of a node, connected to the same sources; seldom with the same id."""
    scope = _scope(document, random)
    nodes = [node for node in scope.nodes if node.get("inputs") is not None]
    if not nodes:
        return False
    node = random.choice(nodes)
    copy = clone(node)
    copy["id"] = scope.fresh_node_id()
    for output in copy.get("outputs") or []:
        output["links"] = []
    sources = {row.id: row for row in scope.rows()}
    scope.level["nodes"].append(copy)
    for index, slot in enumerate(copy["inputs"]):
        row = sources.get(slot.get("link"))
        slot["link"] = None
        origin = scope.node(row.origin) if row else None
        if row and origin and row.origin_slot < len(origin.get("outputs") or []):
            scope.connect(origin, row.origin_slot, copy, index, row.type)
    if scope.is_root and random.random() < 0.1 and not any(slot.get("link") for slot in copy["inputs"]):
        copy["id"] = node["id"]
    return True


def remove_node(document: Json, random: Random) -> bool:
    """Delete a node and its links."""
    scope = _scope(document, random)
    nodes = scope.nodes
    if len(nodes) < 2:
        return False
    node = random.choice(nodes)
    for row in scope.rows():
        if node["id"] in (row.origin, row.target):
            scope.disconnect(row.id)
    scope.level["nodes"] = [each for each in nodes if each is not node]
    return True


def retitle(document: Json, random: Random) -> bool:
    """Give a node a title of its own, or another name for search and replace."""
    node = _some_node(document, random)
    if node is None:
        return False
    node["title"] = random.choice(["KSampler", "My node", "", "Ünïcödé 🖌", "Load Checkpoint"])
    if random.random() < 0.5 and isinstance(node.setdefault("properties", {}), dict):
        node["properties"]["Node name for S&R"] = random.choice(["KSampler", "width", "Other"])
    return True


def choose_option(document: Json, random: Random) -> bool:
    """Take another option of a dynamic combo, seen elsewhere in the document or made up."""
    texts = [v for s in scopes(document) for n in s.nodes if isinstance(n.get("widgets_values"), list)
             for v in n["widgets_values"] if isinstance(v, str) and len(v) < 40]  # fmt: skip
    nodes = [n for n in _scope(document, random).nodes if any("." in str(s.get("name")) for s in n.get("inputs") or [])]
    nodes = [n for n in nodes if isinstance(n.get("widgets_values"), list) and n["widgets_values"]]
    if not nodes:
        return False
    node = random.choice(nodes)
    node["widgets_values"][random.randrange(len(node["widgets_values"]))] = random.choice(
        [*texts, "auto", "none", "h264"]
    )
    return True


def drop_grown_input(document: Json, random: Random) -> bool:
    """Disconnect or remove one of the inputs that grow with use."""
    scope = _scope(document, random)
    grown = [(n, s) for n in scope.nodes for s in n.get("inputs") or [] if "." in str(s.get("name")) and s.get("link")]
    if not grown:
        return False
    node, slot = random.choice(grown)
    scope.disconnect(slot["link"])
    if random.random() < 0.3:
        node["inputs"].remove(slot)
    return True


def host_values(document: Json, random: Random) -> bool:
    """Change the values that a subgraph host keeps for its promoted widgets."""
    ids = {definition.get("id") for definition in definitions(document)}
    hosts = [node for scope in scopes(document) for node in scope.nodes if node.get("type") in ids]
    if not hosts:
        return False
    host = random.choice(hosts)
    values = host.get("widgets_values")
    if isinstance(values, list) and values and random.random() < 0.6:
        values[random.randrange(len(values))] = random.choice(VALUES)
    elif random.random() < 0.5:
        host["widgets_values"] = []
    else:
        properties = host.get("properties")
        if (
            isinstance(properties, dict)
            and isinstance(properties.get("proxyWidgets"), list)
            and properties["proxyWidgets"]
        ):
            properties["proxyWidgets"] = random.choice(
                [[], properties["proxyWidgets"][1:], properties["proxyWidgets"][::-1]]
            )
    return True


MUTATIONS: Mapping[str, tuple[Mutation, int]] = {
    mutation.__name__: (mutation, weight)
    for mutation, weight in (
        (change_mode, 8), (change_many_modes, 4), (odd_mode, 1), (cut_link, 3), (forget_link, 1), (move_link_row, 1),
        (new_link, 3), (add_reroute, 4), (add_native_reroute, 1), (add_primitive, 4), (change_value, 4),
        (resize_values, 3), (drop_named_values, 1), (rename_input, 1), (reorder_inputs, 2), (remove_slots, 2),
        (shuffle_nodes, 1), (unknown_type, 1), (string_ids, 1), (object_links, 1), (short_rows, 1), (duplicate_node, 2),
        (remove_node, 2), (retitle, 1), (choose_option, 2), (drop_grown_input, 2), (host_values, 3),
        (wrap_in_subgraph, 5), (duplicate_host, 3), (legacy_group, 2),
    )
}  # fmt: skip
"""Each mutation with how often it is drawn."""


def mutate(document: Json, seed: int, *, only: tuple[str, ...] = ()) -> tuple[Json, list[str]]:
    """Return a copy of `document` after one to five random edits, and the names of the edits.

    Args:
        document: a workflow as the editor saves it.
        seed: decides everything; the same seed gives the same document.
        only: draw from these mutations only.
    """
    random = Random(seed)
    edited = json.loads(json.dumps(document))
    names = list(only or MUTATIONS)
    weights = [MUTATIONS[name][1] for name in names]
    done: list[str] = []
    for _ in range(random.choice([1, 1, 2, 3, 5]) * 4):
        if len(done) >= 5 or (done and random.random() < 0.3):
            break
        name = random.choices(names, weights)[0]
        if MUTATIONS[name][0](edited, random):
            done.append(name)
    return edited, done
