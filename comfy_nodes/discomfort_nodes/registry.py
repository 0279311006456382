"""The contexts that clients of this ComfyUI server have attached.

A client attaches a context over HTTP, under a key of its choice that no prompt holds. Which prompt uses which context,
and for what, is said by its ticket (`tickets.py`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext

ABSENCE_SECONDS = 120.0
"""How long the contexts of a client whose websocket is gone are kept: it may reconnect."""

HELD_VALUES = 1024
"""How many values a context of this process, which stands in for a remote client's, keeps; the oldest go first. The
client sends what is missing again."""


@dataclass(slots=True)
class _Attachment:
    """A context, who attached it, and when that client was last seen (seconds, monotonic).

    `held` lists the values that a context of our own keeps, oldest first; None where the client owns the context.
    """

    context: WorkflowContext
    client: str
    last_seen: float
    held: deque[str] | None


class Registry:
    """Contexts by key, for this process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attachments: dict[str, _Attachment] = {}

    def attach(self, key: str, client: str, handle: Mapping[str, Any] | None) -> None:
        """Open the context behind `handle` as `key`, or, with None, a new context of this process.

        Does nothing when `key` is attached already.

        Raises:
            OSError, LookupError, ValueError, RuntimeError: the handle names no context that this process can open.
        """
        from discomfort.context.context import WorkflowContext

        with self._lock:
            if key not in self._attachments:
                context = WorkflowContext() if handle is None else WorkflowContext.attach(handle)
                self._attachments[key] = _Attachment(
                    context, client, time.monotonic(), deque() if handle is None else None
                )

    def detach(self, key: str) -> None:
        """Let go of the context attached as `key`; does nothing when there is none."""
        with self._lock:
            attachment = self._attachments.pop(key, None)
        if attachment is not None:
            attachment.context.shutdown()

    def detach_absent(self, present: Collection[str]) -> None:
        """Let go of the contexts of clients that have not been in `present` for ABSENCE_SECONDS."""
        now = time.monotonic()
        gone = []
        with self._lock:
            for key, attachment in self._attachments.items():
                if attachment.client in present:
                    attachment.last_seen = now
                elif now - attachment.last_seen > ABSENCE_SECONDS:
                    gone.append(key)
        for key in gone:
            self.detach(key)

    def __len__(self) -> int:
        return len(self._attachments)

    def context(self, key: str) -> WorkflowContext:
        """Return the context attached as `key`.

        Raises:
            LookupError: there is none.
        """
        with self._lock:
            attachment = self._attachments.get(key)
        if attachment is None:
            raise LookupError("the Discomfort context of this prompt is no longer attached to this ComfyUI server")
        return attachment.context

    def store(self, key: str, value: Any, letterbox: str = "") -> str:
        """Store a value in the context attached as `key` and return its digest.

        It is kept there in the letterbox of the client that owns the context, or, where we do, among the last
        HELD_VALUES.

        Raises:
            LookupError: no context is attached as `key`, or the client does not want the value any more.
        """
        context = self.context(key)
        with self._lock:
            attachment = self._attachments.get(key)
            ours = attachment is not None and attachment.held is not None
        digest = context.put_value(value, letterbox=None if ours or not letterbox else letterbox)
        self._hold(key, digest)
        return digest

    def keep(self, key: str, digest: str) -> str:
        """Keep a value that cannot travel; return the name of its class.

        What stands in for it at the client has a digest of its own, by which `value` finds it from here on.

        Raises:
            LookupError: no context is attached as `key`, or it does not hold the value.
        """
        from discomfort.context.values.encode import describe_value
        from discomfort.context.values.opaque import ServerValue

        context = self.context(key)
        kind = describe_value(context.get_value(digest))
        self._hold(key, context.put_value(ServerValue(digest, kind, key)))
        return kind

    def holds(self, key: str, digest: str) -> bool:
        """Return whether the context attached as `key` holds a value, or one that is kept here in its place.

        Raises:
            LookupError: no context is attached as `key`.
        """
        context = self.context(key)
        kept = context.server_value(digest)
        return context.has_value(digest if kept is None else kept.digest)

    def _hold(self, key: str, digest: str) -> None:
        """Count a value that was put into a context of our own, and let the oldest go where there are too many."""
        with self._lock:
            attachment = self._attachments.get(key)
            if attachment is not None and attachment.held is not None:
                attachment.held.append(digest)
                if len(attachment.held) > HELD_VALUES:
                    attachment.context.release_value(attachment.held.popleft())

    def value(self, key: str, digest: str) -> Any:
        """Return the value with this content digest from the context attached as `key`.

        Raises:
            LookupError: no context is attached as `key`, or it does not hold the value.
        """
        context = self.context(key)
        try:
            kept = context.server_value(digest)
            return context.get_value(digest if kept is None else kept.digest)
        except KeyError as error:
            raise LookupError(f"the context of this prompt holds no value with digest {digest}") from error


REGISTRY = Registry()
"""The one registry of this process."""


def prompt_server() -> Any | None:
    """Return ComfyUI's server object, or None in a process that is not a ComfyUI server."""
    module = sys.modules.get("server")
    return getattr(getattr(module, "PromptServer", None), "instance", None)
