"""Models of what the commands of `discomfort-graph` print with `--json`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from discomfort.json_schemas.parts import Document, FindingDocument, PassBy, Tags


class PortRow(Document):
    """One DiscomfortPort name of a workflow."""

    file: str
    mode: Literal["INPUT", "OUTPUT", "PASSTHRU"]
    unique_id: str
    type: str = Field(description="ComfyUI's type, such as IMAGE")
    pass_by: PassBy
    tags: Tags
    nodes: list[str] = Field(description="the ids of the ports that share the name")


class Drawing(Document):
    """A plan as a drawing."""

    dot: str = Field(description="text in Graphviz's dot language")


class PlainResult(Document):
    """A result that is printed: text, a number, true, false or null. Numbers that JSON lacks are text."""

    value: str | int | float | bool | None


class ReferenceResult(Document):
    """A result that only the engine holds."""

    reference: str


class WrittenResult(Document):
    """A result that was written to files."""

    files: list[str] = Field(min_length=1)
    type: str = Field(description="a description of the value")


class PromptNode(Document):
    """A node of a prompt in ComfyUI's API format; a link is a list of node id and slot."""

    class_type: str
    inputs: dict[str, Any]
    meta: dict[str, Any] = Field(default={}, alias="_meta", description="the title")


class ClassRow(Document):
    """A node class: its inputs with their types, and the types of its outputs."""

    inputs: dict[str, str]
    outputs: list[str]


class PulledCatalog(Document):
    """A snapshot of the node classes of a server."""

    file: str
    classes: int = Field(ge=0)
    bytes: int = Field(ge=0)


Results = dict[str, PlainResult | ReferenceResult | WrittenResult]

OUTPUTS: dict[str, Any] = {
    "findings": list[FindingDocument],
    "ports": list[PortRow],
    "dot": Drawing,
    "run": Results,
    "prompt": dict[str, PromptNode],
    "catalog_list": dict[str, ClassRow],
    "catalog_pull": PulledCatalog,
}
"""The models by the name of their schema. `check`, `stitch` and, on standard error, `prompt` print findings; so does
every command that ends with errors."""
