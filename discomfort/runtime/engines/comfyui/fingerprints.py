"""What is in the files that nodes read on a server: asked of our nodes there, and put into prompts for its own cache.

ComfyUI remembers what a node gave by the node's inputs. A model that was replaced under its name is the same input, so
a node that reads a file gets one more, which its class does not declare: what is in the file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from discomfort.input_files.file_inputs import FileReaders
from discomfort.input_files.sources import insert_sources
from discomfort.ir.graph import Literal, Node, NodeId
from discomfort.ir.keys import Source
from discomfort.runtime.engines.comfyui.connection.answers import list_in, object_in, shown, text_of, unexpected
from discomfort.runtime.engines.comfyui.connection.transport import Transport
from discomfort.runtime.engines.protocol import (
    EngineError,
    Event,
    Listener,
    NodeFinished,
    NodeProgress,
    NodeStarted,
    PromptRequest,
    PromptResult,
)

if TYPE_CHECKING:
    from discomfort.ir.catalog.effects import EffectTable

_log = logging.getLogger("discomfort")
_ROUTE = "/discomfort/fingerprints"
_PAUSE = 0.2
LONGEST_SECONDS = 3600.0
"""How long a server may read files before what is in them counts as not known."""
_MAX_DOUBTS = 1024

NOT_KNOWN = Source(None, why="what is in a file on this server is not known: it has no Discomfort nodes")


class ServerSources:
    """The sources of nodes on one server with our nodes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._doubts: dict[str, dict[str, Any]] = {}

    async def read(self, nodes: Collection[Node], effects: EffectTable) -> dict[NodeId, Source]:
        """Return the sources of the nodes that read files; waits while the server reads what is new to it.

        Raises:
            EngineError: the server does not say.
        """
        specs = _specs(nodes, effects)
        if not specs:
            return {}
        doubts, self._doubts = self._doubts, {}
        wanted = list({json.dumps(spec, sort_keys=True): spec for spec in specs.values()}.values())
        question = {"id": uuid.uuid4().hex, "nodes": wanted, "doubts": list(doubts.values())}
        try:
            answers = await self._ask(question, len(wanted))
        except BaseException:
            self._doubts = {**doubts, **self._doubts}
            raise
        found = {json.dumps(spec, sort_keys=True): answer for spec, answer in zip(wanted, answers, strict=True)}
        by_node = {node_id: found[json.dumps(spec, sort_keys=True)] for node_id, spec in specs.items()}
        return {node_id: _source(answer) for node_id, answer in by_node.items() if answer is not None}

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Have the server look, at the next request, whether nodes read what it reported."""
        for node, source in sources:
            if source.prompt_input:
                doubt = {"node": _spec(node), "version": source.version, "prompt_input": source.prompt_input}
                self._doubts[json.dumps(doubt, sort_keys=True)] = doubt
        while len(self._doubts) > _MAX_DOUBTS:
            del self._doubts[next(iter(self._doubts))]

    async def _ask(self, question: Mapping[str, Any], count: int) -> list[dict[str, Any] | None]:
        reported, deadline = False, time.monotonic() + LONGEST_SECONDS
        while True:
            status, answer = await self._transport.post_json(_ROUTE, question)
            if status == 200:
                sources = list_in(object_in(answer).get("sources"))
                if len(sources) != count or not all(one is None or isinstance(one, dict) for one in sources):
                    raise unexpected(self._transport.url, _ROUTE, answer)
                return sources
            if status != 202 or time.monotonic() > deadline:
                said = f"ComfyUI at {self._transport.url} does not say what is in its files ({status}): {shown(answer)}"
                if status == 401:
                    raise EngineError(said)
                _log.warning("%s; what is read from files is not remembered", said)
                return [{"token": None, "why": said}] * count
            if not reported:
                reported = True
                _log.info("ComfyUI at %s reads files that are new to it; its log says which", self._transport.url)
            await asyncio.sleep(_PAUSE)


def unknown_sources(nodes: Collection[Node], effects: EffectTable) -> dict[NodeId, Source]:
    """Return that nothing is known of the files that nodes read, for a server without our nodes."""
    return dict.fromkeys(_specs(nodes, effects), NOT_KNOWN)


class RequestWithSources:
    """A request whose prompt says what is in the files that its nodes read; `result` and events name its own nodes."""

    def __init__(self, request: PromptRequest) -> None:
        fixed = {*request.outputs.values(), *(node for group in request.sequence for node in group)}
        prompt, renamed = insert_sources(request.prompt, request.sources, fixed)
        places = {new: request.places[old] for old, new in renamed.items() if old in request.places}
        self._names = {new: old for old, new in renamed.items()}
        self.request: PromptRequest = replace(request, prompt=prompt, places={**request.places, **places})

    def listener(self, listener: Listener | None) -> Listener | None:
        """Return a listener that hears of nodes by the names that they have in the request."""
        if listener is None or not self._names:
            return listener
        names = self._names

        def hear(event: Event) -> None:
            name = names.get(event.node, event.node)
            if isinstance(event, NodeStarted):
                listener(NodeStarted(name))
            elif isinstance(event, NodeProgress):
                listener(NodeProgress(name, event.value, event.maximum))
            else:
                assert isinstance(event, NodeFinished)
                listener(NodeFinished(name, event.cached))

        return hear

    def result(self, result: PromptResult) -> PromptResult:
        """Return a result by the names that nodes have in the request."""
        names = self._names
        if not names:
            return result
        return replace(
            result,
            ui={names.get(node, node): shown for node, shown in result.ui.items()},
            executed=tuple(names.get(node, node) for node in result.executed),
            cached=tuple(names.get(node, node) for node in result.cached),
        )


def _specs(nodes: Collection[Node], effects: EffectTable) -> dict[NodeId, dict[str, Any]]:
    """Return the nodes that may read files, as our nodes on a server want them."""
    readers = FileReaders(effects)
    return {node.id: _spec(node) for node in nodes if readers.inputs(node)}


def _spec(node: Node) -> dict[str, Any]:
    literals = {name: value.value for name, value in node.inputs.items() if isinstance(value, Literal)}
    linked = [name for name, value in node.inputs.items() if not isinstance(value, Literal)]
    return {"class_type": node.class_type, "inputs": literals, "linked": linked}


def _source(answer: Mapping[str, Any]) -> Source:
    token = answer.get("token")
    return Source(
        None if token is None else text_of(token),
        text_of(answer.get("version", "")),
        text_of(answer.get("why", "")),
        text_of(answer.get("prompt_input", "")),
        bool(answer.get("keeps_state")),
    )
