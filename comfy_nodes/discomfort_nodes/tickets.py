"""Which running prompt may read and store what: nothing, unless its client registered it beforehand.

All clients that reach a ComfyUI server see every prompt in `/queue` and `/history`, and may queue prompts. So a prompt
holds nothing that opens a context. Instead a client that knows the token registers a prompt before it queues it: its
id, which the client chooses, a digest of it, the values that it may read and the names under which it may store.

The first prompt that arrives under the id uses the ticket up, if it is the registered one. A later one, copied from the
queue, gets another id, and so has no ticket. Nodes find the ticket by the id of the prompt that ComfyUI runs them for;
it is good for one run, and over when that run is.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from discomfort.server_access.protocol import prompt_digest
from discomfort_nodes.registry import prompt_server

EXPIRY_SECONDS = 3600.0
"""How long a registered prompt may take to arrive, since its client was last heard of."""

MAX_TICKETS = 2**14
"""How many prompts may be registered at a time."""

_QUEUED_SECONDS = 60.0  # how long it may take from the arrival of a prompt until it is in the queue


@dataclass(slots=True)
class Ticket:
    """What one prompt may do: read the values `digests` of the context `key` and store results under `names` in it.

    Results are kept in the context's `letterbox`, for as long as the client wants them. `prompt` is the digest of the
    prompt, `seen` when its client was last heard of (seconds, monotonic). `problem` is why the ticket is not good; it
    is empty once the prompt has arrived. `run` is the server's number of its run.
    """

    key: str
    prompt: str
    digests: Collection[str]
    names: Collection[str]
    letterbox: str = ""
    seen: float = field(default_factory=time.monotonic)
    has_arrived: bool = False
    problem: str = "the prompt has not arrived yet"
    run: Any = None


class Tickets:
    """Tickets by prompt id, for this process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: dict[str, Ticket] = {}
        self._clean_at = 64

    def register(self, prompt_id: str, ticket: Ticket) -> None:
        """Let the prompt that will arrive as `prompt_id` do what `ticket` says; again, where it did not get through.

        Raises:
            ValueError: a prompt of that id is another client's, or on the server already; or there are too many.
        """
        queued = _queued_ids()
        with self._lock:
            if len(self._tickets) >= self._clean_at:
                self._clean(queued)
            known = self._tickets.get(prompt_id)
            if prompt_id in queued or (known is not None and known.key != ticket.key):
                raise ValueError("a prompt of this id is registered or queued already")
            if len(self._tickets) >= MAX_TICKETS:
                raise ValueError(f"{MAX_TICKETS} prompts are registered already")
            self._tickets[prompt_id] = ticket

    def arrive(self, message: Any) -> Any:
        """Take in what a client sends to `/prompt`, before anything else reads it; return what to take instead."""
        prompt_id = message.get("prompt_id") if isinstance(message, dict) else None
        if not isinstance(prompt_id, str):
            return message
        with self._lock:
            ticket = self._tickets.get(prompt_id)
            if ticket is None:
                return message
            if ticket.has_arrived:
                return {**message, "prompt_id": str(uuid.uuid4())}
            ticket.has_arrived, ticket.seen = True, time.monotonic()
            same = _digest_or_none(message.get("prompt")) == ticket.prompt
            ticket.problem = "" if same else "the prompt that arrived is not the one that was registered"
        return message

    def of_running_prompt(self) -> Ticket:
        """Return the ticket of the prompt for which ComfyUI runs the node that asks.

        Raises:
            LookupError: it has none, or none that is good for this run.
        """
        prompt_id = _running_prompt_id()
        runs = [number for number, item in _running_items() if item[1] == prompt_id]
        with self._lock:
            ticket = self._tickets.get(prompt_id)
            if ticket is None or not runs:
                raise LookupError("the prompt was not registered by a Discomfort client")
            if ticket.problem:
                raise LookupError(ticket.problem)
            if ticket.run is None:
                ticket.run = runs[-1]
            if ticket.run not in runs:
                raise LookupError("the prompt has run already")
            return ticket

    def keep(self, key: str) -> None:
        """Note that the client of a context is still there, sending values before it queues its prompt."""
        with self._lock:
            for ticket in self._tickets.values():
                if ticket.key == key:
                    ticket.seen = time.monotonic()

    def revoke(self, key: str) -> None:
        """Make every ticket for a context worthless."""
        with self._lock:
            self._tickets = {name: ticket for name, ticket in self._tickets.items() if ticket.key != key}

    def clean(self) -> None:
        """Forget the tickets of prompts that have ended, were taken out of the queue, or never came."""
        queued = _queued_ids()
        with self._lock:
            self._clean(queued)

    def __len__(self) -> int:
        return len(self._tickets)

    def _clean(self, queued: Collection[str]) -> None:
        now = time.monotonic()
        for prompt_id, ticket in list(self._tickets.items()):
            patience = (0.0 if ticket.run is not None else _QUEUED_SECONDS) if ticket.has_arrived else EXPIRY_SECONDS
            if prompt_id not in queued and now - ticket.seen > patience:
                del self._tickets[prompt_id]
        self._clean_at = max(64, 2 * len(self._tickets))


TICKETS = Tickets()
"""The tickets of this process."""


def watch_arrivals() -> None:
    """See prompts as their clients send them; does nothing in a process that is not a ComfyUI server."""
    server: Any = prompt_server()
    handlers = getattr(server, "on_prompt_handlers", None)
    if isinstance(handlers, list):
        handlers.insert(0, TICKETS.arrive)  # before handlers of other packs, which may change the prompt
    elif hasattr(server, "add_on_prompt_handler"):
        server.add_on_prompt_handler(TICKETS.arrive)


def _digest_or_none(prompt: Any) -> str | None:
    try:
        return prompt_digest(prompt)
    except (ValueError, TypeError, RecursionError):
        return None


def _running_prompt_id() -> str:
    """Return the id of the prompt for which ComfyUI calls us.

    Raises:
        LookupError: it does not call us for one, or is too old to say for which.
    """
    asking = getattr(sys.modules.get("comfy_execution.utils"), "get_executing_context", None)
    if asking is None:
        raise LookupError("this ComfyUI does not say which prompt a node runs for: update it")
    context = asking()
    if context is None:
        raise LookupError("no prompt is running")
    return str(context.prompt_id)


def _running_items() -> list[tuple[Any, Any]]:
    """Return the prompts that the server runs, each with the number of its run."""
    queue = getattr(prompt_server(), "prompt_queue", None)
    return list(getattr(queue, "currently_running", {}).items())


def _queued_ids() -> set[str]:
    """Return the ids of the prompts that run or wait."""
    queue = getattr(prompt_server(), "prompt_queue", None)
    if queue is None:
        return set()
    look = getattr(queue, "get_current_queue_volatile", None) or queue.get_current_queue
    running, waiting = look()
    return {str(item[1]) for item in (*running, *waiting)}
