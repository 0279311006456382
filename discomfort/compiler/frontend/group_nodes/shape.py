"""What the editor shows on a legacy group node: its widgets in the order of their values, its inputs and outputs.

Observed of frontend 1.49.6, oddities included. Inner nodes come in order. Each gives its plain widgets, then its slots,
among them the lists of options that a class declares as bare lists; widgets saved with an input of their own come
after all nodes. Links inside hide slots by position in this order, which is not always that of the saved inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from discomfort.compiler.frontend.saved.document import SavedNode
from discomfort.compiler.frontend.saved.editor_only_nodes import PRIMITIVE
from discomfort.compiler.frontend.widgets.class_widgets import Layouts, Widget
from discomfort.compiler.frontend.widgets.uploads import editor_inputs, uploads_to

Slot: TypeAlias = "tuple[int, int]"
"""Row of an inner node, and slot."""

_PRIMITIVE_WIDGETS = {"INT": 2, "FLOAT": 2, "COMBO": 3}
"""How many values a number or a choice has with its controls; others have one."""


@dataclass(frozen=True, slots=True)
class InnerLink:
    """A link between two inner nodes, by their rows."""

    origin: Slot
    target: Slot
    type: str


@dataclass(frozen=True, slots=True)
class GroupWidget:
    """A run of `count` values on the group node: those of widget `name` of an inner node and of its helpers.

    `shown` is what the group node calls it; `given` when the inner widget takes the value.
    """

    row: int
    name: str
    shown: str
    count: int
    given: bool = True


@dataclass(slots=True)
class GroupShape:
    """The face of one group node.

    `inputs` holds (row, name of the inner input, position among the group node's slots); `slots` the names of the
    group node's slots, sockets before widgets; `outputs` what each output shows. `keys` holds all inputs in the order
    in which the editor makes them, each with the upload button that it adds and the widget that it fills.
    """

    widgets: list[GroupWidget] = field(default_factory=list)
    inputs: list[tuple[int, str, int]] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)
    outputs: list[Slot] = field(default_factory=list)
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)


def is_helper(widget: Widget) -> bool:
    """Return whether a widget belongs to the one before it: it is not an input of the class."""
    return not widget.sent or not widget.type or widget.kind == "PREVIEW_3D"


class GroupShapeBuilder:
    """Builds the shape of one group."""

    def __init__(self, nodes: list[SavedNode], links: list[InnerLink], group: Mapping[str, Any], layouts: Layouts):
        self._nodes = nodes
        self._layouts = layouts
        self._fed = {link.target for link in links}
        self._feeding: dict[Slot, InnerLink] = {}
        for link in links:
            self._feeding.setdefault(link.origin, link)
        external = group.get("external")
        rows = [row for row in external if type(row) is list] if type(external) is list else []
        self._external = {(row[0], row[1]) for row in rows if len(row) > 1 and type(row[0]) is type(row[1]) is int}
        config = group.get("config")
        self._config: Mapping[str, Any] = config if type(config) is dict else {}
        self._names: dict[str, int] = {}
        self._count = 0
        self._sockets: list[str] = []
        self._widget_slots: list[str] = []
        self._shape = GroupShape()

    def shape(self) -> GroupShape:
        """Return what the group node shows."""
        later: list[tuple[int, list[str], int]] = []
        for row, node in enumerate(self._nodes):
            if node.type == PRIMITIVE:
                self._primitive(row)
            elif node.type == "Reroute":
                self._reroute(row)
            elif node.type in self._layouts.catalog:
                later.append(self._node(row, node))
        for row, converted, first in later:
            self._converted(row, converted, first)
        self._shape.slots = self._sockets + self._widget_slots
        return self._shape

    def _node(self, row: int, node: SavedNode) -> tuple[int, list[str], int]:
        """Add a node's plain widgets, slots and outputs; return its widgets with an input, and their first slot."""
        known = self._layouts.catalog[node.type]
        layout = self._layouts.get(node.type)
        plain = {widget.name for widget in layout.widgets if not widget.listed} if layout else set()
        listed = {widget.name for widget in layout.widgets if widget.listed} if layout else set()
        saved = {slot.name: place for place, slot in enumerate(node.inputs or ()) if slot.widget == slot.name}
        slots: list[str] = []
        converted: list[str] = []
        for name, spec, target in editor_inputs(known):
            if spec is None:
                self._added(row, name, target)
            elif name not in plain:
                slots.append(name)
            elif name in saved:
                converted.append(name)
            else:
                self._widget(row, name)
        for place, name in enumerate(slots):
            if (row, place) in self._fed:
                continue
            shown = self._free(row, name)
            if self._hidden(row, "input", name):
                continue
            self._shape.inputs.append((row, name, self._count))
            self._count += 1
            self._key(row, name, shown)
            if name in listed:
                self._shape.widgets.append(GroupWidget(row, name, shown, self._values(row, name), given=False))
                self._widget_slots.append(shown)
            else:
                self._sockets.append(shown)
        self._outputs(row, len(known.outputs))
        return row, sorted(converted, key=lambda name: str(saved[name])), len(slots)

    def _converted(self, row: int, names: list[str], first: int) -> None:
        for place, name in enumerate(names, first):
            if (row, place) not in self._fed:
                self._widget(row, name)
                self._shape.inputs.append((row, name, self._count))
                self._count += 1

    def _key(self, row: int, name: str, shown: str) -> None:
        spec = self._layouts.catalog[self._nodes[row].type].input(name)
        self._shape.keys[shown] = (spec and uploads_to(spec)) or "", ""

    def _added(self, row: int, name: str, target: str) -> None:
        """Add a button or player of a node."""
        shown = self._free(row, name)
        self._shape.keys[shown] = "", target
        self._widget_slots.append(shown)

    def _widget(self, row: int, name: str) -> None:
        shown = self._free(row, name)
        self._key(row, name, shown)
        self._shape.widgets.append(GroupWidget(row, name, shown, self._values(row, name)))
        self._widget_slots.append(shown)

    def _values(self, row: int, name: str) -> int:
        """Return how many values a widget has with its helpers, which follow it."""
        layout = self._layouts.get(self._nodes[row].type)
        widgets = layout.widgets if layout else ()
        place = next(place for place, widget in enumerate(widgets) if widget.name == name)
        count = 1
        for helper in widgets[place + 1 :]:
            if not is_helper(helper):
                break
            count += helper.saved
        return count

    def _primitive(self, row: int) -> None:
        """Add a PrimitiveNode that feeds something inside; others show nothing."""
        link = self._feeding.get((row, 0))
        if link is None:
            return
        shown = self._free(row, "value", always=bool(self._nodes[row].title))
        self._shape.widgets.append(GroupWidget(row, "value", shown, _PRIMITIVE_WIDGETS.get(link.type, 1)))
        self._widget_slots.append(shown)
        self._outputs(row, 1)

    def _reroute(self, row: int) -> None:
        """Add a Reroute with an open end: one that is linked on both sides shows nothing."""
        feeds = self._feeding.get((row, 0))
        if feeds is not None and (row, 0) in self._fed:
            return
        if (row, 0) not in self._fed:
            self._sockets.append(self._free(row, "*" if feeds is None else feeds.type))
            self._count += 1
        self._outputs(row, 1)

    def _outputs(self, row: int, count: int) -> None:
        for slot in range(count):
            inside = (row, slot) in self._feeding and (row, slot) not in self._external
            if not inside and not self._hidden(row, "output", str(slot)):
                self._shape.outputs.append((row, slot))

    def _custom(self, row: int, side: str, name: str) -> Mapping[str, Any]:
        found: Any = self._config
        for key in (str(row), side, name):
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def _hidden(self, row: int, side: str, name: str) -> bool:
        return self._custom(row, side, name).get("visible") is False

    def _free(self, row: int, name: str, *, always: bool = False) -> str:
        """Return the name of an inner input on the group node: its node's title distinguishes two of one name."""
        node = self._nodes[row]
        custom = self._custom(row, "input", name).get("name")
        found = key = custom if type(custom) is str else name
        if always or found in self._names:
            prefix = f"{node.type if node.title is None else node.title} "
            found = key = prefix + name
            if found in self._names:
                found = f"{prefix}{self._names[found]} {name}"
        self._names[key] = self._names.get(key, 1) + 1
        return found
