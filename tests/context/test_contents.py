"""Values by digest, memos, and refs: what refers to a value keeps it."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import EncodingError, UnknownKeyError, UnresolvableRefError

RECIPE: dict[str, Any] = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}}}


class Model:
    """Represents a live MODEL."""


def test_C4_digest_and_value_by_digest(context: WorkflowContext) -> None:
    image = torch.rand(1, 32, 32, 3)
    context.save("image", image)
    context.save("seed", 7)
    context.save("mask", torch.ones(4, 4))
    other = WorkflowContext.attach(context.handle())
    for name in ("image", "seed", "mask"):
        digest = context.digest(name)
        assert context.values.has(digest)
        assert other.digest(name) == digest
        assert torch.equal(torch.as_tensor(other.values.get(digest)), torch.as_tensor(context.load(name)))
    assert context.load("seed") == 7
    assert context.values.put(7) == context.digest("seed")
    assert context.values.put(7.0) != context.digest("seed")
    with pytest.raises(KeyError, match="no value with digest d1-0"):
        context.values.get("d1-" + "0" * 32)
    other.shutdown()


def test_digest_inside_a_transaction_is_that_of_the_new_value(context: WorkflowContext) -> None:
    context.save("x", 1)
    with context.transaction():
        context.save("x", 2)
        assert context.values.get(context.digest("x")) == 2
    assert context.load("x") == 2


def test_value_put_stays_until_released_or_taken_over(context: WorkflowContext) -> None:
    digest = context.values.put(torch.ones(5000))
    twice = context.values.put(torch.ones(5000))
    assert digest == twice
    context.values.release(digest)
    assert context.values.has(digest)
    context.values.release(digest)
    assert not context.values.has(digest)
    context.values.release(digest)  # harmless

    digest = context.values.put(torch.ones(5000))
    context.names.save_digest("x", digest)
    context.values.release(digest)  # taken over: nothing to undo
    assert torch.equal(context.load("x"), torch.ones(5000))
    context.save("x", 0)
    assert not context.values.has(digest)
    with pytest.raises(UnknownKeyError, match="'y': no value with digest"):
        context.names.save_digest("y", digest)


def test_value_put_for_one_is_not_lost_with_a_namesake(context: WorkflowContext) -> None:
    """An equal value saved by another process and deleted again takes nothing over."""
    digest = context.values.put(torch.ones(5000))
    context.save("namesake", torch.ones(5000))
    context.delete("namesake")
    context.names.save_digest("mine", digest)
    assert torch.equal(context.load("mine"), torch.ones(5000))


def test_results_are_named_by_digest_in_one_transaction(context: WorkflowContext) -> None:
    digests = {name: context.values.put(torch.full((3000,), fill)) for fill, name in enumerate("abc")}
    with context.transaction():
        for name, digest in digests.items():
            context.names.save_digest(name, digest)
    assert context.list_keys() == ["a", "b", "c"]
    for name in "abc":
        context.delete(name)
    assert not any(map(context.values.has, digests.values()))


def test_value_put_straight_to_disk(context: WorkflowContext) -> None:
    context.names.save_digest("x", context.values.put(torch.ones(5000), use_ram=False))
    assert (context.get_storage_info("x") or {})["storage_type"] == "disk"


def test_memo_keeps_the_values_it_refers_to(context: WorkflowContext) -> None:
    digest = context.values.put(torch.ones(5000))
    context.memos.put("key", {"value": digest, "seconds": 1.5})
    context.values.release(digest)
    other = WorkflowContext.attach(context.handle())
    assert other.memos.get("key") == {"value": digest, "seconds": 1.5}
    assert other.memos.get("unknown") is None
    assert other.memos.list_keys() == ["key"]
    record = context.memos.get("key")
    assert record is not None
    record["value"] = "changed"
    assert context.memos.get("key") == {"value": digest, "seconds": 1.5}
    for number in range(20):
        context.save("churn", torch.full((5000,), float(number)))
    assert torch.equal(other.values.get(digest), torch.ones(5000))
    other.memos.delete("key")
    other.memos.delete("key")
    assert not context.values.has(digest)
    with pytest.raises(KeyError, match="memo 'key' refers to values that are not in this context"):
        context.memos.put("key", {"value": digest})
    with pytest.raises(EncodingError, match="JSON values"):
        context.memos.put("key", {"value": torch.ones(1)})
    other.shutdown()


def test_memo_inside_a_failed_transaction_is_forgotten(context: WorkflowContext) -> None:
    def fail() -> None:
        with context.transaction():
            context.memos.put("key", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert context.memos.get("key") is None


def test_recipe_keeps_the_values_it_captured(context: WorkflowContext) -> None:
    digest = context.values.put(torch.ones(5000))
    recipe = {**RECIPE, "2": {"class_type": "DiscomfortContextLoader", "inputs": {"digest": digest}}}
    context.save("model", recipe, pass_by="ref")
    assert context.recipe("model") == recipe
    info = context.get_storage_info("model")
    assert info is not None
    assert info["pass_by"] == "ref"
    assert context.names.describe("model").kind == "recipe"
    assert context.values.has(digest)
    context.delete("model")
    assert not context.values.has(digest)


def test_ref_without_an_engine_says_what_to_do(context: WorkflowContext) -> None:
    context.save("model", RECIPE, pass_by="ref")
    with pytest.raises(UnresolvableRefError, match=r'rule of its type to "val" in pass_by_rules\.json'):
        context.load("model")
    context.save("number", 1)
    with pytest.raises(TypeError, match="'number' is passed by value"):
        context.recipe("number")
    with pytest.raises(TypeError, match="not a Tensor"):
        context.save("model", torch.ones(1), pass_by="ref")
    with pytest.raises(TypeError, match="made of JSON values"):
        context.save("model", {"x": torch.ones(1)}, pass_by="ref")
    assert context.recipe("model") == RECIPE


@pytest.mark.parametrize("live", [Model(), [[torch.ones(1), {"pooled_output": None}]]], ids=["model", "conditioning"])
def test_object_that_came_out_of_a_ref_is_stored_as_its_recipe(context: WorkflowContext, live: Any) -> None:
    asked: list[tuple[str, Any]] = []

    def resolver(unique_id: str, recipe: Any) -> Any:
        asked.append((unique_id, recipe))
        return live

    context.refs.set_resolver(resolver)
    context.save("model", RECIPE, pass_by="ref")
    loaded = context.load("model")
    assert loaded is live
    assert asked == [("model", RECIPE)]
    context.save("again", loaded)
    assert context.recipe("again") == RECIPE
    assert context.digest("again") == context.digest("model")


def test_origins_keep_no_model_alive(context: WorkflowContext) -> None:
    import weakref

    model = Model()
    gone = weakref.ref(model)
    context.refs.recipes.remember(model, RECIPE)
    del model
    gc.collect()
    assert gone() is None
    assert len(context.refs.recipes) == 0


def test_describe(context: WorkflowContext) -> None:
    context.save("image", torch.zeros(1, 8, 8, 3))
    context.save("latent", {"samples": torch.zeros(1, 4, 64, 64)})
    context.save("texts", ["a"])
    context.save("raw", b"x" * 5000)
    context.save("forced", 1.5, use_ram=False)
    image = context.names.describe("image")
    assert (image.kind, image.dtype, image.shape) == ("tensor", "float32", (1, 8, 8, 3))
    assert (image.type, image.pass_by, image.tier) == ("torch.float32 [1, 8, 8, 3]", "val", "ram")
    assert image.digest == context.digest("image")
    assert [context.names.describe(name).kind for name in ("latent", "texts", "raw")] == ["tree", "json", "bytes"]
    assert context.names.describe("forced").tier == "disk"
    assert context.names.describe("raw").size > 5000


def test_summary(context: WorkflowContext) -> None:
    assert context.summary().endswith("0 values, RAM 0 B of 1.1 GB, disk 0 B")
    context.save("prompt", "a lighthouse")
    context.save("image", torch.zeros(1, 64, 64, 3))
    context.save("backup", torch.ones(1, 64, 64, 3), use_ram=False)
    context.save("model", RECIPE, pass_by="ref")
    head, *table = context.summary().splitlines()
    assert head == f"WorkflowContext {context.run_id!r}: 4 values, RAM 53.4 kB of 1.1 GB, disk 49.3 kB"
    assert table == [
        "key     type                          size     tier  pass by",
        "prompt  str [12]                      15 B     ram   val",
        "image   torch.float32 [1, 64, 64, 3]  49.3 kB  ram   val",
        "backup  torch.float32 [1, 64, 64, 3]  49.3 kB  disk  val",
        "model   recipe                        88 B     ram   ref",
    ]
    assert repr(context) == context.summary()


def test_values_need_no_torch(config: Path) -> None:
    import subprocess
    import sys

    from tests.context.conftest import REPOSITORY

    source = (
        "import sys; from discomfort.context.context import WorkflowContext\n"
        f"context = WorkflowContext({str(config)!r})\n"
        "context.save('x', {'a': [1, (2.5, None)]}); context.save('y', 'text' * 5000); context.digest('y')\n"
        "assert context.load('x') == {'a': [1, (2.5, None)]} and context.load('y') == 'text' * 5000\n"
        "context.shutdown()\n"
        "print([name for name in ('torch', 'numpy', 'cloudpickle') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
