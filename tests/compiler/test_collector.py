"""The collector, out of the way while compiling and as it was afterwards (law L7)."""

from __future__ import annotations

import gc

from discomfort.ir.gc_pause import paused_collector


def test_L7_the_collector_is_paused_inside_and_as_it_was_outside() -> None:
    assert gc.isenabled()
    with paused_collector():
        assert not gc.isenabled()
        with paused_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_L7_what_was_made_meanwhile_is_not_visited_by_the_next_small_collection() -> None:
    gc.collect()
    with paused_collector():
        made = [[number] for number in range(20_000)]
    young = gc.get_objects(generation=0)
    assert not any(thing is made[0] for thing in young)
    assert len(young) < 20_000


def _is_visited(thing: object) -> bool:
    """Return whether the collector would visit the thing: frozen ones it leaves out."""
    return any(other is thing for other in gc.get_objects())


def test_L7_frozen_objects_of_the_program_stay_frozen() -> None:
    thing: list[list[object]] = [[]]
    assert _is_visited(thing)
    gc.freeze()
    try:
        assert not _is_visited(thing)
        with paused_collector():
            pass
        assert not _is_visited(thing)
    finally:
        gc.unfreeze()
    assert _is_visited(thing)
