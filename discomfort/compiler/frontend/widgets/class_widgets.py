"""Which widgets and sockets the editor gives a node of a class, in the order in which it saves their values.

The order is the frontend's: one widget for each declared value input, helper widgets (control after generate, upload
buttons, players) behind it or at the end of the required inputs. Verified against what frontend 1.49.6 makes of
ComfyUI 0.33.0's classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from discomfort.ir.catalog.catalog import Catalog, InputSpec, NodeClass, read_input_groups
from discomfort.ir.catalog.entries import AUTOGROW as AUTOGROW
from discomfort.ir.catalog.entries import DYNAMIC_COMBO as DYNAMIC_COMBO
from discomfort.ir.catalog.entries import MATCH_TYPE as MATCH_TYPE

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

UNDEFINED: Any = object()
"""The value of a widget that has none: JavaScript's undefined, which is left out of prompts."""

EDITOR_TITLES: Mapping[str, str] = {
    "ByteDance2ReferenceNode": "ByteDance Seedance 2.5 Reference to Video",
    "ByteDanceSeedreamNodeV2": "ByteDance Seedream 4.5 & 5.0",
    "IdeogramPImage": "Ideogram P-Image",
    "LTXVConcatAVLatent": "LTXVConcatAVLatent",
    "LTXVSeparateAVLatent": "LTXVSeparateAVLatent",
    "TopazImageEnhance": "Topaz Image Enhance",
}
"""Classes that frontend 1.49.6 calls otherwise than the server's `display_name` (observed for all of 0.33.0's)."""


@dataclass(frozen=True, slots=True)
class Widget:
    """One widget: its default, whether its value is in prompts and in `widgets_values`, and its declared options.

    `first` is the option that a choice falls back to when its saved value is null, UNDEFINED for none.
    `type` is that of its input slot; `listed` marks a combo declared as a bare list.
    `branches` holds, for a dynamic combo, what each choice adds behind the widget.
    """

    name: str
    kind: str
    default: Any = None
    sent: bool = True
    saved: bool = True
    type: str = ""
    listed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    dynamic_prompts: bool = False
    branches: Mapping[str, Layout] | None = None
    first: Any = UNDEFINED


@dataclass(frozen=True, slots=True)
class Socket:
    """One input slot; `grows` when the slots `name.*` are made as they are connected; `follows` a match type.

    `members` names the slots that may grow, in order; the first `least` are always there. Those `nested` in a dynamic
    combo have one more at once, and each further one when the last is connected, whatever was saved.
    """

    name: str
    type: str
    grows: bool = False
    follows: bool = False
    members: tuple[str, ...] = ()
    least: int = 0
    nested: bool = False


Member: TypeAlias = "Widget | Socket"


@dataclass(frozen=True, slots=True)
class Layout:
    """Widgets in the order of their values, and all members in the order of their input slots.

    `fixed` when no widget adds others and all are saved, so that values and widgets pair up by position. `forced`
    says for each value that a save from before `forceInput` held whether it belongs to an input without widget.
    """

    widgets: tuple[Widget, ...]
    members: tuple[Member, ...]
    fixed: bool
    forced: tuple[bool, ...] = ()


class Layouts:
    """The layout of each class of a catalog, made when first requested."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._made: dict[str, Layout | None] = {}

        self._titles: Mapping[str, str] = EDITOR_TITLES

    def with_groups(self, groups: Mapping[str, tuple[str, Layout]]) -> Layouts:
        """Return these layouts and those of a workflow's group nodes: title and layout by type."""
        extended = Layouts(self.catalog)
        extended._made = {**self._made, **{name: layout for name, (_, layout) in groups.items()}}
        extended._titles = {**EDITOR_TITLES, **{name: title for name, (title, _) in groups.items()}}
        return extended

    def title(self, class_type: str) -> str:
        """Return what the editor writes on a new node of a type that has a layout."""
        return self._titles.get(class_type) or self.catalog[class_type].display_name

    def get(self, class_type: str) -> Layout | None:
        """Return the layout of a class; None for a class that the catalog does not know."""
        try:
            return self._made[class_type]
        except KeyError:
            known = self.catalog.get(class_type)
            layout = self._made[class_type] = None if known is None else class_layout(known)
            return layout


def class_layout(node_class: NodeClass) -> Layout:
    """Return the layout of one class: its sockets are listed before its widgets."""
    members: list[Member] = []
    forced: list[bool] = []
    for group in ("required", "optional"):
        specs = [spec for spec in node_class.inputs if spec.group == group]
        declared = _members(specs, "", node_class.name)
        names = {member.name for member in declared if type(member) is Widget}
        for spec in specs:
            if spec.name in names or spec.options.get("forceInput"):
                forced.append(bool(spec.options.get("forceInput")))
                if spec.options.get("control_after_generate"):
                    forced.append(False)
        members += [*declared, *_upload_widgets(specs)]
    members = _special_class(node_class.name, members)
    ordered: list[Widget | Socket] = [
        *(m for m in members if type(m) is Socket),
        *(m for m in members if type(m) is Widget),
    ]
    return _layout(ordered, tuple(forced))


def _layout(members: list[Member], forced: tuple[bool, ...] = ()) -> Layout:
    widgets = tuple(member for member in members if type(member) is Widget)
    fixed = all(w.branches is None and w.saved and w.kind != "PREVIEW_3D" for w in widgets)
    return Layout(widgets, tuple(members), fixed, forced)


def _members(specs: Iterable[InputSpec], prefix: str, class_type: str) -> list[Member]:
    members: list[Member] = []
    for spec in specs:
        name = prefix + spec.name
        options = spec.options
        kind = str(options.get("widgetType") or spec.type)
        if kind == DYNAMIC_COMBO:
            members.append(_dynamic_combo(name, spec, class_type))
        elif kind == AUTOGROW:
            names, kind = _grown_names(name, options), _grown_type(options)
            members.append(Socket(name, kind, True, members=names, least=_least(options), nested=bool(prefix)))
        elif kind == MATCH_TYPE:
            members.append(Socket(name, _allowed_types(options), follows=True))
        elif (kind in VALUE_TYPES or kind in SPECIAL_TYPES) and not options.get("forceInput"):
            members += _value_widgets(name, kind, spec, class_type)
        else:
            members.append(Socket(name, spec.type))
    return members


def _grown_names(name: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the slots that may grow: as the template names them, or numbered from 0 behind its prefix."""
    template = options.get("template")
    if not isinstance(template, Mapping):
        return ()
    names = template.get("names")
    if not isinstance(names, (list, tuple)):
        most = template.get("max")
        names = [f"{template.get('prefix', '')}{number}" for number in range(most if isinstance(most, int) else 0)]
    return tuple(f"{name}.{member}" for member in names)


def _grown_type(options: Mapping[str, Any]) -> str:
    """Return the type of the slots that grow: that of the template's one input."""
    template = options.get("template")
    inputs = template.get("input") if isinstance(template, Mapping) else None
    specs = read_input_groups(inputs) if isinstance(inputs, Mapping) else ()
    return next((spec.type for spec in specs), "*")


def _least(options: Mapping[str, Any]) -> int:
    template = options.get("template")
    least = template.get("min") if isinstance(template, Mapping) else None
    return least if isinstance(least, int) else 0


def _allowed_types(options: Mapping[str, Any]) -> str:
    template = options.get("template")
    allowed = template.get("allowed_types") if isinstance(template, Mapping) else None
    return allowed if isinstance(allowed, str) and allowed else "*"


def _value_widgets(name: str, kind: str, spec: InputSpec, class_type: str) -> list[Widget]:
    options = spec.options
    found = [
        Widget(
            name,
            kind,
            _default(kind, spec),
            saved=kind != "IMAGECOMPARE",
            type=spec.type,
            listed=spec.choices is not None and "options" not in options,
            options=options,
            dynamic_prompts=bool(options.get("dynamicPrompts")),
            first=_first_option(kind, spec),
        )
    ]
    if kind == "LOAD_3D" and class_type == "Load3D":
        buttons = ("upload 3d model", "upload3dmodel"), ("upload extra resources", "uploadExtraResources")
        found = [*(Widget(label, "BUTTON", value) for label, value in (*buttons, ("clear", "clear"))), *found]
    control = options.get("control_after_generate", kind == "INT" and name in ("seed", "noise_seed"))
    if control and kind in ("INT", "COMBO"):
        found.append(Widget("control_after_generate", "COMBO", "randomize", False))
        if kind == "COMBO":
            found.append(Widget("control_filter_list", "STRING", "", False))
    if options.get("remote"):
        found += [Widget("auto_refresh", "BOOLEAN", False, False), Widget("refresh", "BUTTON", "refresh")]
    return found


def _first_option(kind: str, spec: InputSpec) -> Any:
    if kind != "COMBO":
        return UNDEFINED
    if spec.options.get("remote"):
        return "L"  # the editor takes the first letter of "Loading..."
    return spec.choices[0] if spec.choices else UNDEFINED


def _default(kind: str, spec: InputSpec) -> Any:
    """Return the value of a widget that no save and no user has set."""
    if "default" in spec.options:
        return spec.options["default"]
    if kind == "COMBO":
        if spec.options.get("remote"):
            return "Loading..."
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


UPLOADS = ("image_upload", "video_upload", "animated_image_upload")
"""Options of inputs that add a button for pictures and videos."""


def _upload_widgets(specs: Iterable[InputSpec]) -> list[Widget]:
    """Return the upload button (and the player before it) that inputs with an upload add."""
    found = []
    for spec in specs:
        options = spec.options
        if options.get("audio_upload"):
            found += [Widget("audioUI", "AUDIO_UI", "", False, saved=False), Widget("upload", "BUTTON", "", False)]
        elif any(options.get(key) for key in UPLOADS) and options.get("widgetType") != "PAINTER":
            found.append(Widget("upload", "BUTTON", "image", False))
    return found


def _dynamic_combo(name: str, spec: InputSpec, class_type: str) -> Widget:
    branches: dict[str, Layout] = {}
    for choice in spec.options.get("options") or ():
        if isinstance(choice, Mapping) and "key" in choice:
            specs = read_input_groups(choice.get("inputs") or {})
            declared = [inner for inner in specs if inner.group != "hidden"]
            branches[str(choice["key"])] = _layout(_members(declared, f"{name}.", class_type))
    default = spec.options.get("default", next(iter(branches), ""))
    first = next(iter(branches), UNDEFINED)
    return Widget(name, DYNAMIC_COMBO, default, type=DYNAMIC_COMBO, branches=branches, first=first)


def _special_class(name: str, members: list[Member]) -> list[Member]:
    """Return the members of classes to which the frontend's own extensions add some."""
    if name in ("SaveGLB", "Preview3D"):
        return [*members, Widget("image", "PREVIEW_3D", "", type="PREVIEW_3D")]
    return members
