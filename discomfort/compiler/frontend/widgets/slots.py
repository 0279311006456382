"""The input slots that the editor gives a loaded node: those its class declares, then others that were saved."""

from __future__ import annotations

from collections.abc import Container, Mapping

from discomfort.compiler.frontend.saved.document import LinkId, SavedInput, SavedNode
from discomfort.compiler.frontend.widgets.class_widgets import Layout, Layouts, Socket
from discomfort.compiler.frontend.widgets.values import input_slots, widget_values


def loaded_slots(declared: list[Socket] | None, node: SavedNode) -> list[tuple[str, str, LinkId]]:
    """Return (name, type, link) of each slot, in the editor's order."""
    if declared is None:
        return [(slot.name, slot.type, slot.link) for slot in node.inputs or ()]
    saved = {slot.name: slot for slot in node.inputs or ()}
    slots: list[tuple[str, str, LinkId]] = []
    used: set[str] = set()
    for socket in declared:
        if socket.grows:
            members = [slot for slot in saved.values() if slot.name.startswith(f"{socket.name}.")]
            used.update(slot.name for slot in members)
            if not socket.nested:
                slots += _in_order(socket, members)
            elif socket.members and node.values:
                slots += _growing(socket, saved)
            else:
                slots += [(slot.name, slot.type, slot.link) for slot in members]
            continue
        found = saved.get(socket.name)
        used.add(socket.name)
        if found is None:
            slots.append((socket.name, socket.type, None))
        else:
            slots.append((socket.name, found.type if socket.follows else socket.type, found.link))
    return slots + [(slot.name, slot.type, slot.link) for slot in saved.values() if slot.name not in used]


def declared_slots(layouts: Layouts, node: SavedNode) -> list[Socket] | None:
    """Return the slots that the node's class declares; None for a class that the catalog does not know."""
    layout = layouts.get(node.type)
    return None if layout is None else input_slots(layout, widget_values(layout, node), taken=bool(node.values))


def _in_order(socket: Socket, members: list[SavedInput]) -> list[tuple[str, str, LinkId]]:
    """Return (name, type, link) of grown slots: in the order in which they grow, the first ones saved or not."""
    saved = {slot.name: slot for slot in members}
    slots: list[tuple[str, str, LinkId]] = []
    for position, name in enumerate(socket.members):
        slot = saved.pop(name, None)
        if slot is not None:
            slots.append((name, slot.type, slot.link))
        elif position < socket.least:
            slots.append((name, socket.type, None))
    return slots + [(slot.name, slot.type, slot.link) for slot in saved.values()]


def _growing(socket: Socket, saved: Mapping[str, SavedInput]) -> list[tuple[str, str, LinkId]]:
    """Return (name, type, link) of the slots that grow inside a dynamic combo, as far as the editor grows them."""
    slots: list[tuple[str, str, LinkId]] = []
    for position, name in enumerate(socket.members):
        slot = saved.get(name)
        slots.append((name, socket.type, None) if slot is None else (name, slot.type, slot.link))
        if position >= socket.least and (slot is None or slot.link is None):
            break
    return slots


def existing_inputs(layout: Layout, node: SavedNode) -> list[SavedInput]:
    """Return the saved inputs that a node with dynamic combos still has: those of choices not taken are gone.

    A save without values takes no choice, and so loses nothing.
    """
    if not node.values:
        return node.inputs or []
    values = widget_values(layout, node)
    combos = tuple(f"{widget.name}." for widget, _ in values if widget.branches is not None)
    if not combos:
        return node.inputs or []
    declared = input_slots(layout, values, taken=True)
    saved = {slot.name: slot for slot in node.inputs or ()}
    names = {socket.name for socket in declared if not socket.grows}
    names.update(name for socket in declared if socket.nested for name, _, _ in _growing(socket, saved))
    groups = tuple(f"{socket.name}." for socket in declared if socket.grows and not socket.nested)
    return [
        slot
        for slot in node.inputs or ()
        if slot.name in names or not slot.name.startswith(combos) or (groups and slot.name.startswith(groups))
    ]


def is_lost(layout: Layout, slot: SavedInput, widgets: Container[str]) -> bool:
    """Return whether the editor drops a saved slot: it shows a widget that the class no longer has."""
    if slot.widget is None or slot.widget in widgets or slot.name in widgets:
        return False
    return not any(
        slot.name.startswith(f"{member.name}.") if type(member) is Socket and member.grows else slot.name == member.name
        for member in layout.members
    )


def target_slot(layouts: Layouts, node: SavedNode, slot: int) -> tuple[str, str] | None:
    """Return name and type of the input at position `slot` of a loaded node, as a link's target slot counts them.

    A node whose slots a dynamic combo changes keeps the positions of the save.
    """
    layout = layouts.get(node.type)
    if layout is not None and layout.fixed:
        slots = [(name, type_) for name, type_, _ in loaded_slots(declared_slots(layouts, node), node)]
    else:
        slots = [(given.name, given.type) for given in node.inputs or ()]
    return slots[slot] if 0 <= slot < len(slots) else None


def fits(one: str, other: str) -> bool:
    """Return whether the editor connects two slot types: any, equal but for case, or sharing one of `A,B`."""
    if one == other or one == "*" or other == "*":
        return True
    one, other = one.lower(), other.lower()
    if "," not in one and "," not in other:
        return one == other
    return not set(one.split(",")).isdisjoint(other.split(","))
