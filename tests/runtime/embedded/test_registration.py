"""Classes that users register, the catalog, and stamps of files."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.catalog.effects import Effect, EffectTable
from discomfort.ir.graph import Literal, Node, NodeId, Origin
from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders
from discomfort.runtime.engines.protocol import EngineError
from tests.runtime.embedded.lab import NUMBER, Lab, node_class, prompt, show

SOURCE = """
class {name}:
    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{}}}}

    def run(self):
        return ({value},)

NODE_CLASS_MAPPINGS = {{"{name}": {name}}}
"""


def write(path: Path, name: str, value: str = "'ran'") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOURCE.format(name=name, value=value))
    return path


def test_a_python_file_has_its_classes(lab: Lab, tmp_path: Path) -> None:
    assert lab.engine.register(write(tmp_path / "mine.py", "Mine")) == ("Mine",)
    assert lab.shown(prompt(m=("Mine", {}), out=show("m"))) == ["ran"]


def test_a_package_may_import_from_itself(lab: Lab, tmp_path: Path) -> None:
    write(tmp_path / "my-pack" / "parts.py", "Part")
    (tmp_path / "my-pack" / "__init__.py").write_text("from .parts import NODE_CLASS_MAPPINGS\n")
    assert lab.engine.register(tmp_path / "my-pack") == ("Part",)


def test_of_a_folder_what_can_be_imported_is_registered(
    lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "nodes" / "good.py", "Good")
    (tmp_path / "nodes" / "bad.py").write_text("import a_module_that_is_not_there\n")
    with caplog.at_level(logging.WARNING, "discomfort"):
        assert lab.engine.register(tmp_path / "nodes") == ("Good",)
    assert "bad.py cannot be imported: ModuleNotFoundError" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [("1 / 0", "ZeroDivisionError"), ("", "have no NODE_CLASS_MAPPINGS"), (None, "no custom nodes")],
)
def test_a_file_that_has_nothing_is_an_error(lab: Lab, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "x.py").write_text(content)
    with pytest.raises(EngineError, match=message):
        lab.engine.register(tmp_path / "x.py")


def test_what_is_not_a_node_class_is_refused(lab: Lab) -> None:
    with pytest.raises(EngineError, match="Thing has no INPUT_TYPES and no RETURN_TYPES and no FUNCTION"):
        lab.engine.register({"Thing": object})


def test_registered_classes_are_in_the_catalog_with_their_effect(lab: Lab) -> None:
    pure: dict[str, Any] = {"DISCOMFORT_EFFECT": "pure"}
    lab.engine.register({"Pure": node_class(lambda a: (a,), {"a": NUMBER}, returns=("INT",), **pure)})
    catalog = asyncio.run(lab.engine.catalog())
    effects = EffectTable(catalog)
    assert [spec.type for spec in catalog["Pure"].inputs] == ["INT"]
    assert [output.type for output in catalog["Pure"].outputs] == ["INT"]
    assert (effects.rule("Pure").effect, effects.rule("Add").effect) == (Effect.PURE, Effect.UNKNOWN)


def test_classes_of_the_pack_count_as_ComfyUI_s_own(lab: Lab) -> None:
    catalog = asyncio.run(lab.engine.catalog())
    assert catalog["ImageInvert"].python_module == default_catalog()["ImageInvert"].python_module
    assert EffectTable(catalog).rule("ImageInvert").effect is Effect.PURE
    assert "DiscomfortPort" in catalog
    assert "KSampler" not in catalog


def test_the_catalog_lists_the_files_that_are_there_now(lab: Lab, folders: Folders) -> None:
    before = asyncio.run(lab.engine.catalog())
    assert asyncio.run(lab.engine.catalog()) is before
    (folders.input / "new.png").write_bytes(b"x")
    image = asyncio.run(lab.engine.catalog())["LoadImage"].input("image")
    assert image is not None
    assert image.choices == ("new.png",)


def test_a_source_follows_the_content_of_the_file(lab: Lab, folders: Folders) -> None:
    node = Node(NodeId("1"), "LoadImage", {"image": Literal("a.png")}, "", Origin("main", "1"))
    effects = EffectTable(asyncio.run(lab.engine.catalog()))
    tokens = []
    for content in (b"one", b"three", b"one"):
        (folders.input / "a.png").write_bytes(content)
        tokens.append(asyncio.run(lab.engine.sources([node], effects))[node.id].token)
    assert tokens[0] == tokens[2] != tokens[1]
    assert tokens[0] is not None
