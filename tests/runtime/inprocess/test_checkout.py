"""What is reported where a checkout cannot be imported, and whose turn it is where it can."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.inprocess import InProcessEngine, checkout
from discomfort.runtime.engines.inprocess.checkout import CheckoutLock
from discomfort.runtime.engines.protocol import EngineError, PromptRejected, PromptRequest
from tests.runtime.behaviour.conftest import NODES
from tests.runtime.behaviour.standin import make_standin


async def test_folder_without_comfyui_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is not a ComfyUI checkout"):
        await InProcessEngine(tmp_path).start()


async def test_module_names_that_others_took_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nodes.py").touch()
    (tmp_path / "comfy").mkdir()
    other = ModuleType("nodes")
    other.__file__ = str(tmp_path.parent / "elsewhere" / "nodes.py")
    monkeypatch.setitem(sys.modules, "nodes", other)
    with pytest.raises(EngineError, match=r"a module named 'nodes' is already imported.*engine='comfyui:"):
        await InProcessEngine(tmp_path).start()


async def test_missing_requirements_are_reported_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nodes.py").touch()
    package = tmp_path / "comfy"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "options.py").write_text("import a_package_nobody_has\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "nodes", raising=False)  # this repository, cloned into a folder called so
    try:
        with pytest.raises(EngineError, match=r"a_package_nobody_has.*pip install -r"):
            await InProcessEngine(tmp_path).start()
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "comfy"]:
            del sys.modules[name]


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout that this process has not imported; what is imported of it is forgotten at the end."""
    path = make_standin(tmp_path / "ComfyUI")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(checkout, "_loaded", None)
    monkeypatch.delitem(sys.modules, "nodes", raising=False)
    before = set(sys.modules)
    yield path
    checkout._forget(path, before)


async def test_a_start_that_failed_may_be_tried_again_and_begins_again(standin: Path) -> None:
    nodes = standin / "custom_nodes" / "leaves.py"
    nodes.write_text("import sys\nsys.exit(3)\n", encoding="utf-8")
    engine = InProcessEngine(standin, [])
    for _ in range(2):
        with pytest.raises(EngineError, match=r"refused to start .*exit code 3, from .*leaves\.py"):
            await engine.start()
    nodes.write_text("NODE_CLASS_MAPPINGS = {}\n", encoding="utf-8")
    shutil.copy(NODES, nodes.parent)
    assert "BehaviourAdd" in await engine.catalog()
    await engine.close()


async def test_a_class_that_the_checkout_lacks_is_reported_with_what_to_do_there(standin: Path) -> None:
    engine = InProcessEngine(standin, [])
    with WorkflowContext(max_ram_gb=0.01) as context, pytest.raises(PromptRejected) as caught:
        await engine.run(PromptRequest({"1": {"class_type": "Unknown", "inputs": {}}}, {}, context))
    assert f"the ComfyUI at {standin} does not have Unknown" in str(caught.value)
    assert "install the custom node" in str(caught.value)
    await engine.close()


def test_prompts_take_turns_and_only_the_running_one_is_interrupted() -> None:
    turns, flags, order = CheckoutLock(), [False], []
    management = SimpleNamespace(interrupt_current_processing=lambda value: flags.__setitem__(0, value))
    first_runs, first_may_end = threading.Event(), threading.Event()

    def run(ticket: str) -> None:
        with turns.taken(ticket, management):
            order.append(f"{ticket} begins")
            first_runs.set()
            first_may_end.wait(10)
            order.append(f"{ticket} ends")

    first = threading.Thread(target=run, args=("first",))
    second = threading.Thread(target=run, args=("second",))
    first.start()
    first_runs.wait(10)
    second.start()
    turns.interrupt("second", management)
    assert flags == [False]
    turns.interrupt("first", management)
    assert flags == [True]
    first_may_end.set()
    first.join(10)
    second.join(10)
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert flags == [False]
