"""What the bodies of requests to our routes must hold, one pydantic model each.

Handlers import this module when they run: in ComfyUI's Python, pydantic may not be loaded before. What a model does not
name is ignored, so that newer clients may send more.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, field_validator

from discomfort.server_access.protocol import DIGEST

LONGEST_TEXT = 4096
"""Characters of the longest name."""
MAX_NODES = 10_000


def _name(value: Any) -> str:
    """Check a name of the user's; half of a surrogate pair, which pydantic's own texts refuse, may be in it."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(f"expected text of at most {LONGEST_TEXT} characters")
    return value


Name: TypeAlias = Annotated[str, PlainValidator(_name)]
Key: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Digest: TypeAlias = Annotated[str, Field(pattern=f"^{DIGEST}$")]
Letterbox: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f.]{0,64}$")]
PromptId: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
PromptDigest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Object: TypeAlias = dict[Any, Any]


class Body(BaseModel):
    """The JSON object of a request."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="ignore", frozen=True)


class AttachBody(Body):
    """A context to attach; without a handle, a new one in the server's process."""

    key: Key
    client: Name
    handle: Object | None = None


class DetachBody(Body):
    """A context to release."""

    key: Key


class TicketBody(Body):
    """A prompt that is about to be queued: what it reads and stores, and the runs that have ended."""

    key: Key
    prompt_id: PromptId
    prompt: PromptDigest
    digests: list[Digest] = Field(max_length=2**18)
    names: list[Name] = Field(max_length=2**16)
    letterbox: Letterbox
    ended: list[Letterbox] = Field(default=[], max_length=2**16)


class FileReader(Body):
    """A node that may read files: its literal inputs, and the names of those that are linked."""

    class_type: Any
    inputs: Object
    linked: list[Any]


class Doubt(Body):
    """A node that ran with files that may have changed meanwhile."""

    node: FileReader
    version: Any
    prompt_input: str = Field(pattern=r"^[^#]*(#[0-9]{1,9})?$", max_length=LONGEST_TEXT)


class FingerprintsBody(Body):
    """A question about the files of nodes."""

    id: Key
    nodes: list[FileReader] = Field(max_length=MAX_NODES)
    doubts: list[Doubt] = Field(default=[], max_length=MAX_NODES)

    @field_validator("doubts", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return [] if value is None else value


class PromptNode(Body):
    """A node of a prompt; ComfyUI says what else is wrong with it."""

    inputs: Object


class ValidateBody(Body):
    """What would be sent to `POST /prompt`."""

    prompt: dict[Any, PromptNode]
    partial_execution_targets: list[Any] | None = None
