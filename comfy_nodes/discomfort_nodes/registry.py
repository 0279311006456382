"""The contexts that clients of this ComfyUI server have attached.

A client attaches a context over HTTP, under a key of its choice that no prompt holds. Which prompt uses which context,
and for what, is written in its ticket (`tickets.py`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext

ABSENCE_SECONDS = 120.0
"""How long the contexts of a client whose websocket is gone are kept: it may reconnect."""

HELD_VALUES = 1024
"""How many values a context of this process, which replaces a remote client's, keeps besides those of runs under
way; the oldest go first. The client sends what is missing again."""


@dataclass(slots=True)
class _Run:
    """What a client's run needs: values that it `reads`, values `stored` for it (both are kept), and those to come."""

    reads: set[str] = field(default_factory=set)
    stored: list[str] = field(default_factory=list)
    awaited: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Attachment:
    """A context, who attached it, and when that client was last seen (seconds, monotonic).

    `held` lists the values that a context of our own keeps, oldest first; None where the client owns the context.
    `runs` are those of the client that have not ended, by letterbox: what they need is kept, however much it is.
    """

    context: WorkflowContext
    client: str
    last_seen: float
    held: deque[str] | None
    runs: dict[str, _Run] = field(default_factory=dict)


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
        """Release the context attached as `key`; does nothing when there is none."""
        with self._lock:
            attachment = self._attachments.pop(key, None)
        if attachment is not None:
            attachment.context.shutdown()

    def detach_absent(self, present: Collection[str]) -> None:
        """Release the contexts of clients that have not been in `present` for ABSENCE_SECONDS."""
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

        It is kept there in the letterbox of the client that owns the context, or, where we do, until the client's run
        has ended, and then among the last HELD_VALUES.

        Raises:
            LookupError: no context is attached as `key`, or the client does not want the value any more.
        """
        context = self.context(key)
        with self._lock:
            attachment = self._attachments.get(key)
            ours = attachment is not None and attachment.held is not None
        digest = context.values.put(value, letterbox=None if ours or not letterbox else letterbox)
        self._hold(key, digest, letterbox)
        return digest

    def begin(self, key: str, letterbox: str, digests: Collection[str], ended: Collection[str] = ()) -> list[str]:
        """Note that the run of `letterbox` will read values, and that others have ended; return what is missing.

        Raises:
            LookupError: no context is attached as `key`.
        """
        context = self.context(key)
        with self._lock:
            attachment = self._attachments.get(key)
            if attachment is None or attachment.held is None:
                return [digest for digest in digests if not context.values.has(digest)]
            for name in ended:
                self._end(attachment, name)
            run = attachment.runs.setdefault(letterbox, _Run()) if letterbox else _Run()
            missing = [digest for digest in digests if not _keep_for(context, run, digest)]
            run.awaited.update(missing)
            if not letterbox:
                self._end_run(attachment, run)
            return missing

    def keep(self, key: str, digest: str) -> str:
        """Keep a value that cannot travel; return the name of its class.

        What replaces it at the client has a digest of its own, by which `value` finds it from here on.

        Raises:
            LookupError: no context is attached as `key`, or it does not hold the value.
        """
        from discomfort.context.values.encoded import describe_value
        from discomfort.context.values.opaque import ServerValue

        context = self.context(key)
        kind = describe_value(context.values.get(digest))
        self._hold(key, context.values.put(ServerValue(digest, kind, key)))
        return kind

    def _hold(self, key: str, digest: str, letterbox: str = "") -> None:
        """Count a value that was put into a context of our own: for the run that stored it, or among the last ones."""
        with self._lock:
            attachment = self._attachments.get(key)
            if attachment is None or attachment.held is None:
                return
            storing = attachment.runs.get(letterbox)
            if storing is not None:
                storing.stored.append(digest)
                return
            for run in attachment.runs.values():
                if digest in run.awaited and _keep_for(attachment.context, run, digest):
                    run.awaited.discard(digest)
            attachment.held.append(digest)
            _release_oldest(attachment)

    def _end(self, attachment: _Attachment, letterbox: str) -> None:
        run = attachment.runs.pop(letterbox, None)
        if run is not None:
            self._end_run(attachment, run)

    def _end_run(self, attachment: _Attachment, run: _Run) -> None:
        """Keep what was stored for a run that has ended among the last ones, and what it read no longer for it."""
        assert attachment.held is not None
        for digest in run.reads:
            attachment.context.values.release(digest)
        attachment.held.extend(run.stored)
        _release_oldest(attachment)

    def value(self, key: str, digest: str) -> Any:
        """Return the value with this content digest from the context attached as `key`.

        Raises:
            LookupError: no context is attached as `key`, or it does not hold the value.
        """
        context = self.context(key)
        try:
            kept = context.values.on_server(digest)
            return context.values.get(digest if kept is None else kept.digest)
        except KeyError as error:
            raise LookupError(f"the context of this prompt holds no value with digest {digest}") from error


def _keep_for(context: WorkflowContext, run: _Run, digest: str) -> bool:
    """Keep a value for a run that reads it, with what replaces it; return whether it is here."""
    kept = context.values.on_server(digest)
    needed = {digest} if kept is None else {digest, kept.digest}
    for one in needed - run.reads:
        if not context.values.hold(one):
            return False
        run.reads.add(one)
    return True


def _release_oldest(attachment: _Attachment) -> None:
    assert attachment.held is not None
    while len(attachment.held) > HELD_VALUES:
        attachment.context.values.release(attachment.held.popleft())


REGISTRY = Registry()
"""The one registry of this process."""


def prompt_server() -> Any | None:
    """Return ComfyUI's server object, or None in a process that is not a ComfyUI server."""
    module = sys.modules.get("server")
    return getattr(getattr(module, "PromptServer", None), "instance", None)
