"""ComfyUI's type language: `*`, unions "A,B", COMBO, match types, and inputs that grow with what is set.

The rules are those of ComfyUI's own validation (0.33.0, observed): a link fits when the two types share a member or
one of them is `*`; numbers are not converted along a link, so INT does not fit FLOAT there, while a literal or a value
from a context is converted. Match types bind all inputs and outputs of one template to one type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from discomfort.ir.catalog.catalog import Catalog, InputSpec, NodeClass, read_input_groups
from discomfort.ir.catalog.effects import LOADER_CLASS, PORT_CLASS
from discomfort.ir.catalog.entries import AUTOGROW as AUTOGROW
from discomfort.ir.catalog.entries import DYNAMIC_COMBO as DYNAMIC_COMBO
from discomfort.ir.catalog.entries import MATCH_TYPE as MATCH_TYPE
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Param

ANY = "*"
UNKNOWN = "?"
"""The type of what a class that no catalog describes gives: nothing can be said against it."""

_DYNAMIC = (AUTOGROW, DYNAMIC_COMBO)

_BY_VALUE = {("INT", "FLOAT"), ("STRING", "COMBO"), ("COMBO", "STRING")}
"""(received, wanted): what no link may join but what fits as a literal."""


@lru_cache(maxsize=4096)
def members(type_name: str) -> frozenset[str]:
    """Return the members of a union; a plain type has one."""
    return frozenset(part.strip() for part in type_name.split(","))


def is_open(type_name: str) -> bool:
    """Return whether anything fits: `*`, an unknown type, or a match type that nothing has bound."""
    return type_name in (ANY, UNKNOWN, MATCH_TYPE) or ANY in members(type_name)


def needs_link(spec: InputSpec | None) -> bool:
    """Return whether a value reaches an input unchanged only along a link; None: the class does not declare it.

    ComfyUI converts a literal by every type that the input's type compares equal to, and many packs write "any" as a
    class that equals all of them. A catalog shows `*` for such a type and for harmless ones. A literal in an input
    that is not declared does not arrive at all.
    """
    return spec is None or bool(spec.equals) or ANY in members(spec.type)


def accepts(received: str, wanted: str) -> bool:
    """Return whether a link from an output of type `received` fits an input of type `wanted`."""
    if received == wanted or is_open(received) or is_open(wanted):
        return True
    return not members(received).isdisjoint(members(wanted))


def accepts_value(received: str, wanted: str) -> bool:
    """Return whether a value of type `received`, written into a prompt as a literal, fits `wanted`."""
    return accepts(received, wanted) or any(
        (have, want) in _BY_VALUE for have in members(received) for want in members(wanted)
    )


def meet(first: str, second: str) -> str | None:
    """Return the type of the values that fit both, None where there are none."""
    if is_open(first):
        return first if is_open(second) and second != ANY else second
    if is_open(second) or first == second:
        return first
    common = [member.strip() for member in first.split(",") if member.strip() in members(second)]
    return ",".join(common) or None


def meet_value(first: str, second: str) -> str | None:
    """As `meet`, for values that travel as literals: INT serves FLOAT, a combo's option serves STRING."""
    common = meet(first, second)
    if common is not None:
        return common
    for narrow, wide in ((first, second), (second, first)):
        if (narrow, wide) in {("INT", "FLOAT"), ("COMBO", "STRING")}:
            return narrow
    return None


class Signatures:
    """The inputs that nodes take, with dynamic inputs expanded by what each node sets."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._static: dict[str, Mapping[str, InputSpec]] = {}
        self._dynamic: set[str] = set()

    def inputs(self, node_class: NodeClass, values: Mapping[str, Input]) -> Mapping[str, InputSpec]:
        """Return the inputs of a node by name, hidden ones left out."""
        name = node_class.name
        if name in self._dynamic:
            return _expand(node_class, values)
        static = self._static.get(name)
        if static is None:
            if any(spec.type in _DYNAMIC for spec in node_class.inputs):
                self._dynamic.add(name)
                return _expand(node_class, values)
            static = self._static[name] = {spec.name: spec for spec in node_class.inputs if spec.group != "hidden"}
        return static


def wanted_type(spec: InputSpec) -> str:
    """Return the type that an input takes; that of a match type is what its template allows."""
    if spec.type == MATCH_TYPE:
        template = spec.options.get("template")
        allowed = template.get("allowed_types") if isinstance(template, Mapping) else None
        return str(allowed) if allowed else ANY
    return "COMBO" if spec.type == DYNAMIC_COMBO else spec.type


def _expand(node_class: NodeClass, values: Mapping[str, Input]) -> dict[str, InputSpec]:
    """Return the inputs of a node of a class with dynamic inputs.

    A dynamic combo `mode` adds the inputs of its chosen option as `mode.name`; an autogrow input `images` means
    `images.image0`, `images.image1`…, the first `min` of them required.
    """
    found: dict[str, InputSpec] = {}
    stack = [spec for spec in reversed(node_class.inputs) if spec.group != "hidden"]
    while stack:
        spec = stack.pop()
        if spec.type == DYNAMIC_COMBO:
            found[spec.name] = _with_choices(spec)
            stack.extend(reversed([*_option_inputs(spec, values)]))
        elif spec.type == AUTOGROW:
            stack.extend(reversed([*_grown_inputs(spec)]))
        else:
            found[spec.name] = spec
    return found


def _with_choices(spec: InputSpec) -> InputSpec:
    choices = tuple(option.get("key") for option in spec.options.get("options") or ())
    return InputSpec(spec.name, spec.type, spec.group, spec.options, choices)


def _option_inputs(spec: InputSpec, values: Mapping[str, Input]) -> Iterator[InputSpec]:
    chosen = values.get(spec.name)
    if not isinstance(chosen, Literal):
        return
    for option in spec.options.get("options") or ():
        if option.get("key") == chosen.value:
            for inner in read_input_groups(option.get("inputs") or {}):
                if inner.group != "hidden":
                    yield _renamed(inner, f"{spec.name}.{inner.name}", inner.group)
            return


def _grown_inputs(spec: InputSpec) -> Iterator[InputSpec]:
    template = spec.options.get("template") or {}
    inner = next(iter(read_input_groups(template.get("input") or {})), None)
    if inner is None:
        return
    names = template.get("names") or [f"{template.get('prefix', '')}{index}" for index in range(template.get("max", 0))]
    least = template.get("min", 0) if inner.group == "required" else 0
    for index, name in enumerate(names):
        yield _renamed(inner, f"{spec.name}.{name}", "required" if index < least else "optional")


def _renamed(spec: InputSpec, name: str, group: str) -> InputSpec:
    return InputSpec(name, spec.type, group, spec.options, spec.choices)


class _Facts:
    """What typing needs of a class: output types and lists by slot, whether outputs follow inputs, and list inputs."""

    __slots__ = ("gathers", "lists", "special", "types")

    def __init__(self, node_class: NodeClass | None, name: str | None) -> None:
        outputs = node_class.outputs if node_class is not None else ()
        self.types = tuple(spec.type for spec in outputs)
        self.lists = tuple(spec.is_list for spec in outputs)
        self.special = name in (PORT_CLASS, LOADER_CLASS) or any(spec.match_template for spec in outputs)
        self.gathers = node_class is not None and node_class.is_input_list


class TypeInference:
    """The type of every value in a graph, and whether it is a list; computed once, producers first."""

    def __init__(
        self,
        graph: Graph,
        order: Iterable[NodeId],
        signatures: Signatures,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self._graph = graph
        self._signatures = signatures
        self._params = params or {}
        self._special: dict[Link, str] = {}
        self._lists: set[NodeId] = set()
        names = {node.class_type for node in graph.nodes.values()}
        catalog = signatures.catalog
        self._facts = {name: _Facts(catalog.get(name) if name is not None else None, name) for name in names}
        self._known = {name for name in names if name in catalog}
        if any(facts.special or any(facts.lists) for facts in self._facts.values()):
            self._infer(order)

    def of(self, value: Input) -> str:
        """Return the type of what `value` provides: a link's output, a parameter's type, or that of a literal."""
        if type(value) is Link:
            special = self._special.get(value) if self._special else None
            if special is not None:
                return special
            node = self._graph.nodes.get(value.node)
            types = self._facts[node.class_type].types if node is not None else ()
            return types[value.slot] if 0 <= value.slot < len(types) else UNKNOWN
        if isinstance(value, Param):
            return self._params.get(value.name, ANY)
        return literal_type(value) if isinstance(value, Literal) else UNKNOWN

    def is_list(self, value: Input) -> bool:
        """Return whether `value` may be a list of values, for each of which its consumers run once."""
        if type(value) is not Link:
            return False
        if value.node in self._lists:
            return True
        node = self._graph.nodes.get(value.node)
        lists = self._facts[node.class_type].lists if node is not None else ()
        return 0 <= value.slot < len(lists) and lists[value.slot]

    def output_count(self, class_type: str | None) -> int | None:
        """Return how many outputs a class of this graph has, None where that is unknown."""
        return len(self._facts[class_type].types) if class_type in self._known else None

    def _infer(self, order: Iterable[NodeId]) -> None:
        for node_id in order:
            node = self._graph.nodes[node_id]
            facts = self._facts[node.class_type]
            if facts.special:
                self._bind_outputs(node)
            if not facts.gathers and any(self.is_list(value) for value in node.inputs.values()):
                self._lists.add(node_id)

    def _bind_outputs(self, node: Node) -> None:
        """Find the types of a node whose outputs follow its inputs."""
        if node.class_type == PORT_CLASS:
            source = node.inputs.get("input")
            self._special[Link(node.id, 0)] = ANY if source is None else self.of(source)
            return
        if node.class_type == LOADER_CLASS:
            declared = node.inputs.get("value_type")
            self._special[Link(node.id, 0)] = str(declared.value) if isinstance(declared, Literal) else ANY
            return
        node_class = self._signatures.catalog[str(node.class_type)]
        bound = match_types(self._signatures.inputs(node_class, node.inputs), node, self)
        for slot, spec in enumerate(node_class.outputs):
            if spec.match_template:
                self._special[Link(node.id, slot)] = bound.get(spec.match_template) or ANY


def match_types(specs: Mapping[str, InputSpec], node: Node, typing: TypeInference) -> dict[str, str | None]:
    """Return the type that each match template of a node is bound to; None where its inputs do not agree."""
    bound: dict[str, str | None] = {}
    for name, spec in specs.items():
        if spec.type != MATCH_TYPE:
            continue
        template = template_of(spec)
        known = bound.get(template, wanted_type(spec))
        value = node.inputs.get(name)
        if value is not None and not isinstance(value, Literal) and known is not None:
            known = meet(known, typing.of(value))
        bound[template] = known
    return bound


def template_of(spec: InputSpec) -> str:
    """Return the name of the template that a match-type input belongs to."""
    return str((spec.options.get("template") or {}).get("template_id"))


def literal_type(literal: Literal) -> str:
    """Return ComfyUI's type of a JSON value."""
    value = literal.value
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "INT"
    if isinstance(value, float):
        return "FLOAT"
    if isinstance(value, str):
        return "STRING"
    return "DICT" if isinstance(value, dict) else ANY
