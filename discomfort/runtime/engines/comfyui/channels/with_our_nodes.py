"""How values get to a ComfyUI server and back: through shared memory, over HTTP, or as plain images.

Which way is open is found out once for each server: our nodes on it and the context's memory within its reach (shared),
our nodes only (HTTP), neither (plain, in `plain.py`).
"""

from __future__ import annotations

import asyncio
import re
import uuid
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from discomfort.context.values.opaque import OpaqueValue, ServerValue, opaque_reason, server_value
from discomfort.runtime.engines.comfyui.connection.answers import (
    REMEDY,
    list_in,
    object_in,
    parsed_json,
    shown,
    unexpected,
)
from discomfort.runtime.engines.comfyui.connection.effect_turns import Targets
from discomfort.runtime.engines.comfyui.connection.transport import Transport
from discomfort.runtime.engines.comfyui.fingerprints import ServerSources
from discomfort.runtime.engines.protocol import (
    LOADER_CLASS,
    SAVER_CLASS,
    Delivered,
    EngineError,
    EngineLost,
    NodeFailed,
    Prompt,
    PromptRequest,
    TransferLimits,
)
from discomfort.server_access.protocol import DIGEST, prompt_digest

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.ir.catalog.catalog import Catalog
    from discomfort.ir.catalog.effects import EffectTable
    from discomfort.ir.graph import Node, NodeId
    from discomfort.ir.keys import Source


_ATTACHMENTS = 3
"""How often a context is attached for one prompt, where the server loses it."""


_MOST_ENDED = 2**16


class Channel(Protocol):
    """Moves the values of prompts."""

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        """Return what can be sent from `context` to the server and back; None: everything."""

    async def sources(self, nodes: Collection[Node], effects: EffectTable) -> Mapping[NodeId, Source]:
        """Return what nodes depend on besides their inputs; see `Engine.sources`."""
        ...

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Take note that nodes may have read something else than the server reported."""

    async def prepare(self, request: PromptRequest) -> Prompt:
        """Return the prompt as it is sent to the server."""
        ...

    async def admit(self, request: PromptRequest, prompt_id: str, targets: Targets, letterbox: str) -> None:
        """Let a prepared prompt that will be queued as `prompt_id`, with these targets, read and store its values."""

    async def deliver(
        self, request: PromptRequest, ui: Mapping[str, Mapping[str, Any]], letterbox: str
    ) -> dict[str, Delivered]:
        """Return what the prompt's savers stored, by its digests, given the `ui` answers of its nodes.

        The values are in the letterbox of the request's context then.
        """
        ...

    def finish(self, context: WorkflowContext, letterbox: str) -> None:
        """Note that the run of a letterbox has ended, however it did: nothing of it is fetched any more."""

    def explain(self, error: NodeFailed, request: PromptRequest) -> NodeFailed:
        """Return the error of a node of the prompt; of one that replaces ours with what that means."""
        ...

    async def renew(self) -> None:
        """Make sure that the server still has our contexts: it may have been restarted, or missed us for too long."""

    async def close(self) -> None:
        """Have the server release our contexts."""


class WireLimits:
    """What can be sent to a server over HTTP, and back."""

    code = "DF522"
    hint = "store it as tensors, text, numbers and lists or dicts of them, or run it on a server on this machine"

    def __init__(self, key: str = "") -> None:
        """`key` is the one under which the server has our context: what it kept there need not be sent."""
        self._key = key

    def value_problem(self, value: Any, linked: bool, catalog: Catalog) -> str | None:
        """Return why a value cannot be sent."""
        from discomfort.context.values.wire import wire_problem

        if type(value) is OpaqueValue:
            kept, (kind, _) = server_value(value), opaque_reason(value)
            if kept is None:
                return f"it cannot travel to a remote ComfyUI without pickle (it holds {kind})"
            return None if kept.key == self._key else "it stays on another ComfyUI server, or one started since"
        problem = wire_problem(value)
        return f"it cannot travel to a remote ComfyUI without pickle ({problem})" if problem else None

    def result_problem(self, type_name: str, is_list: bool, catalog: Catalog) -> str | None:
        """Return None: what a result is made of is known when it is there."""
        return None


WIRE: TransferLimits = WireLimits()


class NodesChannel:
    """For a server with our nodes.

    `local` servers are asked to map a context's memory; where they cannot, and on remote servers, values travel over
    HTTP into a context that the server makes for us.
    """

    def __init__(self, transport: Transport, local: bool) -> None:
        self._transport = transport
        self.local = local
        self._sources = ServerSources(transport)
        self._attached: dict[str, tuple[weakref.ref[WorkflowContext], bool]] = {}
        self._ended: dict[str, list[str]] = {}
        self._lock = asyncio.Lock()

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        """Attach the context; return what can travel over HTTP, and None where memory is shared."""
        key, shared = await self._attach(context)
        return None if shared else WireLimits(key)

    async def sources(self, nodes: Collection[Node], effects: EffectTable) -> Mapping[NodeId, Source]:
        """Ask our nodes on the server what is in its files."""
        return await self._sources.read(nodes, effects)

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Have the server look again before it is asked the next time."""
        self._sources.doubt(sources)

    async def prepare(self, request: PromptRequest) -> Prompt:
        """Return the prompt as it is."""
        return request.prompt

    async def admit(self, request: PromptRequest, prompt_id: str, targets: Targets, letterbox: str) -> None:
        """Register the prompt with the server's nodes, and send what it reads where memory is not shared.

        Raises:
            EngineError: the server does not take the values.
            EngineLost: it lost the context again and again.
        """
        ticket = {
            "prompt_id": prompt_id,
            "prompt": prompt_digest(request.prompt),
            "digests": sorted({str(inputs["digest"]) for _, inputs in _nodes(request, LOADER_CLASS)}),
            "names": [
                str(inputs["name"])
                for saver, inputs in _nodes(request, SAVER_CLASS)
                if targets is None or saver in targets
            ],
            "letterbox": letterbox,
        }
        key, shared, status, answer = "", False, 0, None
        ended: list[str] = []
        for _ in range(_ATTACHMENTS):
            key, shared = await self._attach(request.context)
            ended = self._ended.get(key, [])[:_MOST_ENDED]
            payload = {"key": key, **ticket, "ended": ended}
            status, answer = await self._transport.post_json("/discomfort/tickets", payload)
            if status != 404:
                break
            self._attached.pop(key, None)  # the server was restarted, or missed us for too long
        if status == 200:
            self._ended[key] = self._ended.get(key, [])[len(ended) :]
        if status != 200 or not isinstance(answer, dict):
            raise EngineLost(f"ComfyUI at {self._transport.url} did not register a prompt ({status}): {shown(answer)}")
        if not shared:
            missing = answer.get("missing") or []
            if not isinstance(missing, list) or not all(digest in ticket["digests"] for digest in missing):
                raise unexpected(self._transport.url, "/discomfort/tickets", answer)  # what it may not ask us for, too
            await self._send_values(key, missing, request)

    async def deliver(
        self, request: PromptRequest, ui: Mapping[str, Mapping[str, Any]], letterbox: str
    ) -> dict[str, Delivered]:
        """Return the digests that savers answered with; fetch the values where memory is not shared."""
        digests = {name: digest for name, node in request.outputs.items() if (digest := _saved(ui.get(node)))}
        key, shared = await self._attach(request.context)
        if shared:
            for digest in digests.values():
                if not request.context.values.has(digest):
                    raise EngineError(f"ComfyUI at {self._transport.url} did not store the result {digest}; {REMEDY}")
            return {name: Delivered(digest=digest) for name, digest in digests.items()}
        return {
            name: await self._fetch_value(key, digest, request.context, letterbox) for name, digest in digests.items()
        }

    def finish(self, context: WorkflowContext, letterbox: str) -> None:
        """Have the server release what it keeps for a run, with the next prompt that is registered."""
        for key, (known, shared) in self._attached.items():
            if known() is context and not shared:
                self._ended.setdefault(key, []).append(letterbox)

    def explain(self, error: NodeFailed, request: PromptRequest) -> NodeFailed:
        """Return the error: our own nodes say themselves what is wrong."""
        return error

    async def renew(self) -> None:
        """Attach every context once more, which changes nothing where it is attached already."""
        async with self._lock:
            for key, (known, shared) in list(self._attached.items()):
                context = known()
                if context is None or context.closed:
                    continue
                if not await self._offer(key, context.handle() if shared else None):
                    del self._attached[key]

    async def close(self) -> None:
        """Detach every context, as far as the server still answers."""
        for key in list(self._attached):
            await self._detach(key)

    async def _attach(self, context: WorkflowContext) -> tuple[str, bool]:
        """Return the key under which the server knows `context`, and whether it shares its memory."""
        async with self._lock:
            for key, (known, shared) in self._attached.items():
                if known() is context:
                    return key, shared
            await self._forget_closed()
            key = uuid.uuid4().hex
            shared = self.local and await self._offer(key, context.handle())
            if not shared and not await self._offer(key, None):
                raise EngineError(f"ComfyUI at {self._transport.url} cannot open a Discomfort context; see its log")
            self._attached[key] = (weakref.ref(context), shared)
            return key, shared

    async def _offer(self, key: str, handle: Mapping[str, Any] | None) -> bool:
        """Ask the server to attach; return whether it did."""
        request = {"key": key, "client": self._transport.client_id, "handle": handle}
        status, answer = await self._transport.post_json("/discomfort/attach", request)
        if status not in (200, 409):
            raise EngineLost(f"ComfyUI at {self._transport.url} answered attach with status {status}: {shown(answer)}")
        return status == 200

    async def _forget_closed(self) -> None:
        for key, (known, _) in list(self._attached.items()):
            context = known()
            if context is None or context.closed:
                await self._detach(key)

    async def _detach(self, key: str) -> None:
        del self._attached[key]
        self._ended.pop(key, None)
        try:
            await self._transport.post_json("/discomfort/detach", {"key": key})
        except EngineLost:
            return  # a server that is gone holds nothing

    async def _send_values(self, key: str, missing: Sequence[str], request: PromptRequest) -> None:
        """Send the values that the server lacks."""
        for digest in missing:
            if request.context.values.on_server(digest) is not None:
                raise EngineError(
                    f"{_role(request, digest)} stays on ComfyUI at {self._transport.url}, which does not have it any "
                    "more: run again what made it"
                )
            wire = await asyncio.to_thread(_encode, request.context, digest)
            status, body = await self._transport.request("PUT", f"/discomfort/values/{key}/{digest}", body=wire)
            if status != 200:
                raise EngineError(f"ComfyUI at {self._transport.url} did not take a value ({status}): {_text(body)}")

    async def _fetch_value(self, key: str, digest: str, context: WorkflowContext, letterbox: str) -> Delivered:
        """Copy a value that a saver stored on the server into our context.

        One that only pickle could carry stays on the server; what replaces it here is named by the digest that
        the server's loaders know it by, too.
        """
        from discomfort.context.errors import WireError
        from discomfort.context.values.wire import decode_wire

        if context.values.hold(digest, letterbox=letterbox):
            return Delivered(digest=digest)
        path = f"/discomfort/values/{key}/{digest}"
        status, body = await self._transport.request("GET", path)
        kept = _kept_type(body) if status == 422 else None
        if kept is not None:
            replacement = context.values.put(ServerValue(digest, kept, key), letterbox=letterbox)
            return Delivered(digest=replacement, remembered=False)
        if status != 200:
            raise EngineError(f"ComfyUI at {self._transport.url} did not give a value ({status}): {_text(body)}")
        try:
            value = await asyncio.to_thread(decode_wire, body)
        except WireError as error:
            raise unexpected(self._transport.url, path, str(error)) from error
        stored = await asyncio.to_thread(lambda: context.values.put(value, letterbox=letterbox))
        if stored != digest:
            raise unexpected(self._transport.url, path, f"a value with digest {stored}")
        return Delivered(digest=digest)


def _nodes(request: PromptRequest, class_type: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield id and inputs of a request's nodes of a class."""
    for node_id, node in request.prompt.items():
        if node["class_type"] == class_type:
            yield node_id, node["inputs"]


def _encode(context: WorkflowContext, digest: str) -> bytes:
    """Return a value in wire format.

    Raises:
        EngineError: only pickle could carry it, which no network is trusted with.
    """
    from discomfort.context.values.wire import encode_wire

    try:
        return encode_wire(context.values.get(digest))
    except TypeError as error:
        raise EngineError(f"a value cannot travel to a remote ComfyUI without pickle: {error}") from error


def _role(request: PromptRequest, digest: str) -> str:
    """Return a text for what a value is to a prompt."""
    loaders = [node_id for node_id, inputs in _nodes(request, LOADER_CLASS) if inputs["digest"] == digest]
    places = [place for node_id in loaders if (place := request.places.get(node_id)) is not None and place.ports]
    return "; ".join(place.ports for place in places) or f"the value with digest {digest}"


def _kept_type(body: bytes) -> str | None:
    """Return the class of a value that stays on the server, as its answer names it; None where it does not."""
    try:
        kept = object_in(parsed_json(body)).get("kept")
    except ValueError:
        return None
    return kept if isinstance(kept, str) else None


def _saved(ui: Mapping[str, Any] | None) -> str | None:
    """Return the digest in a saver's `ui` answer; None where there is none that could be one."""
    found = (object_in(entry).get("digest") for entry in list_in(object_in(ui).get("discomfort")))
    return next((digest for digest in found if isinstance(digest, str) and re.fullmatch(DIGEST, digest)), None)


def _text(body: bytes) -> str:
    return body[:500].decode("utf-8", "replace")
