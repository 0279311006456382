"""Values to and from a ComfyUI server without our nodes, by what every ComfyUI has.

Scalars are written into the prompt, or into a primitive node that is linked where an input takes anything (ComfyUI may
convert a literal there), and read back as text; images and masks are uploaded and read back as PNG files.
Whatever cannot travel that way is reported at bind (`PLAIN`), or for a prompt as it is before it is submitted.
"""

from __future__ import annotations

import asyncio
import io
import math
import struct
import urllib.parse
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from discomfort.context.values.value_list import ValueList
from discomfort.images import TooManyPixels
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings
from discomfort.ir.graph import Input, Literal
from discomfort.ir.types.language import Signatures, needs_link
from discomfort.ir.types.literal_rules import literal_problem
from discomfort.runtime.describe_value import describe_value
from discomfort.runtime.engines.comfyui.channels.png import is_picture, picture_of, png_files
from discomfort.runtime.engines.comfyui.connection.answers import shown as in_line
from discomfort.runtime.engines.comfyui.connection.effect_turns import Targets
from discomfort.runtime.engines.comfyui.connection.server_errors import place_of
from discomfort.runtime.engines.comfyui.connection.transport import Transport
from discomfort.runtime.engines.comfyui.fingerprints import unknown_sources
from discomfort.runtime.engines.protocol import (
    LOADER_CLASS,
    SAVER_CLASS,
    Delivered,
    EngineError,
    NodeFailed,
    Prompt,
    PromptRejected,
    PromptRequest,
    TransferLimits,
)

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.ir.catalog.effects import EffectTable
    from discomfort.ir.graph import Node, NodeId
    from discomfort.ir.keys import Source

_SCALARS = (bool, int, float, str)
_PRIMITIVES: Mapping[type, str] = {
    bool: "PrimitiveBoolean",
    int: "PrimitiveInt",
    float: "PrimitiveFloat",
    str: "PrimitiveString",
}
"""The nodes of ComfyUI's own from which a scalar is linked where a literal may not stay as it is."""
_PICTURES = ("IMAGE", "MASK")
_NONE_OR_TEXT = "is None, or the text 'None': a ComfyUI server without our nodes shows both alike"
_READ_TEXT: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "COMBO": str,
    "INT": int,
    "FLOAT": float,
    "BOOLEAN": lambda text: {"True": True, "False": False}[text],
}


class PlainLimits:
    """What can be sent to a server without our nodes and back."""

    code = "DF521"
    hint = "install the Discomfort nodes on the server: clone Discomfort into its custom_nodes folder and restart it"

    def value_problem(self, value: Any, linked: bool, catalog: Catalog) -> str | None:
        """Return why a value cannot be sent: pictures are uploaded, scalars written, or linked from a primitive."""
        if is_picture(value):
            return None
        if isinstance(value, _SCALARS):
            return primitive_problem(value, catalog) if linked else _unwritable(value)
        return "it cannot be sent to a ComfyUI server without our nodes"

    def result_problem(self, type_name: str, is_list: bool, catalog: Catalog) -> str | None:
        """Return why a result cannot be read back; of a list of pictures it is unknown where each ends."""
        if type_name in _PICTURES and not is_list:
            return None
        if type_name in _READ_TEXT and "PreviewAny" in catalog:
            return None
        return "it cannot be read back from a ComfyUI server without our nodes"


PLAIN: TransferLimits = PlainLimits()


def primitive_problem(value: Any, catalog: Catalog) -> str | None:
    """Return why none of the server's primitive nodes gives a scalar, None where one does."""
    name = _PRIMITIVES.get(type(value))
    node_class = catalog.get(name) if name is not None else None
    spec = node_class.input("value") if node_class is not None else None
    sending = "it cannot be sent to an input of the type * of a ComfyUI server without our nodes"
    if spec is None:
        return f"{sending}, which has no node {name}" if name is not None else sending
    if unwritable := _unwritable(value):
        return f"{sending}: {unwritable}"
    problem = literal_problem(spec, value)
    return f"{sending}: the value of its {name} {problem.message}" if problem is not None else None


def _unwritable(value: Any) -> str | None:
    """Return why a scalar cannot be a literal of a prompt."""
    if isinstance(value, float) and not math.isfinite(value):
        return "it is not a number that JSON can hold"
    return None


@dataclass(slots=True)
class _Translation:
    """A prompt on its way from our loaders and savers to ComfyUI's own nodes.

    `scalars` are the values of loaders that become literals, or primitive nodes; `replaced` links to what loads others.
    """

    prompt: Prompt
    scalars: dict[str, Any] = field(default_factory=dict)
    replaced: dict[str, list[Any]] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)


class PlainChannel:
    """For a server without our nodes."""

    def __init__(self, transport: Transport, catalog: Callable[[], Awaitable[Catalog]]) -> None:
        self._transport = transport
        self._catalog = catalog
        self._uploaded: set[str] = set()

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        """Return what can be sent to such a server and back."""
        return PLAIN

    async def sources(self, nodes: Collection[Node], effects: EffectTable) -> Mapping[NodeId, Source]:
        """Return that the files of such a server are not known."""
        return unknown_sources(nodes, effects)

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Do nothing: nothing is known of what nodes read."""

    async def prepare(self, request: PromptRequest) -> Prompt:
        """Return the prompt without loaders and savers, the images they need uploaded.

        Raises:
            PromptRejected: values of types that cannot travel; names all of them.
        """
        work = _Translation({})
        catalog = await self._catalog()
        for node_id, node in request.prompt.items():
            if node["class_type"] == LOADER_CLASS:
                await self._replace_loader(work, node_id, node["inputs"], request, catalog)
        for node_id, node in request.prompt.items():
            if node["class_type"] == SAVER_CLASS:
                _replace_saver(work, node_id, node["inputs"], request, catalog)
            elif node["class_type"] != LOADER_CLASS:
                work.prompt[node_id] = {**node, "inputs": dict(node["inputs"])}
        _relink(work, request, catalog)
        if work.findings:
            raise PromptRejected(tuple(work.findings))
        return work.prompt

    async def admit(self, request: PromptRequest, prompt_id: str, targets: Targets, letterbox: str) -> None:
        """Do nothing: such a server holds nothing that a prompt could read."""

    async def deliver(
        self, request: PromptRequest, ui: Mapping[str, Mapping[str, Any]], letterbox: str
    ) -> dict[str, Delivered]:
        """Store the values that preview nodes show, and return their digests."""
        catalog = await self._catalog()
        digests: dict[str, str] = {}
        for name, saver in request.outputs.items():
            if saver in ui:
                kind = _type_of(request, name, request.prompt[saver]["inputs"]["value"], catalog)
                value = await self._read(_role(request, saver, name), ui[saver], kind)
                digests[name] = request.context.values.put(value, letterbox=letterbox)
        return {name: Delivered(digest=digest) for name, digest in digests.items()}

    def finish(self, context: WorkflowContext, letterbox: str) -> None:
        """Do nothing, as for `admit`."""

    def explain(self, error: NodeFailed, request: PromptRequest) -> NodeFailed:
        """Return what to say of a preview node that failed in the place of a saver: it got what is not a picture."""
        saver = next((saver for saver in request.outputs.values() if error.node in (saver, f"{saver}.image")), None)
        if saver is None:
            return error
        message = (
            f"{error.exception_message} (its value, perhaps None, is not a picture, and nothing else can be read back "
            f"from a ComfyUI server without our nodes; {PLAIN.hint})"
        )
        return NodeFailed(error.node, error.place, error.exception_type, message, error.trace)

    async def renew(self) -> None:
        """Upload images again when they are needed: a server that was restarted may have another input folder."""
        self._uploaded.clear()

    async def close(self) -> None:
        """Do nothing: such a server holds nothing for us."""

    async def _replace_loader(
        self, work: _Translation, node_id: str, inputs: Mapping[str, Any], request: PromptRequest, catalog: Catalog
    ) -> None:
        """Put a stored value into the prompt: a scalar, or nodes that load uploaded images."""
        digest = str(inputs["digest"])
        value = await asyncio.to_thread(request.context.values.get, digest)
        problem = PLAIN.value_problem(value, False, catalog)
        if problem:
            message = f"the value for it is {describe_value(value)}: {problem}"
            work.findings.add(PLAIN.code, message, _where(request, node_id, "value"), PLAIN.hint)
        elif isinstance(value, _SCALARS):
            work.scalars[node_id] = value
        else:
            files = await asyncio.to_thread(png_files, value)
            names = [await self._upload(f"{digest[:40]}-{index}.png", file) for index, file in enumerate(files)]
            work.replaced[node_id] = _load_images(work.prompt, node_id, names, is_mask=value.ndim < 4)

    async def _upload(self, name: str, png: bytes) -> str:
        """Upload an image once a connection and return the name under which LoadImage finds it."""
        import aiohttp

        if name not in self._uploaded:

            def form() -> aiohttp.FormData:
                data = aiohttp.FormData()
                data.add_field("image", io.BytesIO(png), filename=name, content_type="image/png")
                data.add_field("subfolder", "discomfort")
                data.add_field("overwrite", "true")
                return data

            status, body = await self._transport.request("POST", "/upload/image", form=form)
            if status != 200:
                raise EngineError(f"ComfyUI at {self._transport.url} did not take an image ({status}): {body[:300]!r}")
            self._uploaded.add(name)
        return f"discomfort/{name}"

    async def _read(self, name: str, shown: Mapping[str, Any], kind: str) -> Any:
        """Return the value that a preview node's `ui` answer holds.

        Raises:
            EngineError: what is shown is not a value of that type.
        """
        try:
            if kind in _READ_TEXT:
                if kind in ("STRING", "COMBO") and "None" in shown["text"]:
                    raise EngineError(f"{name} {_NONE_OR_TEXT}; {PLAIN.hint}")
                values = [_READ_TEXT[kind](str(text)) for text in shown["text"]]
                return values[0] if len(values) == 1 else ValueList(values)
            files = [await self._download(image) for image in shown["images"]]
            return await asyncio.to_thread(picture_of, files, kind == "MASK")
        except TooManyPixels as error:
            raise EngineError(f"what ComfyUI showed of {name} cannot be read: {error}") from error
        except (LookupError, TypeError, ValueError, OSError, SyntaxError, EOFError, struct.error) as error:
            raise EngineError(
                f"what ComfyUI showed of {name} is not of the type {kind}: {in_line(str(error))}"
            ) from error

    async def _download(self, image: Mapping[str, Any]) -> bytes:
        status, body = await self._transport.request("GET", "/view?" + urllib.parse.urlencode(image))
        if status != 200:
            raise EngineError(f"ComfyUI at {self._transport.url} did not give an image back (status {status})")
        return body


def _replace_saver(
    work: _Translation, saver: str, inputs: Mapping[str, Any], request: PromptRequest, catalog: Catalog
) -> None:
    """Put a preview node in the place of a saver."""
    kind = _type_of(request, str(inputs["name"]), inputs["value"], catalog)
    problem = PLAIN.result_problem(kind, False, catalog)
    if problem:
        where = _where(request, str(inputs["value"][0]), None)
        work.findings.add(PLAIN.code, f"its result is {kind}: {problem}", where, PLAIN.hint)
    elif kind == "IMAGE":
        work.prompt[saver] = _node("PreviewImage", images=inputs["value"])
    elif kind == "MASK":
        work.prompt[f"{saver}.image"] = _node("MaskToImage", mask=inputs["value"])  # by its id at the saver's place
        work.prompt[saver] = _node("PreviewImage", images=[f"{saver}.image", 0])
    else:
        work.prompt[saver] = _node("PreviewAny", source=inputs["value"])


def _load_images(prompt: Prompt, node_id: str, names: list[str], is_mask: bool) -> list[Any]:
    """Add nodes that load uploaded images as one batch; return the link to it.

    They are joined by pairs, then pairs of pairs: a chain as long as the batch would be too deep for a server.
    """
    links: list[list[Any]] = []
    for index, name in enumerate(names):
        prompt[f"{node_id}/{index}"] = _node("LoadImage", image=name)
        links.append([f"{node_id}/{index}", 0])
    level = 0
    while len(links) > 1:
        level += 1
        joined = []
        for index, (first, second) in enumerate(zip(links[::2], links[1::2], strict=False)):
            prompt[f"{node_id}/batch{level}.{index}"] = _node("ImageBatch", image1=first, image2=second)
            joined.append([f"{node_id}/batch{level}.{index}", 0])
        links = joined + links[len(joined) * 2 :]
    if not is_mask:
        return links[0]
    prompt[f"{node_id}/mask"] = _node("ImageToMask", image=links[0], channel="red")
    return [f"{node_id}/mask", 0]


def _relink(work: _Translation, request: PromptRequest, catalog: Catalog) -> None:
    """Point what was linked to loaders at their replacements; a scalar becomes a literal where it stays as it is."""
    signatures = Signatures(catalog)
    for node_id, node in list(work.prompt.items()):
        for name, value in list(node["inputs"].items()):
            if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
                continue
            if value[0] in work.replaced:
                node["inputs"][name] = work.replaced[value[0]]
            elif value[0] in work.scalars:
                scalar = work.scalars[value[0]]
                linked = _needs_link(node, name, signatures)
                problem = primitive_problem(scalar, catalog) if linked else None
                if problem:
                    message = f"the value for it is {describe_value(scalar)}: {problem}"
                    work.findings.add(PLAIN.code, message, _where(request, node_id, name), PLAIN.hint)
                node["inputs"][name] = _primitive(work.prompt, value[0], scalar) if linked and not problem else scalar


def _needs_link(node: Mapping[str, Any], name: str, signatures: Signatures) -> bool:
    """Return whether a literal may not stay as it is in an input of a prompt's node."""
    node_class = signatures.catalog.get(node["class_type"])
    values: dict[str, Input] = {key: Literal(value) for key, value in node["inputs"].items()}
    return node_class is not None and needs_link(signatures.inputs(node_class, values).get(name))


def _primitive(prompt: Prompt, loader: str, value: Any) -> list[Any]:
    """Add the primitive node that gives a loader's value, once; return the link to it."""
    prompt.setdefault(f"{loader}.value", _node(_PRIMITIVES[type(value)], value=value))
    return [f"{loader}.value", 0]


def _type_of(request: PromptRequest, name: str, link: Any, catalog: Catalog) -> str:
    """Return the type of a result: what bind found, or of a prompt as it is what the class declares."""
    if name in request.types:
        return request.types[name]
    source = request.prompt[str(link[0])]
    if source["class_type"] == LOADER_CLASS:
        return str(source["inputs"]["value_type"])
    known = catalog.get(source["class_type"])
    return known.outputs[link[1]].type if known is not None and link[1] < len(known.outputs) else "*"


def _role(request: PromptRequest, saver: str, name: str) -> str:
    """Return a text for what a saver works for."""
    place = request.places.get(saver)
    return name if place is None or not place.ports else place.ports


def _where(request: PromptRequest, node_id: str, input_name: str | None) -> Place:
    place = place_of(node_id, request.places)
    if place is None:
        return Place(file="<prompt>", node=node_id, input=input_name)
    return Place(file=place.workflow, node=place.node, title=place.title, input=input_name)


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}
