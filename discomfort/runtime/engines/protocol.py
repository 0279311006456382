"""What the executor asks of whatever runs a prompt, and what it hears while it runs.

An engine takes one prompt at a time from the executor's point of view but may queue several (`pipelined`). Values
enter a prompt as literals or through `DiscomfortContextLoader` nodes, which name a value's content digest; they leave
through `DiscomfortContextSaver` nodes, one for each name in `PromptRequest.outputs`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from discomfort.ir.diagnostics import Diagnostic, DiscomfortError
from discomfort.printable import printable_line
from discomfort.server_access.protocol import LOADER_CLASS as LOADER_CLASS
from discomfort.server_access.protocol import PENDING as PENDING
from discomfort.server_access.protocol import SAVER_CLASS as SAVER_CLASS

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.ir.catalog.effects import EffectTable
    from discomfort.ir.graph import Link, Node, NodeId
    from discomfort.ir.keys import Source

Prompt: TypeAlias = dict[str, dict[str, Any]]
"""An API prompt as it is POSTed: node id → {"class_type", "inputs", "_meta": {"title"}}."""


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where a prompt's node came from: what an error shows to a person (law R6).

    `ports` names those that a loader or saver works for, such as "output 'image'".
    """

    workflow: str
    node: str
    title: str
    class_type: str
    ports: str = ""

    def __str__(self) -> str:
        named = f", {self.ports}" if self.ports else ""
        return f"{self.workflow}, node {self.node} ({self.title}), class {self.class_type}{named}"


class Splitting(Enum):
    """When an engine wants a plan as several prompts; where a value is converted on its way, every engine does."""

    NEVER = "never"
    """Size and depth cost nothing, as where no server is between us and the nodes."""
    FOR_DEPTH = "for depth"
    """A prompt must not be too deep, but values cross slowly."""
    FOR_SPEED = "for speed"
    """As the plan says: several prompts cost less than a large one."""


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """One prompt to run.

    `outputs` maps a name to the id of the saver node that delivers it, `optional` are those that an execution blocker
    may stop without the prompt failing; `places` maps prompt node ids to where they
    were written; `keys` maps prompt node ids to their Merkle keys (absent: not memoisable); `context` is where
    loaders find values by digest and where an engine in another process stores what savers deliver;
    `extra_pnginfo` (with the editor's `workflow`) ends up in images that the prompt saves; `types` maps names in
    `outputs` to ComfyUI's types, where not every type can come back; `sequence` has nodes with effects in groups, each
    to be done before the next begins, for engines that do not keep the order of the prompt; `undecided` has nodes whose
    class cannot check its inputs yet, since an earlier prompt computes one of them; `validated`: `Engine.validate` has
    just accepted exactly this prompt; in `written` an engine lists the files that a cancelled prompt wrote until then;
    `sources` is what the engine said of nodes that depend on more than their inputs; `links` says which value of the
    run's graph each name in `outputs` is.
    """

    prompt: Prompt
    outputs: Mapping[str, str]
    context: WorkflowContext
    places: Mapping[str, NodePlace] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    extra_pnginfo: Mapping[str, Any] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    sequence: Sequence[Sequence[str]] = ()
    undecided: frozenset[str] = frozenset()
    validated: bool = False
    sources: Mapping[str, Source] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    written: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One output of a prompt: a live `value` handed over in this process, or the `digest` of one in the context.

    `remembered`: whether further runs may use it in place of running the prompt.
    """

    value: Any = None
    digest: str | None = None
    remembered: bool = True


@dataclass(frozen=True, slots=True)
class PromptResult:
    """What a prompt gave: outputs by name, each output node's `ui` answer, which nodes ran and which were cached.

    `passing` are the names of outputs that must not be remembered: a node changed one of its inputs in place, or a file
    changed while it was read.
    """

    outputs: Mapping[str, Delivered]
    ui: Mapping[str, Mapping[str, Any]]
    executed: tuple[str, ...]
    cached: tuple[str, ...]
    passing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """Node `node` began to run."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """Node `node` has done `value` of `maximum` steps."""

    node: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class NodeFinished:
    """Node `node` is done; `cached` when its result was known and it did not run."""

    node: str
    cached: bool


Event: TypeAlias = NodeStarted | NodeProgress | NodeFinished
Listener: TypeAlias = Callable[[Event], None]


class TransferLimits(Protocol):
    """What can be sent to an engine and back, where that is not everything."""

    code: str
    """Of the findings about what cannot."""
    hint: str

    def value_problem(self, value: Any, linked: bool, catalog: Catalog) -> str | None:
        """Return why a value cannot be sent to the engine, None where it can; the sentence begins with "it".

        `linked`: it must reach a node along a link, not as a literal.
        """

    def result_problem(self, type_name: str, is_list: bool, catalog: Catalog) -> str | None:
        """Return why a result of a type cannot be returned, None where it can; `is_list`: it may be several."""


@runtime_checkable
class Engine(Protocol):
    """Runs prompts. Implementations are safe to use from one event loop at a time.

    Example:
        >>> isinstance(discomfort.EmbeddedEngine(), discomfort.Engine)
        True
    """

    name: str
    hands_over_live_objects: bool
    """Whether `Delivered.value` can be any live Python object (a model), so that `ctx.load` of a ref can run it."""
    pipelined: bool
    """Whether `run` may be called again before the first call returned (prompts queue up in order)."""

    @property
    def splitting(self) -> Splitting:
        """When several prompts are better than one; known once the engine has started."""
        ...

    async def start(self) -> None:
        """Get ready to run; does nothing when ready already. Raises EngineError with what to do when it cannot."""

    async def catalog(self) -> Catalog:
        """Return the node classes this engine can run."""
        ...

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        """Return what can be sent from `context` to the engine and back; None: everything.

        Raises:
            EngineError: the engine does not take values, or is lost.
        """

    async def sources(self, nodes: Collection[Node], effects: EffectTable) -> Mapping[NodeId, Source]:
        """Return what nodes depend on besides their inputs, files and code; nodes that depend on nothing are left out.

        Files that are new are read to their end, which takes a while for large models.
        """
        ...

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Take note that nodes may have read something else than `sources` reported.

        An engine's own cache may then hold results under keys that are not theirs.
        """

    async def validate(self, requests: Sequence[PromptRequest]) -> None:
        """Check all prompts of a program before the first of them runs; of a single one `run` does that itself.

        A value that is not there yet comes from a loader whose digest is PENDING and whose `value_type` is the type
        that it will have, `*` where that is open.

        Raises:
            PromptRejected: some would not pass the engine's own validation; lists the findings of all.
            EngineLost: the engine died or stopped answering.
        """

    async def run(self, request: PromptRequest, listener: Listener | None = None) -> PromptResult:
        """Run one prompt to its end. Cancelling the awaiting task interrupts the prompt and returns promptly.

        Raises:
            PromptRejected: the prompt did not pass the engine's own validation; nothing of it ran, unless the error
                says so: a ComfyUI server without our nodes can only validate a prompt by running it.
            NodeFailed: a node raised; everything finished before it is kept in the engine's cache.
            EngineLost: the engine died or stopped answering; calling again starts it again, where that is possible.
        """
        ...

    async def close(self) -> None:
        """Let everything go: processes, sockets, caches. What runs ends with an EngineError. Safe to call twice."""


ENGINE_PARTS: tuple[str, ...] = tuple(
    sorted({*Engine.__annotations__, *(name for name in vars(Engine) if not name.startswith("_"))})
)
"""The names of what every engine has: all members of `Engine`."""


class EngineError(DiscomfortError, RuntimeError):
    """The base of what goes wrong in engines.

    Example:
        >>> with discomfort.Context() as context:
        ...     discomfort.compile(["load_vae.json"]).run(context, engine="nothing")
        Traceback (most recent call last):
            ...
        discomfort.EngineError: ...
    """


class PromptRejected(EngineError):
    """An engine refused a program before anything ran; `diagnostics` says why, node by node.

    `written` lists the files that had been written by then. It is empty where the engine can validate a whole program
    first, as all but ComfyUI servers without our nodes can.
    """

    def __init__(self, diagnostics: tuple[Diagnostic, ...], written: Iterable[str] = ()) -> None:
        self.diagnostics = diagnostics
        self.written: tuple[str, ...] = tuple(written)
        super().__init__("\n" + "\n\n".join(finding.render() for finding in diagnostics))

    def add_written(self, files: Iterable[str]) -> None:
        """Add files that were written before, to be listed in front of those that the error lists already."""
        self.written = tuple(dict.fromkeys((*files, *self.written)))

    def __str__(self) -> str:
        text = super().__str__()
        if not self.written:
            return text
        files = "".join(f"\n  {printable_line(name)}" for name in self.written)
        return f"{text}\n\nbefore the refusal, these files were written:{files}"


class NodeFailed(EngineError):
    """A node raised while it ran; says workflow, node, title, class and the exception (law R6)."""

    def __init__(self, node: str, place: NodePlace | None, exception_type: str, message: str, trace: str = "") -> None:
        self.node = node
        self.place = place
        self.exception_type = exception_type
        self.exception_message = message
        self.trace = trace
        where = printable_line(str(place) if place else f"node {node}")
        super().__init__(f"{where}: {exception_type}: {message}")


class OutOfMemory(NodeFailed):
    """A node failed because memory ran out, on the GPU or on the machine."""


class PromptInterrupted(EngineError):
    """Something else interrupted the prompt: ComfyUI's web page, another client, or one of its nodes."""


class EngineLost(EngineError):
    """The engine died, or stopped answering; the prompt's fate is unknown and it may be run again."""


OUT_OF_MEMORY_HINT = (
    "memory ran out. Smaller images or batches, another model precision, or a ComfyUI started with --lowvram, --novram "
    "or --cpu need less"
)
_MEMORY_PHRASES = ("out of memory", "allocation on device", "cannot allocate memory", "not enough memory")


def node_failed(node: str, place: NodePlace | None, exception_type: str, message: str, trace: str = "") -> NodeFailed:
    """Return the error for a node that raised: `OutOfMemory`, which says what needs less, where that was the cause."""
    name = exception_type.rpartition(".")[2]
    if name in ("OutOfMemoryError", "MemoryError") or any(phrase in message.lower() for phrase in _MEMORY_PHRASES):
        return OutOfMemory(node, place, exception_type, f"{message} ({OUT_OF_MEMORY_HINT})", trace)
    return NodeFailed(node, place, exception_type, message, trace)
