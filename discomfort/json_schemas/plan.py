"""A model of plan JSON, as `Plan.to_json` writes it: version 1."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from discomfort.json_schemas.parts import Document, PassBy, PlaceDocument, Tags

Slot = Annotated[int, Field(ge=0, description="the number of an output of a node, from 0")]
NodeId = Annotated[str, Field(description="workflow/id, such as main/12:3 for node 3 in subgraph node 12 of main.json")]
Link = Annotated[tuple[NodeId, Slot], Field(description="an output of a node")]
DottedLink = Annotated[str, Field(pattern=r"\.[0-9]+$", description="an output of a node, as node.slot")]
Use = Annotated[tuple[NodeId, str], Field(description="an input of a node: its id and the input's name")]


class LinkInput(Document):
    """An input that another node feeds."""

    link: Link


class ParameterInput(Document):
    """An input that a parameter of the plan feeds."""

    param: str


class ValueInput(Document):
    """An input with a literal value."""

    value: JsonValue


class PythonInput(Document):
    """An input with a literal value that JSON cannot hold, such as NaN: the text that Python's json module reads."""

    python: str


Input = LinkInput | ParameterInput | ValueInput | PythonInput


class WorkflowDocument(Document):
    """One workflow of the program: its name in node ids, its file (null: not from a file), its content's digest."""

    name: str
    source: str | None
    digest: str


class PortPlaceDocument(Document):
    """A DiscomfortPort behind an input or output."""

    workflow: str
    node: str
    title: str


class ConstraintDocument(Document):
    """What one or more consumers ask of a value; `minimum` and `maximum` are inclusive."""

    type: str
    minimum: int | float | None
    maximum: int | float | None
    step: int | float | None
    choices: list[JsonValue] | None = Field(description="the options of a combo; null where any value will do")
    multiselect: bool


class InputDocument(Document):
    """A parameter of the plan."""

    type: str
    pass_by: PassBy
    required: bool = Field(description="whether anything in the plan reads it")
    uses: list[Use]
    constraints: list[ConstraintDocument]
    tags: Tags
    ports: list[PortPlaceDocument]


class OutputDocument(Document):
    """A result of the plan."""

    type: str
    pass_by: PassBy
    source: Input
    kind: Literal["output", "passthru"]
    tags: Tags
    ports: list[PortPlaceDocument]


class NodeDocument(Document):
    """A node of the optimised graph."""

    class_type: str | None = Field(alias="class")
    title: str
    origin: tuple[str, str] = Field(description="workflow and node id")
    inputs: dict[str, Input]


class StepDocument(Document):
    """One prompt of a run on a ComfyUI server."""

    id: str
    nodes: list[NodeId]
    reads: list[Link]
    writes: list[Link]


class BindingDocument(Document):
    """Which workflow's definition of a name another one reads; `writer` null: the context's."""

    name: str
    reader: str
    writer: str | None
    kind: Literal["output", "passthru", "context", "carried"]


class NoteDocument(Document):
    """What a pass removed or replaced, and why."""

    kind: str
    nodes: list[NodeId]
    why: str
    into: Input | None


class PlanFinding(Document):
    """A finding, as plans hold it."""

    code: str
    severity: Literal["error", "warning", "note"]
    where: PlaceDocument
    message: str
    hint: str | None
    related: list[tuple[str, PlaceDocument]]


class PlanDocument(Document):
    """A compiled program: what it needs, what it gives, and the optimised graph."""

    kind: Literal["discomfort plan"]
    version: Literal[1]
    workflows: list[WorkflowDocument]
    inputs: dict[str, InputDocument]
    outputs: dict[str, OutputDocument]
    taps: dict[str, OutputDocument] = Field(description="names that pass through and can be requested")
    effects: list[NodeId] = Field(description="the nodes that run for what they do, in their order")
    nodes: dict[NodeId, NodeDocument]
    steps: list[StepDocument]
    cuts: list[DottedLink] = Field(description="outputs whose values a run may take from the memo")
    conversions: list[Use] = Field(description="inputs whose value is converted to another type on the way")
    bindings: list[BindingDocument]
    notes: list[NoteDocument]
    diagnostics: list[PlanFinding]
    rules: dict[str, PassBy]
    catalog: str = Field(description="the digest of the node classes that it was compiled with")
