"""What a node depends on besides its inputs, worked out of the files that they name: a `Source` for its key."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from discomfort.input_files.file_inputs import ClassInputs
from discomfort.input_files.fingerprints import Fingerprint, Fingerprints, Stop, fingerprints_of_user
from discomfort.ir.graph import Input
from discomfort.ir.keys import Source

FILES_INPUT = "discomfort_files"
"""An input that no class declares: in a prompt it is there for the server's own cache, which distinguishes nodes by
all their inputs. Nodes do not get it.
"""

UNKNOWN_FILE = Source(None, why="which file it reads is not known before it runs")


class Finder(Protocol):
    """Finds the files that nodes name."""

    def find(self, name: str) -> list[Path]:
        """Return every file that a node may mean by `name`; none where there is none."""
        ...

    def embeddings(self) -> list[Path]:
        """Return the folders of embeddings, which texts name."""
        ...


class FileSources:
    """The files of nodes, as sources."""

    def __init__(self, finder: Finder, store: Fingerprints | None = None) -> None:
        """Prepare to look into files: those that `finder` finds, whose digests are in `store`; default: the user's."""
        self._finder = finder
        self._store = store

    def read(
        self,
        reads: ClassInputs,
        inputs: Mapping[str, Input],
        stop: Stop | None,
        may_be_unknown: bool = False,
    ) -> Source | None:
        """Return the source of a node's files; None for a node that reads none.

        Args:
            reads: which inputs of its class name files.
            inputs: the node's inputs.
            stop: gives up reading. None: raise where a file must be read for it.
            may_be_unknown: whether a class that only says that it reads files need not name one.

        Raises:
            FingerprintStopped: `stop` said so.
            BlockingIOError: a file must be read, and `stop` is None.
        """
        named = reads.of(inputs)
        if not named:
            return None
        try:
            paths: list[Path] = []
            facts: list[str] = []
            for name, text in named.names.items():
                found = self._find(text, reads.anywhere)
                paths += found
                facts.append(f"{name}={len(found)}")
            if reads.anywhere and not paths and not may_be_unknown:
                return UNKNOWN_FILE
            for name in named.linked:
                offered = reads.offered(inputs, name)
                if not offered:
                    return UNKNOWN_FILE
                facts.append(f"{name}:{self._any_of(offered)}")
            if named.embeddings:
                paths += self._finder.embeddings()
            return source_of(self._fingerprints(paths, stop), facts)
        except BlockingIOError:
            raise
        except OSError as error:
            return Source(None, why=f"a file that it reads cannot be read: {error}")

    def _find(self, text: str, anywhere: bool) -> list[Path]:
        found = self._finder.find(text)
        if anywhere and not found and text.strip():
            try:
                path = Path(text).expanduser()
                return [path] if path.is_file() else []
            except (OSError, RuntimeError, ValueError):  # text that cannot be a path
                return []
        return found

    def _fingerprints(self, paths: Iterable[Path], stop: Stop | None) -> list[Fingerprint]:
        store = self._of_user()
        if stop is not None:
            return [store.read(path, stop) for path in paths]
        found = [store.known(path) for path in paths]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            raise BlockingIOError
        return known

    def _any_of(self, names: Iterable[str]) -> str:
        """Return text that changes when any of the files `names` does; they are not read: they may be many models."""
        versions: list[str] = []
        for name in names:
            for path in self._finder.find(name):
                version, steady = self._of_user().version(path)
                versions.append(version if steady else secrets.token_hex(8))
            versions.append(name)
        return _digest(versions)

    def _of_user(self) -> Fingerprints:
        return self._store if self._store is not None else fingerprints_of_user()


def source_of(fingerprints: Iterable[Fingerprint], facts: Iterable[str] = ()) -> Source:
    """Return the source of a node that reads these files, in this order, and depends on `facts`.

    Where a file may change again without a sign of it the version is one that equals nothing.
    """
    files = list(fingerprints)
    others = list(facts)
    token = _digest([*(file.content for file in files), "", *others])
    steady = all(file.steady for file in files)
    version = _digest([*(file.version for file in files), "", *others]) if steady else secrets.token_hex(8)
    return Source(token, version)


def with_facts(source: Source | None, facts: Sequence[str]) -> Source:
    """Return a source that depends on `facts`, too."""
    if source is None:
        return source_of((), facts)
    if source.token is None:
        return source
    return replace(source, token=_digest([source.token, *facts]), version=_digest([source.version, *facts]))


def insert_sources(
    prompt: Mapping[str, dict[str, Any]], sources: Mapping[str, Source], fixed: Iterable[str] = ()
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return a prompt in which a server's cache distinguishes files that have one name, and the ids that nodes got.

    A node gets what is in its files as an input that its class does not declare. One whose object may hold what it has
    read gets another id as well, since a server keeps the objects of nodes by id; not so nodes in `fixed`.
    """
    keep = frozenset(fixed)
    wanted = {node_id: source for node_id, source in sources.items() if source.prompt_input and node_id in prompt}
    renamed = {
        node_id: f"{node_id}@{source.prompt_input[:12]}"
        for node_id, source in wanted.items()
        if source.keeps_state and node_id not in keep
    }
    changed: dict[str, dict[str, Any]] = {}
    for node_id, body in prompt.items():
        inputs = body["inputs"]
        if renamed:
            inputs = {name: _relinked(value, renamed) for name, value in inputs.items()}
        if node_id in wanted:
            inputs = {**inputs, FILES_INPUT: wanted[node_id].prompt_input}
        changed[renamed.get(node_id, node_id)] = body if inputs is body["inputs"] else {**body, "inputs": inputs}
    return changed, renamed


def expansion_with_sources(
    made: Mapping[str, Any], read: Callable[[str, Mapping[str, Any]], Source | None]
) -> dict[str, Any]:
    """Return what a node expands to (`expand` and `result`) with sources inserted; `read` takes class and inputs."""
    found = {node_id: read(body["class_type"], body["inputs"]) for node_id, body in made["expand"].items()}
    sources = {node_id: source for node_id, source in found.items() if source is not None}
    expand, renamed = insert_sources(made["expand"], sources)
    return {**made, "expand": expand, "result": tuple(_relinked(value, renamed) for value in made["result"])}


def _relinked(value: Any, renamed: Mapping[str, str]) -> Any:
    if type(value) is list and len(value) == 2 and isinstance(value[0], str) and value[0] in renamed:
        return [renamed[value[0]], value[1]]
    return value


def _digest(parts: Iterable[str]) -> str:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
