"""What several models of JSON documents share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from discomfort.settings.pass_by import PassBy as PassBy

Tags: TypeAlias = Annotated[list[str], Field(description="the tags of a port")]


class Document(BaseModel):
    """An object whose keys are exactly those that the model names."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", frozen=True)


class PlaceDocument(Document):
    """Where a finding is; absent parts are left out."""

    file: str = Field("", description="the file, as it was named")
    path: str = Field("", description="a JSON path into the file, such as $.nodes[3].inputs[0]")
    node: str = Field("", description="the node's id as the editor shows it (host:inner in subgraphs)")
    title: str = Field("", description="what the user reads on the node")
    input: str = Field("", description="the name of the input")


class RelatedDocument(Document):
    """Another place that matters to a finding, and why."""

    note: str
    where: str


class FindingDocument(Document):
    """One finding of the compiler or of a run; docs/diagnostics.md lists the codes."""

    code: str = Field(pattern=r"^DF[0-9]{3}$")
    severity: Literal["error", "warning", "note"]
    message: str
    where: PlaceDocument
    hint: str = Field("", description="what to do about it; left out where nothing is known")
    related: list[RelatedDocument] = Field(default=[], description="left out where there is nothing")
