"""Values that this Python cannot rebuild are passed on as they are, and named when a user uses them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import EncodingError, UnreadableValueError, WireError
from discomfort.context.values.encode import encode
from discomfort.context.values.opaque import OpaqueValue, ServerValue
from discomfort.context.values.wire import decode_wire, encode_wire
from tests.context.foreign import installed


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.05) as made:
        yield made


def saved(context: WorkflowContext, name: str, frames: int = 8) -> str:
    with installed() as module:
        context.save(name, module.Thing("seven", torch.arange(frames, dtype=torch.float32)))
        return context.digest(name)


@pytest.mark.parametrize("frames", [2, 100_000])
def test_loading_names_the_value_its_class_and_what_helps(context: WorkflowContext, frames: int) -> None:
    saved(context, "video", frames)
    with pytest.raises(
        UnreadableValueError, match=r"'video', stored as only_there.Thing, .* no module 'only_there'.*inprocess"
    ) as caught:
        context.load("video")
    assert isinstance(caught.value, EncodingError)
    with installed() as module:
        assert context.load("video") == module.Thing("seven", torch.arange(frames, dtype=torch.float32))


@pytest.mark.parametrize("frames", [2, 100_000])
def test_an_opaque_value_is_saved_as_it_is_here_and_elsewhere(context: WorkflowContext, frames: int) -> None:
    digest = saved(context, "video", frames)
    opaque = context.values.get_or_opaque(digest, "output 'video'")
    assert type(opaque) is OpaqueValue
    context.save("again", opaque)
    assert context.values.put(opaque) == context.digest("again") == digest
    with WorkflowContext(max_ram_gb=0.05) as other:
        other.save("there", opaque, use_ram=False)
        assert other.digest("there") == digest
        assert other.verify() == []
        with installed() as module:
            assert other.load("there") == module.Thing("seven", torch.arange(frames, dtype=torch.float32))


def test_a_copy_outlives_its_context() -> None:
    with WorkflowContext(max_ram_gb=0.05) as gone:
        results = {"video": gone.values.get_or_opaque(saved(gone, "video", 1000)), "count": 3}
        outliving = copy.deepcopy(results)
    with WorkflowContext(max_ram_gb=0.05) as context:
        context.save("video", outliving["video"])
        with installed() as module:
            assert context.load("video") == module.Thing("seven", torch.arange(1000, dtype=torch.float32))


USES: dict[str, Callable[[Any], Any]] = {
    "attribute": lambda value: value.frames,
    "call": lambda value: value(),
    "len": len,
    "iter": list,
    "item": lambda value: value[0],
    "in": lambda value: 1 in value,
    "int": int,
    "float": float,
    "with": lambda value: value.__enter__(),
    "sum": lambda value: 1 - value,
    "array": np.asarray,
    "compare": lambda value: value < 3,
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("use", USES)
def test_using_an_opaque_value_says_whose_it_is(context: WorkflowContext, use: str) -> None:
    opaque = context.values.get_or_opaque(saved(context, "video"), "output 'video' (VIDEO)")
    with pytest.raises(UnreadableValueError, match=r"output 'video' \(VIDEO\), stored as only_there.Thing"):
        USES[use](opaque)


def test_looking_at_an_opaque_value_does_no_harm(context: WorkflowContext) -> None:
    opaque = context.values.get_or_opaque(saved(context, "video"), "output 'video'")
    assert "only_there.Thing" in repr(opaque)
    assert f"{opaque}" == str(opaque) == repr(opaque)
    assert not hasattr(opaque, "shape")
    assert not hasattr(opaque, "_repr_html_")
    assert opaque
    assert opaque == opaque
    assert {opaque: 1}[opaque] == 1
    assert copy.copy(opaque) is opaque


def test_an_opaque_value_inside_another_is_refused_by_name(context: WorkflowContext) -> None:
    opaque = context.values.get_or_opaque(saved(context, "video"), "output 'video'")
    with pytest.raises(EncodingError, match="output 'video'"):
        context.save("list", [opaque])


def test_a_class_that_is_gone_or_fails_is_unreadable_too(context: WorkflowContext) -> None:
    with installed() as module:
        context.save("thing", module.Thing("a", torch.zeros(1)))
        context.save("moody", module.Moody("any"))
    with installed() as module:
        del module.Thing
        module.mood = "bad"
        with pytest.raises(UnreadableValueError, match=r"'thing'.*AttributeError"):
            context.load("thing")
        with pytest.raises(UnreadableValueError, match=r"'moody'.*LookupError: not today"):
            context.load("moody")
        assert type(context.values.get_or_opaque(context.digest("moody"))) is OpaqueValue


def test_a_value_that_stays_on_a_server_is_known_by_server_and_content(context: WorkflowContext) -> None:
    digest = context.values.put(ServerValue("d1", "only_there.Thing", "key"))
    assert digest == context.values.put(ServerValue("d1", "only_there.Thing", "key"))
    assert digest != context.values.put(ServerValue("d1", "only_there.Thing", "other key"))
    assert context.values.kind(digest) == "server"
    context.names.save_digest("video", digest)
    with pytest.raises(UnreadableValueError, match=r"'video', stored as only_there.Thing.*stays on the ComfyUI server"):
        context.load("video")
    opaque = context.values.get_or_opaque(digest)
    context.save("again", opaque)
    assert context.digest("again") == digest
    assert context.values.put(copy.deepcopy(opaque)) == digest
    assert "only_there.Thing" in context.summary()


def test_kinds_are_known_without_decoding(context: WorkflowContext) -> None:
    assert context.values.kind(saved(context, "video")) == "pickle"
    assert context.values.kind(context.values.put({"a": 1})) == "json"
    assert context.values.kind(context.values.put(torch.zeros(3))) == "tensor"


def test_no_network_carries_them(context: WorkflowContext) -> None:
    opaque = context.values.get_or_opaque(saved(context, "video"), "output 'video'")
    with pytest.raises(EncodingError):
        encode_wire(opaque)
    with pytest.raises(EncodingError):
        encode_wire(ServerValue("d1", "x", "key"))
    with installed() as module:
        thing = encode(module.Thing("seven", torch.zeros(2))).to_bytes()
    for forged in (thing, encode(ServerValue("d1", "x", "key")).to_bytes()):
        with pytest.raises(WireError, match="not taken from a network"):
            decode_wire(forged)
