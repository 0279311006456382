"""Which context belongs to which client of this ComfyUI server.

A client attaches its context over HTTP before it queues prompts, so neither prompts nor the images saved from them
name a context: loaders ask for a content digest, savers store for the client whose prompt is running.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext

ABSENCE_SECONDS = 120.0
"""How long the context of a client whose websocket is gone is kept: it may reconnect."""


class Registry:
    """Contexts by client, for this process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._contexts: dict[str, WorkflowContext] = {}
        self._handles: dict[str, str | None] = {}
        self._last_seen: dict[str, float] = {}

    def attach(self, client: str, handle: str | None) -> None:
        """Give `client` the context behind `handle`, or, with None, a context of its own in this process.

        Raises:
            OSError, KeyError, ValueError: the handle names no context that this process can open.
        """
        from discomfort.context.context import WorkflowContext

        with self._lock:
            if client in self._contexts and self._handles[client] == handle:
                self._last_seen[client] = time.monotonic()
                return
            fresh = WorkflowContext() if handle is None else WorkflowContext.attach(handle)
            self.detach(client)
            self._contexts[client] = fresh
            self._handles[client] = handle
            self._last_seen[client] = time.monotonic()

    def detach(self, client: str) -> None:
        """Let go of the client's context; does nothing when it has none."""
        with self._lock:
            context = self._contexts.pop(client, None)
            self._handles.pop(client, None)
            self._last_seen.pop(client, None)
        if context is not None:
            context.shutdown()

    def detach_absent(self, present: Collection[str]) -> None:
        """Let go of the contexts of clients that have not been in `present` for ABSENCE_SECONDS."""
        now = time.monotonic()
        with self._lock:
            for client in self._contexts:
                if client in present:
                    self._last_seen[client] = now
            gone = [client for client, seen in self._last_seen.items() if now - seen > ABSENCE_SECONDS]
        for client in gone:
            self.detach(client)

    def clients(self) -> list[str]:
        """Return the clients that have a context."""
        with self._lock:
            return list(self._contexts)

    def context_of(self, client: str | None) -> WorkflowContext:
        """Return the context of `client`.

        Raises:
            LookupError: it has attached none.
        """
        with self._lock:
            context = self._contexts.get(client) if client is not None else None
        if context is None:
            raise LookupError(f"client {client!r} of this ComfyUI server has attached no Discomfort context")
        return context

    def value(self, digest: str, client: str | None) -> Any:
        """Return the value with this content digest: from the client's own context, or from any other's.

        Equal digests mean equal contents, so it does not matter whose copy is read.

        Raises:
            LookupError: no attached context holds it.
        """
        with self._lock:
            own = self._contexts.get(client) if client is not None else None
            others = [context for context in self._contexts.values() if context is not own]
        for context in [own, *others] if own is not None else others:
            try:
                return context.get_value(digest)
            except KeyError:
                continue
        raise LookupError(f"no context attached to this ComfyUI server holds a value with digest {digest}")


REGISTRY = Registry()
"""The one registry of this process."""


def prompt_server() -> Any | None:
    """Return ComfyUI's server object, or None in a process that is no ComfyUI server."""
    module = sys.modules.get("server")
    return getattr(getattr(module, "PromptServer", None), "instance", None)


def running_client() -> str | None:
    """Return the client whose prompt this server is running."""
    client = getattr(prompt_server(), "client_id", None)
    return client if isinstance(client, str) else None
