"""The files that nodes read on this server, and digests of what is in them."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from discomfort_nodes.installed import installed_catalog

if TYPE_CHECKING:
    from discomfort.ir.keys import Source

MAX_DISTRUSTED = 4096

Spec = Mapping[str, Any]
"""A node as clients send it: `{"class_type": …, "inputs": {name: literal}, "linked": [name]}`."""


class ServerFiles:
    """The files of nodes on this server; used by one thread at a time."""

    def __init__(self) -> None:
        self._distrusted: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, nodes: Sequence[Spec], doubts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """Return the source of each node as JSON, None for one that reads nothing; see `routes.fingerprints`."""
        survey = _Survey()
        for doubt in doubts:
            now = survey.source(doubt["node"])
            if now is None or now.version != doubt["version"]:
                self._distrust(str(doubt["prompt_input"]))
        return [self._source_json(survey, spec) for spec in nodes]

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

    def _source_json(self, survey: _Survey, spec: Spec) -> dict[str, Any] | None:
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
        """Have nodes with this digest run again: what the server knows of it may be of other files."""
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
