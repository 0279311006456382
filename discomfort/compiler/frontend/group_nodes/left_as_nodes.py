"""Legacy group nodes that the editor leaves as they are: which those are, and what one inside a subgraph looks like.

The editor makes a class of each group and then creates its node. It fails where an upload button comes before the
widget that it fills, which the names and the order of all inputs decide. Groups at the root are taken apart; one
inside a subgraph stays a node of that class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from discomfort.compiler.frontend.group_nodes.shape import GroupShape
from discomfort.compiler.frontend.saved.document import SavedNode
from discomfort.compiler.frontend.widgets.class_widgets import Layout, Layouts, Member, Socket, Widget
from discomfort.compiler.frontend.widgets.uploads import AUDIO_UPLOAD, PICTURE_UPLOAD, PLAYER


def can_be_created(shape: GroupShape) -> bool:
    """Return whether the editor can create the node of a group: each button finds the widget that it fills."""
    keys = dict(shape.keys)
    first = next((name for name, (uploads, _) in keys.items() if uploads == PICTURE_UPLOAD), None)
    if keys.get("audio", ("", ""))[0] == AUDIO_UPLOAD:
        keys["upload"] = "", AUDIO_UPLOAD
    if first is not None:
        keys["upload"] = "", first
    made: set[str] = set()
    for name, (_, target) in keys.items():
        needed = {"audio", PLAYER} if target == AUDIO_UPLOAD else {target} - {"", PLAYER}
        if not needed <= made:
            return False
        made.add(name)
    return True


def group_layout(nodes: list[SavedNode], shape: GroupShape, layouts: Layouts) -> Layout:
    """Return the layout of a group's node: the inner widgets with their helpers, renamed as the group shows them."""
    members: list[Member] = [Socket(name, "*") for name in shape.slots]
    widgets: list[Widget] = []
    for run in shape.widgets:
        layout = layouts.get(nodes[run.row].type)
        if layout is None:
            widgets.append(Widget(run.shown, "PRIMITIVE", ""))
            widgets += [Widget(f"{run.shown} control {place}", "COMBO", "", False) for place in range(1, run.count)]
            continue
        place = next(place for place, widget in enumerate(layout.widgets) if widget.name == run.name)
        helpers = _helpers(layout.widgets[place + 1 :], run.count - 1)
        widgets += [replace(layout.widgets[place], name=run.shown), *(replace(each, sent=False) for each in helpers)]
    return Layout(tuple(widgets), (*members, *widgets), False)


def _helpers(widgets: Iterable[Widget], saved: int) -> Iterator[Widget]:
    for widget in widgets:
        if saved <= 0:
            return
        saved -= widget.saved
        yield widget
