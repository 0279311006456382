"""Other code is another text, whatever part of it is other; the same code is the same text, in every process."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from discomfort.runtime.engines.embedded.classes.class_code import class_code, registration

BASE = """
import functools, math
FACTOR = 2
NAMES = ["a"]
TABLE = {"a": 1}
def helper(x, by=1): return x + by
class Other:
    value = 1
    def go(self): return 1
class Base:
    def shared(self): return 1
def made(number):
    def run(self): return number
    return run
class Node(Base):
    LIMIT = 5
    def run(self, a, b=1, *, c=2):
        inner = lambda x: x + 7
        return inner(a) * FACTOR + helper(a) + len(NAMES) + TABLE["a"] + Other().go() + math.pi
    closed = made(3)
    @classmethod
    def build(cls): return 1
    @staticmethod
    def still(): return 1
    @property
    def size(self): return 1
    bound = functools.partial(helper, 1)
    def calls_itself(self): return self.calls_itself() + Node.LIMIT
"""


def node_of(source: str, name: str = "user_nodes") -> type:
    module = types.ModuleType(name)
    exec(compile(source, "<cell>", "exec", dont_inherit=True), module.__dict__)
    made: type = module.Node
    return made


CHANGES = [
    ("FACTOR = 2", "FACTOR = 3"),
    ("FACTOR = 2", "FACTOR = 2.0"),
    ("FACTOR = 2", "FACTOR = True + 1 > 1"),
    ('NAMES = ["a"]', 'NAMES = ["b"]'),
    ('{"a": 1}', '{"a": 2}'),
    ("by=1): return x + by", "by=2): return x + by"),
    ("return x + by", "return x - by"),
    ("value = 1", "value = 2"),
    ("def go(self): return 1", "def go(self): return 2"),
    ("def shared(self): return 1", "def shared(self): return 2"),
    ("LIMIT = 5", "LIMIT = 6"),
    ("b=1, *, c=2", "b=2, *, c=2"),
    ("b=1, *, c=2", "b=1, *, c=3"),
    ("x + 7", "x + 8"),
    ("math.pi", "math.e"),
    ("made(3)", "made(4)"),
    ("return number", "return -number"),
    ("def build(cls): return 1", "def build(cls): return 2"),
    ("def still(): return 1", "def still(): return 2"),
    ("def size(self): return 1", "def size(self): return 2"),
    ("partial(helper, 1)", "partial(helper, 2)"),
    ("@staticmethod\n", "@classmethod\n"),
    ("class Node(Base)", "class Node"),
    ("    LIMIT = 5", "    LIMIT = 5\n    MORE = 1"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_other_code_is_another_text(old: str, new: str) -> None:
    assert old in BASE
    assert class_code(node_of(BASE)) != class_code(node_of(BASE.replace(old, new)))


def test_the_same_code_is_the_same_text() -> None:
    assert class_code(node_of(BASE)) == class_code(node_of(BASE)) == class_code(node_of("\n\n# moved\n" + BASE))
    assert class_code(node_of(BASE)) != class_code(node_of(BASE, "another_module"))


def test_it_is_the_same_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "user_nodes.py").write_text(BASE)
    program = (
        "import user_nodes; from discomfort.runtime.engines.embedded.classes.class_code import class_code\n"
        "print(class_code(user_nodes.Node))"
    )
    path = f"{tmp_path}:{Path(__file__).parents[3]}"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": path, "PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("0", "1")
    }
    assert texts == {class_code(node_of(BASE)) + "\n"}


def changed_in_place(change: Callable[[Any, dict[str, Any]], None]) -> bool:
    """Say whether a change of a class that stays the same object is seen, and then stays seen."""
    node = node_of(BASE)
    names = node.run.__globals__  # type: ignore[attr-defined]
    before = class_code(node)
    assert class_code(node) == before
    change(node, names)
    after = class_code(node)
    assert class_code(node) == after
    return after != before


def replace_code(node: Any, names: dict[str, Any]) -> None:
    """As IPython's autoreload does."""
    node.run.__code__ = node_of(BASE.replace("x + 7", "x + 8")).run.__code__  # type: ignore[attr-defined]


IN_PLACE: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "code": replace_code,
    "defaults": lambda node, names: setattr(node.run, "__defaults__", (9,)),
    "keyword defaults": lambda node, names: setattr(node.run, "__kwdefaults__", {"c": 9}),
    "attribute": lambda node, names: setattr(node, "LIMIT", 7),
    "new attribute": lambda node, names: setattr(node, "MORE", 7),
    "removed attribute": lambda node, names: delattr(node, "LIMIT"),
    "base": lambda node, names: setattr(node.__mro__[1], "shared", lambda self: 9),
    "global": lambda node, names: names.update(FACTOR=9),
    "helper": lambda node, names: names.update(helper=lambda x, by=1: x * by),
    "list": lambda node, names: names.update(NAMES=["b"]),
    "dict": lambda node, names: names.update(TABLE={"a": 9}),
    "class that it uses": lambda node, names: setattr(names["Other"], "value", 9),
    "name of a builtin": lambda node, names: names.update(len=lambda x: 1),
    "cell": lambda node, names: setattr(node.closed.__closure__[0], "cell_contents", 9),
}


@pytest.mark.parametrize("change", IN_PLACE)
def test_a_change_in_place_is_seen(change: str) -> None:
    assert changed_in_place(IN_PLACE[change])


def test_what_has_no_part_in_it_changes_nothing() -> None:
    assert not changed_in_place(lambda node, names: names.update(SOMETHING=9))


STATEFUL = """
COUNT, KEPT, MODEL = 0, {}, None
def made():
    inner = 0
    def run(self):
        nonlocal inner
        inner += 1
    return run
class Node:
    calls, last = 0, None
    seen = []
    def run(self, a):
        global COUNT, MODEL
        COUNT += 1
        MODEL = MODEL or object()
        KEPT[a] = MODEL
        Node.calls += 1
        self.last = a
        type(self).last = a
        Node.found_later = a
        Node.seen.append(a)
        self.closed()
    closed = made()
"""


def test_what_code_keeps_while_it_runs_is_not_a_code() -> None:
    """A counter, a cache, a model that is loaded when it is first needed: else nothing would ever be known again."""
    node = node_of(STATEFUL)
    before = class_code(node)
    for number in range(3):
        node().run(number)
        assert class_code(node) == before
    assert class_code(node_of(STATEFUL)) == before
    assert class_code(node_of(STATEFUL.replace("calls, last = 0", "calls, last = 1"))) != before


def test_a_module_of_the_user_s_counts_by_what_is_used_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    helpers = tmp_path / "users_helpers.py"
    helpers.write_text("def used(x):\n    return x\ndef unused(x):\n    return x\n")
    node = node_of("import users_helpers\nclass Node:\n    def run(self, a): return users_helpers.used(a)\n")
    texts = [class_code(node)]
    for content in (
        "def used(x):\n    return x\n\ndef unused(x):\n    return -x\n",
        "def used(x):\n    return -x  #\n",
    ):
        helpers.write_text(content)
        importlib.invalidate_caches()
        importlib.reload(sys.modules["users_helpers"])
        texts.append(class_code(node))
    del sys.modules["users_helpers"]
    assert texts[0] == texts[1] != texts[2]


def test_an_object_counts_as_itself() -> None:
    source = "class Node:\n    def run(self): return HELD\n"
    texts = set()
    for held in (torch.zeros(2), torch.zeros(2), object(), functools.cached_property(len)):
        node = node_of(source)
        node.run.__globals__["HELD"] = held  # type: ignore[attr-defined]
        texts |= {class_code(node), class_code(node)}
    assert len(texts) == 4


def test_libraries_are_not_read() -> None:
    node = node_of("import torch\nclass Node:\n    def run(self, a): return torch.nn.functional.interpolate(a)\n")
    other = node_of(
        "from torch.nn.functional import interpolate\nclass Node:\n    def run(self, a): return interpolate(a)\n"
    )
    assert class_code(node) != class_code(other)
    assert class_code(node) == class_code(node)


def test_code_that_names_itself_in_circles_comes_to_an_end() -> None:
    lines = [f"def f{number}(x): return f{(number + 1) % 500}(x)\n" for number in range(500)]
    source = "".join(lines) + textwrap.dedent(
        """
        class Node:
            def run(self): return f0(1)
        Node.itself = [Node, {}]
        Node.itself[1]["again"] = Node.itself
        """
    )
    assert class_code(node_of(source)) == class_code(node_of(source))
    assert class_code(node_of(source)) != class_code(node_of(source.replace("return f400(x)", "return -f400(x)")))


def test_a_registration_is_that_of_one_class_only() -> None:
    one, other = node_of(BASE), node_of(BASE)
    assert registration(one) == registration(one) != registration(other)
