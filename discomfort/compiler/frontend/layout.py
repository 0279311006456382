"""Which widgets and sockets the editor gives a node of a class, in the order in which it saves their values.

The order is the frontend's: one widget for each declared value input, helper widgets (control after generate, upload
buttons, players) behind it or at the end of the required inputs. Verified against what frontend 1.49.6 makes of
ComfyUI 0.33.0's classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from discomfort.compiler.catalog import Catalog, InputSpec, NodeClass, read_input_groups

VALUE_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
"""Types whose inputs are widgets unless they say `forceInput`."""

SPECIAL_TYPES = frozenset(
    {
        "AUDIO_RECORD",
        "BOUNDING_BOX",
        "BOUNDING_BOXES",
        "COLOR",
        "COLORS",
        "COMPOSITOR",
        "CURVE",
        "IMAGECOMPARE",
        "LOAD_3D",
        "MARKDOWN",
        "PAINTER",
        "RANGE",
        "TEXTAREA",
        "WEBCAM",
    }
)
"""Types that have an editor of their own on the node; their values are saved like any widget's."""

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
UNDEFINED: Any = object()
"""The value of a widget that has none: JavaScript's undefined, which is left out of prompts."""

AUTOGROW = "COMFY_AUTOGROW_V3"
MATCH_TYPE = "COMFY_MATCHTYPE_V3"


@dataclass(frozen=True, slots=True)
class Widget:
    """One widget: whether its value is in `widgets_values` and in prompts, its default, and its declared options.

    `branches` holds, for a dynamic combo, what each choice adds behind the widget.
    """

    name: str
    kind: str
    default: Any = None
    sent: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    dynamic_prompts: bool = False
    branches: Mapping[str, Layout] | None = None


@dataclass(frozen=True, slots=True)
class Socket:
    """One input slot; `grows` when the slots `name.*` are made as they are connected."""

    name: str
    type: str
    grows: bool = False


Item: TypeAlias = "Widget | Socket"


@dataclass(frozen=True, slots=True)
class Layout:
    """Widgets in the order of their values, and sockets; `fixed` when no widget adds others."""

    widgets: tuple[Widget, ...]
    sockets: tuple[Socket, ...]
    fixed: bool


class Layouts:
    """The layout of each class of a catalog, made when first asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._made: dict[str, Layout | None] = {}

    def get(self, class_type: str) -> Layout | None:
        """Return the layout of a class; None for a class that the catalog does not know."""
        try:
            return self._made[class_type]
        except KeyError:
            known = self.catalog.get(class_type)
            layout = self._made[class_type] = None if known is None else class_layout(known)
            return layout


def class_layout(node_class: NodeClass) -> Layout:
    """Return the layout of one class."""
    required = [spec for spec in node_class.inputs if spec.group == "required"]
    optional = [spec for spec in node_class.inputs if spec.group == "optional"]
    widgets, sockets = _items(required, "")
    widgets += _upload_widgets(required)
    more_widgets, more_sockets = _items(optional, "")
    widgets += more_widgets + _upload_widgets(optional)
    widgets = _special_class(node_class.name, widgets)
    return _layout(widgets, sockets + more_sockets)


def _layout(widgets: list[Widget], sockets: list[Socket]) -> Layout:
    return Layout(tuple(widgets), tuple(sockets), all(widget.branches is None for widget in widgets))


def _items(specs: Iterable[InputSpec], prefix: str) -> tuple[list[Widget], list[Socket]]:
    widgets: list[Widget] = []
    sockets: list[Socket] = []
    for spec in specs:
        name = prefix + spec.name
        options = spec.options
        kind = str(options.get("widgetType") or spec.type)
        if kind == DYNAMIC_COMBO:
            widgets.append(_dynamic_combo(name, spec))
        elif kind == AUTOGROW:
            sockets.append(Socket(name, "*", grows=True))
        elif (kind in VALUE_TYPES or kind in SPECIAL_TYPES) and not options.get("forceInput"):
            widgets += _value_widgets(name, kind, spec)
        else:
            sockets.append(Socket(name, "*" if kind == MATCH_TYPE else spec.type))
    return widgets, sockets


def _value_widgets(name: str, kind: str, spec: InputSpec) -> list[Widget]:
    options = spec.options
    default = _default(kind, spec)
    found = [Widget(name, kind, default, True, options, bool(options.get("dynamicPrompts")))]
    if kind == "LOAD_3D":
        buttons = ("upload 3d model", "upload3dmodel"), ("upload extra resources", "uploadExtraResources")
        found = [*(Widget(label, "BUTTON", value) for label, value in (*buttons, ("clear", "clear"))), *found]
    control = options.get("control_after_generate", kind == "INT" and spec.name in ("seed", "noise_seed"))
    if control and kind in ("INT", "COMBO"):
        found.append(Widget("control_after_generate", "COMBO", "randomize", False))
        if kind == "COMBO":
            found.append(Widget("control_filter_list", "STRING", "", False))
    return found


def _default(kind: str, spec: InputSpec) -> Any:
    """Return the value of a widget that no save and no user has set."""
    if "default" in spec.options:
        return spec.options["default"]
    if kind == "COMBO":
        return spec.choices[0] if spec.choices else UNDEFINED
    return _EMPTY.get(kind, "")


_EMPTY: Mapping[str, Any] = {
    "INT": 0,
    "FLOAT": 0,
    "BOOLEAN": False,
    "COLOR": "#ffffff",
    "IMAGECOMPARE": ["", ""],
    "COLORS": [],
    "BOUNDING_BOXES": [],
    "COMPOSITOR": {},
}


def _upload_widgets(specs: Iterable[InputSpec]) -> list[Widget]:
    """Return the upload button (and the player before it) that files chosen by upload bring."""
    found = []
    for spec in specs:
        options = spec.options
        if options.get("audio_upload"):
            found += [Widget("audioUI", "AUDIO_UI", "", False), Widget("upload", "BUTTON", "", False)]
        elif options.get("image_upload") or options.get("video_upload") or options.get("animated_image_upload"):
            if options.get("widgetType") != "PAINTER":
                found.append(Widget("upload", "BUTTON", "image", False))
    return found


def _dynamic_combo(name: str, spec: InputSpec) -> Widget:
    branches: dict[str, Layout] = {}
    for choice in spec.options.get("options") or ():
        if isinstance(choice, Mapping) and "key" in choice:
            specs = read_input_groups(choice.get("inputs") or {})
            branches[str(choice["key"])] = _layout(*_items(specs, f"{name}."))
    default = spec.options.get("default", next(iter(branches), ""))
    return Widget(name, DYNAMIC_COMBO, default, branches=branches)


def _special_class(name: str, widgets: list[Widget]) -> list[Widget]:
    """Return the widgets of classes to which the frontend's own extensions add some."""
    if name in ("SaveGLB", "Preview3D"):
        return [*widgets, Widget("image", "STRING", "")]
    if name in ("SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "PreviewAudio", "SaveAudioAdvanced"):
        return [*widgets, Widget("audioUI", "AUDIO_UI", "", False)]
    return widgets
