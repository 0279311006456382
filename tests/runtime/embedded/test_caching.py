"""What is run again, and what is not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.embedded.prompt_nodes.cache import NodeResult, ResultCache
from discomfort.runtime.engines.embedded.prompt_nodes.result_sizes import pieces_of
from discomfort.runtime.engines.protocol import NodeFailed
from tests.runtime.embedded.lab import ANYTHING, NUMBER, Lab, Prompt, node_class, prompt, show


def sum_of(a: int, b: Any = 1) -> Prompt:
    return prompt(x=("Number", {"value": a}), y=("Add", {"a": ["x", 0], "b": b}), out=show("y"))


def test_an_unchanged_prompt_runs_nothing_and_answers_the_same(lab: Lab) -> None:
    first = lab.run(sum_of(1))
    again = lab.run(sum_of(1))
    assert lab.calls == ["Number", "Add", "Show"]
    assert again.ui == first.ui
    assert (set(first.executed), set(again.cached), again.executed) == ({"x", "y", "out"}, {"x", "y", "out"}, ())


def test_only_what_follows_a_change_runs_again(lab: Lab) -> None:
    lab.run(sum_of(1))
    result = lab.run(sum_of(1, 2))
    assert (result.executed, result.cached) == (("y", "out"), ("x",))


def test_ids_take_no_part(lab: Lab) -> None:
    lab.run(sum_of(1))
    lab.run(prompt(other=("Number", {"value": 1}), out=show("other")))
    assert lab.calls.count("Number") == 1


def test_equal_nodes_of_one_prompt_run_once(lab: Lab) -> None:
    nodes = prompt(
        x=("Number", {"value": 1}), z=("Number", {"value": 1}), y=("Add", {"a": ["x", 0], "b": ["z", 0]}), out=show("y")
    )
    assert lab.shown(nodes) == [2]
    assert lab.calls.count("Number") == 1


@pytest.mark.parametrize("values", [(1, 1.0), (1, True), (1, "1"), (0.0, -0.0), ({"a": 1}, {"a": 1.0})])
def test_equal_values_of_different_types_are_different(lab: Lab, values: tuple[Any, Any]) -> None:
    shown = [lab.shown(prompt(out=("Show", {"value": value}))) for value in values]
    assert [repr(value) for (value,) in shown] == [repr(value) for value in values]


def test_alternating_prompts_keep_their_results(lab: Lab) -> None:
    for _ in range(3):
        lab.run(sum_of(1))
        lab.run(sum_of(2))
    assert lab.calls.count("Add") == 2


def test_equal_IS_CHANGED_answers_keep_the_result(lab: Lab) -> None:
    lab.add("Stable", lambda a: (a,), {"a": NUMBER}, IS_CHANGED=lambda a: "same")
    nodes = prompt(s=("Stable", {"a": 1}), out=show("s"))
    lab.run(nodes)
    lab.run(nodes)
    assert lab.calls.count("Stable") == 1


def test_a_changed_IS_CHANGED_answer_runs_the_node_and_what_follows(lab: Lab) -> None:
    answers = iter("aab")
    lab.add("File", lambda a: (len(lab.calls),), {"a": NUMBER}, IS_CHANGED=lambda a: next(answers))
    for _ in range(3):
        lab.run(prompt(f=("File", {"a": 1}), out=show("f")))
    assert lab.calls == ["File", "Show", "File", "Show"]


def test_IS_CHANGED_of_NaN_runs_the_node_each_time(lab: Lab) -> None:
    lab.add("Always", lambda a: (a,), {"a": NUMBER}, IS_CHANGED=lambda a: float("nan"))
    for _ in range(2):
        lab.run(prompt(s=("Always", {"a": 1}), out=show("s")))
    assert lab.calls == ["Always", "Show", "Always", "Show"]


def test_IS_CHANGED_may_be_asynchronous(lab: Lab) -> None:
    async def same(a: int) -> str:
        return "same"

    lab.add("Stable", lambda a: (a,), {"a": NUMBER}, IS_CHANGED=same)
    for _ in range(2):
        lab.run(prompt(s=("Stable", {"a": 1}), out=show("s")))
    assert lab.calls.count("Stable") == 1


def test_IS_CHANGED_sees_literals_and_None_for_links(lab: Lab) -> None:
    lab.add("Look", lambda a, b: (a,), {"a": NUMBER, "b": NUMBER}, IS_CHANGED=lambda a, b: lab.seen.append((a, b)))
    lab.run(prompt(x=("Number", {"value": 1}), s=("Look", {"a": ["x", 0], "b": 5}), out=show("s")))
    assert lab.seen == [(None, 5)]


def test_IS_CHANGED_that_raises_counts_as_changed(lab: Lab) -> None:
    def broken(a: int) -> str:
        raise OSError("gone")

    lab.add("Broken", lambda a: (a,), {"a": NUMBER}, IS_CHANGED=broken)
    for _ in range(2):
        lab.run(prompt(s=("Broken", {"a": 1}), out=show("s")))
    assert lab.calls.count("Broken") == 2


def test_NOT_IDEMPOTENT_results_belong_to_one_node(lab: Lab) -> None:
    lab.add("Mine", lambda a: (a,), {"a": NUMBER}, NOT_IDEMPOTENT=True)
    nodes = prompt(m=("Mine", {"a": 1}), n=("Mine", {"a": 1}), y=("Add", {"a": ["m", 0], "b": ["n", 0]}), out=show("y"))
    lab.run(nodes)
    lab.run(nodes)
    assert lab.calls.count("Mine") == 2


def test_what_finished_before_a_failure_is_kept(lab: Lab) -> None:
    def fail(value: Any) -> tuple[Any]:
        raise ValueError("no")

    lab.add("Fail", fail, {"value": ANYTHING})
    for _ in range(2):
        with pytest.raises(NodeFailed):
            lab.run(prompt(x=("Number", {"value": 1}), f=("Fail", {"value": ["x", 0]}), out=show("f")))
    assert lab.calls.count("Number") == 1
    assert lab.calls.count("Fail") == 2


def test_registering_a_class_again_forgets_its_results(lab: Lab) -> None:
    nodes = prompt(c=("Constant", {}), out=show("c"))
    lab.engine.register({"Constant": node_class(lambda: (1,))})
    assert lab.shown(nodes) == [1]
    lab.engine.register({"Constant": node_class(lambda: (2,))})
    assert lab.shown(nodes) == [2]


def test_closing_lets_results_go_and_the_engine_can_be_used_again(lab: Lab) -> None:
    import asyncio

    lab.run(sum_of(1))
    asyncio.run(lab.engine.close())
    asyncio.run(lab.engine.close())
    lab.run(sum_of(1))
    assert lab.calls.count("Number") == 2


def result_of(size: int) -> NodeResult:
    return NodeResult([[np.zeros(size, np.uint8)]])


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = ResultCache(max_entries=2)
    for key in ("a", "b"):
        cache.put(key, result_of(1))
    cache.get("a")
    cache.put("c", result_of(1))
    assert [key for key in "abc" if cache.get(key)] == ["a", "c"]


def test_the_cache_holds_no_more_bytes_of_tensors_than_allowed() -> None:
    cache = ResultCache(max_bytes=100)
    for key in "abc":
        cache.put(key, result_of(40))
    cache.put("c", result_of(50))
    assert [key for key in "abc" if cache.get(key)] == ["b", "c"]


class Model:
    """A live object: weights in parts of parts, as a ModelPatcher has them, and what was patched onto them."""

    def __init__(self, weights: torch.nn.Module, *patches: torch.Tensor) -> None:
        self.model = weights
        self.patches = {"layer": [("diff", patches)]}
        self.me = self


def weights(size: int) -> torch.nn.Module:
    inner = torch.nn.Sequential(torch.nn.Linear(size, 1, bias=False))
    return torch.nn.ModuleDict({"inner": inner})


SIZES: dict[str, tuple[Callable[[], list[Any]], int]] = {
    "atoms": (lambda: [1, 2.5, "short", None, True, b"short"], 0),
    "text": (lambda: ["x" * 5000], 5000),
    "tensor": (lambda: [torch.zeros(100)], 400),
    "latent": (lambda: [{"samples": torch.zeros(100), "noise_mask": torch.zeros(50)}], 600),
    "conditioning": (lambda: [[[torch.zeros(100), {"pooled_output": torch.zeros(10)}]]], 440),
    "tuple and set": (lambda: [(np.zeros(7, np.uint8), [{"a": torch.zeros(2)}]), {"x" * 300}], 315),
    "view of a part": (lambda: [torch.zeros(100)[:1], np.zeros(100, np.uint8)[:1][:1]], 500),
    "two views of one": (lambda: list(torch.zeros(2, 100)), 800),
    "sparse": (lambda: [torch.diag(torch.arange(2.0)).to_sparse()], 20),
    "sparse rows": (lambda: [torch.sparse_csr_tensor([0, 0, 1], [1], [1.0], (2, 2))], 36),
    "meta": (lambda: [torch.zeros(100, device="meta")], 0),
    "model": (lambda: [Model(weights(100), torch.zeros(5))], 420),
    "list that contains itself": (lambda: [_circle()], 400),
}


def _circle() -> list[Any]:
    circle: list[Any] = [torch.zeros(100)]
    circle.append(circle)
    return circle


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(("make", "size"), SIZES.values(), ids=SIZES)
def test_the_cache_counts_all_memory_of_a_result_once(make: Callable[[], list[Any]], size: int) -> None:
    cache = ResultCache(max_bytes=1 << 30)
    values = make()
    cache.put("a", NodeResult([values]))
    assert cache.nbytes == size
    cache.put("b", NodeResult([[values]]))
    cache.put("a", NodeResult([values, values]))
    assert cache.nbytes == size
    cache.drop("a")
    assert cache.nbytes == size
    cache.drop("b")
    cache.drop("b")
    assert cache.nbytes == 0


def test_memory_that_results_share_goes_with_the_last_of_them() -> None:
    cache = ResultCache(max_bytes=1000)
    batch = torch.zeros(2, 100)
    for key, image in zip("ab", batch, strict=True):
        cache.put(key, NodeResult([[image]]))
    cache.put("c", NodeResult([[torch.zeros(100)]]))
    assert [key for key in "abc" if cache.get(key)] == ["c"]
    assert cache.nbytes == 400


def test_a_result_larger_than_the_bound_is_not_kept() -> None:
    cache = ResultCache(max_bytes=100)
    cache.put("a", result_of(40))
    cache.put("large", result_of(101))
    assert cache.get("large") is None


def test_live_objects_have_a_bound_of_their_own_and_stay_while_their_prompt_runs() -> None:
    cache = ResultCache(max_bytes=1000)
    cache.begin_prompt()
    cache.put("text", NodeResult([[torch.zeros(200)]]))
    cache.put("a", NodeResult([[Model(weights(200))]]))
    cache.begin_prompt()
    cache.put("b", NodeResult([[Model(weights(400))]]))  # more than the bound by itself
    cache.put("patched", NodeResult([[Model(weights(10))]]))
    assert [key for key in ("text", "a", "b", "patched") if cache.get(key)] == ["text", "b", "patched"]
    cache.begin_prompt()
    assert cache.get("b") is not None
    cache.put("more", NodeResult([[Model(weights(10))]]))
    assert [key for key in ("text", "b", "patched", "more") if cache.get(key)] == ["text", "b", "more"]
    cache.begin_prompt()
    cache.put("c", NodeResult([[Model(weights(400))]]))
    assert [key for key in ("text", "b", "more", "c") if cache.get(key)] == ["text", "c"]


def test_a_quarter_of_free_RAM_is_the_bound_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discomfort.runtime.engines.embedded.prompt_nodes.cache.available_ram", lambda: 400)
    cache = ResultCache()
    for key in "abc":
        cache.put(key, result_of(40))
    assert [key for key in "abc" if cache.get(key)] == ["b", "c"]
    engine = EmbeddedEngine(max_cache_gb=1 / (1 << 23))
    for key in "abcd":
        engine._cache.put(key, result_of(40))
    assert [key for key in "abcd" if engine._cache.get(key)] == ["b", "c", "d"]


def test_a_node_that_gives_a_sparse_tensor_runs(lab: Lab) -> None:
    lab.add("Sparse", lambda a: (torch.eye(3).to_sparse(),), {"a": NUMBER})
    nodes = prompt(s=("Sparse", {"a": 1}), t=("Dense", {"a": ["s", 0]}), out=show("t"))
    lab.add("Dense", lambda a: (float(a.to_dense().sum()),), {"a": ANYTHING})
    assert lab.shown(nodes) == [3.0]
    assert lab.shown(nodes) == [3.0]
    assert lab.calls.count("Sparse") == 1


def test_IS_CHANGED_that_lacks_an_input_counts_as_changed(lab: Lab) -> None:
    lab.add("Partial", lambda a, b: (a,), {"a": NUMBER, "b": NUMBER}, IS_CHANGED=lambda a: "same")
    nodes = prompt(p=("Partial", {"a": 1, "b": 2}), out=show("p"))
    lab.run(nodes)
    lab.run(nodes)
    assert lab.calls == ["Partial", "Show"] * 2


@pytest.mark.parametrize("kind", ["to_sparse", "to_sparse_csr", "to_mkldnn"])
def test_tensors_without_a_plain_storage_are_kept_and_counted(lab: Lab, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR")
        value = getattr(torch.eye(8), kind)()
    lab.add("Odd", lambda: ({"samples": value}, value), returns=("LATENT", "*"))
    nodes = prompt(o=("Odd", {}), out=show("o", 1))
    for _ in range(2):
        assert lab.shown(nodes)[0] is value
    assert lab.calls == ["Odd", "Show"]
    assert sum(piece.nbytes for piece in pieces_of([[value]])) > 0
