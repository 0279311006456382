"""What is in the files that nodes read on this server, for a client that wants to know whether they have changed.

A client sends the nodes of a program that may read files, and gets for each a digest of what is in them. Reading a
large model takes a while: then the answer is that it is being read, and the client asks again.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from discomfort_nodes.installed import installed_catalog
from discomfort_nodes.routes.guard import Answer, Asked, guarded_route

if TYPE_CHECKING:
    from discomfort.ir.keys import Source

ANSWER_SECONDS = 5.0
"""After this long the answer is that files are still being read: proxies between client and server give up waiting."""
KEPT_SECONDS = 60.0
MAX_DISTRUSTED = 4096

Spec = Mapping[str, Any]
"""A node as clients send it: `{"class_type": …, "inputs": {name: literal}, "linked": [name]}`."""


_questions: dict[str, asyncio.Future[Any]] = {}
_pool = ThreadPoolExecutor(1, "discomfort-fingerprints")


@guarded_route("POST", "/discomfort/fingerprints", max_bytes=2**26)
async def fingerprints(asked: Asked) -> Answer:
    """Answer `{"id": …, "nodes": [spec…], "doubts": [{"node": spec, "version": …, "prompt_input": …}]}`.

    The answer is `{"sources": [source or null…]}`, in the order of the nodes; with status 202 it is
    `{"reading": true}`, and the same question, by its id, is to be asked again. `doubts` are nodes that ran with files
    that may have changed meanwhile: where they have, this server's cache may hold something else under their digest.
    """
    from aiohttp import web

    from discomfort_nodes.routes.bodies import FingerprintsBody

    body = asked.read(FingerprintsBody)
    name = body.id
    question = _questions.get(name)
    if question is None:
        nodes = [node.model_dump() for node in body.nodes]
        doubts = [doubt.model_dump() for doubt in body.doubts]
        loop = asyncio.get_running_loop()
        question = _questions[name] = loop.run_in_executor(_pool, SERVER_FILES.answer, nodes, doubts)
        loop.call_later(KEPT_SECONDS, _forget, name)
    done, _ = await asyncio.wait({question}, timeout=ANSWER_SECONDS)
    if not done:
        return web.json_response({"reading": True}, status=202)
    _questions.pop(name, None)
    return {"sources": question.result()}


def _forget(name: str) -> None:
    """Forget a question to which nobody has come back for the answer."""
    question = _questions.get(name)
    if question is not None and question.done():
        del _questions[name]
    elif question is not None:
        asyncio.get_running_loop().call_later(KEPT_SECONDS, _forget, name)


class ServerFiles:
    """The files of nodes on this server; used by one thread at a time."""

    def __init__(self) -> None:
        self._distrusted: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, nodes: Sequence[Spec], doubts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """Return the source of each node as JSON, None for one that reads nothing; see `fingerprints`."""
        survey = _Survey()
        for doubt in doubts:
            now = survey.source(doubt["node"])
            if now is None or now.version != doubt["version"]:
                self._distrust(str(doubt["prompt_input"]))
        return [self._told(survey, spec) for spec in nodes]

    def for_prompt(self, class_type: str, inputs: Mapping[str, Any]) -> Source | None:
        """Return what a node of a graph that is made on this server reads, for the server's own cache."""
        linked = [name for name, value in inputs.items() if isinstance(value, list)]
        literals = {name: value for name, value in inputs.items() if not isinstance(value, list)}
        survey = _Survey()
        spec = {"class_type": class_type, "inputs": literals, "linked": linked}
        source = survey.source(spec)
        return None if source is None else self._with_prompt_input(survey, spec, source)

    def content(self, class_type: str, inputs: Mapping[str, Any]) -> str | float | None:
        """Return a digest of what is in the files that such a node reads; NaN where that is not known.

        None for a node that reads none, and for one whose class says itself whether it changed.
        """
        source = self.for_prompt(class_type, inputs)
        if source is None or (source.token is None and _asks(_class_of(class_type))):
            return None
        return math.nan if source.token is None else source.token

    def _told(self, survey: _Survey, spec: Spec) -> dict[str, Any] | None:
        source = survey.source(spec)
        if source is None:
            return None
        source = self._with_prompt_input(survey, spec, source)
        return {
            "token": source.token,
            "version": source.version,
            "why": source.why,
            "prompt_input": source.prompt_input,
            "keeps_state": source.keeps_state,
        }

    def _with_prompt_input(self, survey: _Survey, spec: Spec, source: Source) -> Source:
        from dataclasses import replace

        name = str(spec["class_type"])
        if source.token is None or not survey.takes_another_input(name):
            return source
        with self._lock:
            times = self._distrusted.get(source.token, 0)
        text = f"{source.token}#{times}" if times else source.token
        return replace(source, prompt_input=text, keeps_state=survey.keeps_state(name))

    def _distrust(self, prompt_input: str) -> None:
        """Have nodes with this digest run anew: what the server knows of it may be of other files."""
        token, _, times = prompt_input.partition("#")
        with self._lock:
            self._distrusted[token] = max(self._distrusted.get(token, 0), int(times or 0) + 1)
            self._distrusted.move_to_end(token)
            while len(self._distrusted) > MAX_DISTRUSTED:
                self._distrusted.popitem(last=False)


class _Survey:
    """One look at the node classes and folders of this server."""

    def __init__(self) -> None:
        from discomfort.input_files.comfy_folders import ComfyFolders
        from discomfort.input_files.sources import FileSources
        from discomfort.ir.catalog.effects import EffectTable

        self._catalog = installed_catalog()
        self._effects = EffectTable(self._catalog)
        self._files = FileSources(ComfyFolders(sys.modules.get("folder_paths")))
        self._sources: dict[str, Source | None] = {}

    def source(self, spec: Spec) -> Source | None:
        """Return the source of a node's files, None for a node that reads none."""
        from discomfort.input_files.fingerprints import FingerprintStopped
        from discomfort.ir.keys import Source

        key = json.dumps(spec, sort_keys=True)
        if key not in self._sources:
            try:
                self._sources[key] = self._read(spec)
            except FingerprintStopped:
                raise
            except Exception as error:  # noqa: BLE001 — a custom node's declaration, say; the run goes on without
                self._sources[key] = Source(None, why=f"{type(error).__name__}: {error}")
        return self._sources[key]

    def _read(self, spec: Spec) -> Source | None:
        from discomfort.input_files.file_inputs import ClassInputs
        from discomfort.ir.catalog.effects import is_core
        from discomfort.ir.graph import Link, Literal, NodeId
        from discomfort.ir.keys import Source

        name = str(spec["class_type"])
        if name not in self._catalog:
            return Source(None, why="the server does not have its class")
        node_class, rule = self._catalog[name], self._effects.rule(name)
        inputs: dict[str, Any] = {key: Literal(value) for key, value in spec["inputs"].items()}
        inputs |= {str(key): Link(NodeId("linked"), 0) for key in spec["linked"]}
        source = self._files.read(ClassInputs(node_class, rule), inputs, _program_ends)
        if _asks(_class_of(name)) and not (is_core(node_class) and rule.files):
            return Source(None, why="whether it changed it says only when it runs")
        return source

    def takes_another_input(self, name: str) -> bool:
        """Return whether a node of a class may have an input that the class does not declare, and does not get it."""
        node_class = _class_of(name)
        if getattr(node_class, "ACCEPT_ALL_INPUTS", False):
            return False
        declared = node_class.INPUT_TYPES()
        return all(type(declared.get(group) or {}) is dict for group in ("required", "optional", "hidden"))

    def keeps_state(self, name: str) -> bool:
        """Return whether the object of a node may keep what it has read, as that of a V1 class with an `__init__`.

        Classes of the V3 protocol have no objects.
        """
        node_class = _class_of(name)
        return not hasattr(node_class, "GET_NODE_INFO_V1") and node_class.__init__ is not object.__init__


def _class_of(name: str) -> Any:
    return sys.modules["nodes"].NODE_CLASS_MAPPINGS[name]


def _asks(node_class: Any) -> bool:
    """Return whether a class says itself when it has changed, by either of ComfyUI's protocols."""
    if hasattr(node_class, "GET_NODE_INFO_V1"):
        first_override = sys.modules["comfy_api.internal"].first_real_override
        return first_override(node_class, "fingerprint_inputs") is not None
    return getattr(node_class, "IS_CHANGED", None) is not None


def _program_ends() -> bool:
    return not threading.main_thread().is_alive()


SERVER_FILES = ServerFiles()
"""The files of nodes on this server."""
