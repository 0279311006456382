"""Transactions of one store exclude each other."""

from __future__ import annotations

import threading
from typing import Protocol


class Lock(Protocol):
    """A mutex between threads, and between processes where several have the store open."""

    def acquire(self) -> object:
        """Wait for it."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...


class Gate:
    """Lets one transaction through at a time.

    Attributes:
        holder: the thread of this process that is inside, if any.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self.holder: int | None = None

    def acquire(self) -> None:
        """Wait for our turn."""
        self._lock.acquire()
        self.holder = threading.get_ident()

    def release(self) -> None:
        """Let the next one in."""
        self.holder = None
        self._lock.release()
