"""Values to and from a ComfyUI server without our nodes, by what every ComfyUI has.

Scalars are written into the prompt, images and masks are uploaded and read back as PNG files: 8 bits a channel, so they
are rounded to 1/255. Whatever cannot travel that way is said before anything runs.
"""

from __future__ import annotations

import asyncio
import io
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from discomfort.compiler.diagnostics import Diagnostic, Place, Severity
from discomfort.runtime.engine import (
    LOADER_CLASS,
    SAVER_CLASS,
    Delivered,
    EngineError,
    Prompt,
    PromptRejected,
    PromptRequest,
)
from discomfort.runtime.engines.comfyui.errors import place_of
from discomfort.runtime.engines.comfyui.transport import Transport

if TYPE_CHECKING:
    import torch

    from discomfort.compiler.catalog import Catalog

UNREACHABLE = "DF521"
_SCALARS = (bool, int, float, str)
_READ_TEXT: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "INT": int,
    "FLOAT": float,
    "BOOLEAN": lambda text: text == "True",
}
_HINT = "install the Discomfort nodes on the server: clone Discomfort into its custom_nodes folder and restart it"


@dataclass(slots=True)
class _Translation:
    """A prompt on its way from our loaders and savers to ComfyUI's own nodes."""

    prompt: Prompt
    inlined: dict[str, Any] = field(default_factory=dict)
    replaced: dict[str, list[Any]] = field(default_factory=dict)
    findings: list[Diagnostic] = field(default_factory=list)


class PlainChannel:
    """For a server without our nodes."""

    def __init__(self, transport: Transport, catalog: Callable[[], Awaitable[Catalog]]) -> None:
        self._transport = transport
        self._catalog = catalog
        self._uploaded: set[str] = set()

    async def prepare(self, request: PromptRequest) -> tuple[Prompt, dict[str, Any]]:
        """Return the prompt without loaders and savers, the images they need uploaded.

        Raises:
            PromptRejected: values of types that cannot travel; names all of them.
        """
        work = _Translation({})
        catalog = await self._catalog()
        for node_id, node in request.prompt.items():
            if node["class_type"] == LOADER_CLASS:
                await self._replace_loader(work, node_id, node["inputs"], request)
        for node_id, node in request.prompt.items():
            if node["class_type"] == SAVER_CLASS:
                _replace_saver(work, node_id, node["inputs"], request, catalog)
            elif node["class_type"] != LOADER_CLASS:
                work.prompt[node_id] = {**node, "inputs": dict(node["inputs"])}
        if work.findings:
            raise PromptRejected(tuple(work.findings))
        _relink(work)
        return work.prompt, {}

    async def deliver(self, request: PromptRequest, ui: Mapping[str, Mapping[str, Any]]) -> dict[str, Delivered]:
        """Return the values that preview nodes show."""
        catalog = await self._catalog()
        delivered = {}
        for name, saver in request.outputs.items():
            if saver in ui:
                kind = _type_of(request.prompt, request.prompt[saver]["inputs"]["value"], catalog)
                delivered[name] = Delivered(digest=request.context.put_value(await self._read(ui[saver], kind)))
        return delivered

    async def renew(self) -> None:
        """Upload images again when they are needed: a server that was restarted may have another input folder."""
        self._uploaded.clear()

    async def close(self) -> None:
        """Do nothing: such a server holds nothing for us."""

    async def _replace_loader(
        self, work: _Translation, node_id: str, inputs: Mapping[str, Any], request: PromptRequest
    ) -> None:
        """Put a stored value into the prompt: as a literal, or as nodes that load uploaded images."""
        digest = str(inputs["digest"])
        value = await asyncio.to_thread(request.context.get_value, digest)
        if isinstance(value, _SCALARS):
            work.inlined[node_id] = value
            return
        frames = await asyncio.to_thread(_png_frames, value)
        if frames is None:
            where = _where(request, node_id, "value")
            found = f"a value of type {inputs['value_type']} ({_describe(value)}) cannot be sent to a ComfyUI server"
            work.findings.append(Diagnostic(UNREACHABLE, Severity.ERROR, where, f"{found} without our nodes", _HINT))
            return
        names = [await self._upload(f"{digest[:40]}-{index}.png", png) for index, png in enumerate(frames)]
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

            status, body = await self._transport.request("POST", "/upload/image", data=form)
            if status != 200:
                raise EngineError(f"ComfyUI at {self._transport.url} did not take an image ({status}): {body[:300]!r}")
            self._uploaded.add(name)
        return f"discomfort/{name}"

    async def _read(self, shown: Mapping[str, Any], kind: str) -> Any:
        """Return the value that a preview node's `ui` answer holds."""
        if kind in _READ_TEXT:
            return _READ_TEXT[kind](str(shown["text"][0]))
        frames = []
        for image in shown["images"]:
            status, body = await self._transport.request("GET", "/view?" + urllib.parse.urlencode(image))
            if status != 200:
                raise EngineError(f"ComfyUI at {self._transport.url} did not give an image back (status {status})")
            frames.append(body)
        return await asyncio.to_thread(_tensor_of, frames, kind)


def _replace_saver(
    work: _Translation, saver: str, inputs: Mapping[str, Any], request: PromptRequest, catalog: Catalog
) -> None:
    """Put a preview node in the place of a saver."""
    kind = _type_of(request.prompt, inputs["value"], catalog)
    if kind == "IMAGE":
        work.prompt[saver] = _node("PreviewImage", images=inputs["value"])
    elif kind == "MASK":
        work.prompt[f"{saver}/image"] = _node("MaskToImage", mask=inputs["value"])
        work.prompt[saver] = _node("PreviewImage", images=[f"{saver}/image", 0])
    elif kind in _READ_TEXT and "PreviewAny" in catalog:
        work.prompt[saver] = _node("PreviewAny", source=inputs["value"])
    else:
        where = _where(request, str(inputs["value"][0]), None)
        message = f"a result of type {kind} cannot be read back from a ComfyUI server without our nodes"
        work.findings.append(Diagnostic(UNREACHABLE, Severity.ERROR, where, message, _HINT))


def _load_images(prompt: Prompt, node_id: str, names: list[str], is_mask: bool) -> list[Any]:
    """Add nodes that load uploaded images as one batch; return the link to it."""
    link: list[Any] = []
    for index, name in enumerate(names):
        prompt[f"{node_id}/{index}"] = _node("LoadImage", image=name)
        if link:
            prompt[f"{node_id}/batch{index}"] = _node("ImageBatch", image1=link, image2=[f"{node_id}/{index}", 0])
        link = [f"{node_id}/batch{index}" if link else f"{node_id}/{index}", 0]
    if is_mask:
        prompt[f"{node_id}/mask"] = _node("ImageToMask", image=link, channel="red")
        link = [f"{node_id}/mask", 0]
    return link


def _relink(work: _Translation) -> None:
    """Point what was linked to loaders at their replacements."""
    for node in work.prompt.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
                if value[0] in work.inlined:
                    node["inputs"][name] = work.inlined[value[0]]
                elif value[0] in work.replaced:
                    node["inputs"][name] = work.replaced[value[0]]


def _type_of(prompt: Prompt, link: Any, catalog: Catalog) -> str:
    """Return the type of the output that `link` names, as the catalog declares it."""
    source = prompt[str(link[0])]
    if source["class_type"] == LOADER_CLASS:
        return str(source["inputs"]["value_type"])
    known = catalog.get(source["class_type"])
    return known.outputs[link[1]].type if known is not None and link[1] < len(known.outputs) else "*"


def _png_frames(value: Any) -> list[bytes] | None:
    """Return an IMAGE `[batch, height, width, 3]` or MASK `[(batch,) height, width]` as PNG files, else None."""
    import torch
    from PIL import Image

    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not 2 <= value.ndim <= 4:
        return None
    if value.ndim == 4 and value.shape[-1] != 3:
        return None
    batch = value.unsqueeze(0) if value.ndim == 2 else value
    frames = []
    for frame in (batch.float().clamp(0, 1) * 255).round().to(torch.uint8).numpy():
        stream = io.BytesIO()
        Image.fromarray(frame).convert("RGB").save(stream, "PNG", compress_level=1)
        frames.append(stream.getvalue())
    return frames


def _tensor_of(frames: list[bytes], kind: str) -> torch.Tensor:
    """Return PNG files as an IMAGE `[batch, height, width, 3]` or MASK `[batch, height, width]`, float32 in 0..1."""
    import numpy as np
    import torch
    from PIL import Image

    arrays = [np.asarray(Image.open(io.BytesIO(frame)).convert("RGB"), np.float32) / 255 for frame in frames]
    batch = torch.from_numpy(np.stack(arrays))
    return batch[..., 0].clone() if kind == "MASK" else batch


def _where(request: PromptRequest, node_id: str, input_name: str | None) -> Place:
    place = place_of(node_id, request.places)
    if place is None:
        return Place(file="<prompt>", node=node_id, input=input_name)
    return Place(file=place.workflow, node=place.node, title=place.title, input=input_name)


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" {list(shape)}" if shape is not None else "")


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}
