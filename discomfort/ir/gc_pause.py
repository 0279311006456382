"""The garbage collector, kept out of the hot path (law L7).

Compiling allocates many small objects and frees few; the collector's passes over them find nothing and make large
compiles grow faster than linearly.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the collector in a `with` block; inside another such block, or where it is off, this changes nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        _age()
        gc.enable()


def _age() -> None:
    """Move what was made meanwhile to the oldest generation, so that the next small collection does not visit it all.

    Where the program has frozen objects of its own, they stay frozen and this does nothing.
    """
    if gc.get_freeze_count() == 0:
        gc.freeze()
        gc.unfreeze()
