"""DiscomfortTestRunner as ComfyUI calls it; small stand-ins take ComfyUI's part."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from discomfort_nodes.nodes.test_runner import DiscomfortTestRunner, PortInputs
from discomfort_nodes.routes.editor import ports, workflows
from discomfort_nodes.routes.guard import Refused

PORTS = {
    "1": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "photo", "tags": ""}},
    "2": {"class_type": "Invert", "inputs": {"image": ["1", 0], "strength": "0.5"}},
    "3": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "negative", "tags": "", "input": ["2", 0]}},
}


class Invert:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "strength": ("FLOAT", {"default": 1.0})}}


class Prompt:
    """A dynamic prompt in which no node was expanded from another."""

    def get_parent_node_id(self, node_id: str) -> None:
        return None


@pytest.fixture(autouse=True)
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ComfyUI with one class of its own and one saved workflow; answers with the workflow's file."""
    folder = tmp_path / "user" / "default" / "workflows"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "input").mkdir()
    paths = SimpleNamespace(
        get_user_directory=lambda: str(tmp_path / "user"), get_input_directory=lambda: str(tmp_path / "input")
    )
    classes = {"Invert": Invert, "DiscomfortPort": PortClass, "DiscomfortTestRunner": DiscomfortTestRunner}
    monkeypatch.setitem(sys.modules, "folder_paths", paths)
    monkeypatch.setitem(sys.modules, "nodes", SimpleNamespace(NODE_CLASS_MAPPINGS=classes))
    path = folder / "deep" / "invert.json"
    path.write_text(json.dumps(PORTS), encoding="utf-8")
    return path


class PortClass:
    RETURN_TYPES = ("*",)
    FUNCTION = "forward"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        text = ("STRING", {"default": ""})
        return {"required": {"unique_id": text, "tags": text}, "optional": {"input": ("*",)}}


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "discomfort.compiler.subworkflow", None)


def validated(**given: Any) -> bool | str:
    types = {name: "IMAGE" for name in given}
    return DiscomfortTestRunner.VALIDATE_INPUTS("deep/invert.json", types, **given)


def test_it_expands_to_the_workflow_with_stable_ids_and_converted_literals() -> None:
    runner = DiscomfortTestRunner()
    expanded = runner.expand("deep/invert.json", "9", Prompt(), photo=["4", 1])
    assert expanded == {
        "result": (["9.invert/2", 0],),
        "expand": {
            "9.invert/2": {
                "class_type": "Invert",
                "inputs": {"image": ["4", 1], "strength": 0.5},
                "_meta": {"title": "Invert"},
            }
        },
    }
    assert runner.expand("deep/invert", "9", Prompt(), photo=["4", 1]) == expanded


def test_the_content_of_the_file_decides_whether_it_changed(saved: Path) -> None:
    before = DiscomfortTestRunner.IS_CHANGED("deep/invert.json")
    assert before == DiscomfortTestRunner.IS_CHANGED("deep/invert")
    saved.write_text(json.dumps({**PORTS, "4": PORTS["2"]}), encoding="utf-8")
    assert before != DiscomfortTestRunner.IS_CHANGED("deep/invert.json")


@pytest.mark.parametrize("protocol", ["V1", "V3"])
def test_what_its_nodes_say_decides_whether_it_changed(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    asked: list[dict[str, Any]] = []

    def stamp(**inputs: Any) -> Any:
        asked.append(inputs)
        return stamps.pop(0)

    if protocol == "V1":
        monkeypatch.setattr(Invert, "IS_CHANGED", staticmethod(stamp), raising=False)
    else:
        monkeypatch.setattr(Invert, "GET_NODE_INFO_V1", staticmethod(object_info), raising=False)
        internal = SimpleNamespace(first_real_override=lambda kind, name: stamp if kind is Invert else None)
        monkeypatch.setitem(sys.modules, "comfy_api.internal", internal)
    stamps: list[Any] = [1, 1, 2, [2, "a"], math.nan, object()]
    answers = [DiscomfortTestRunner.IS_CHANGED("deep/invert.json", photo=["4", 1]) for _ in range(6)]
    assert answers[0] == answers[1]
    assert len(set(answers[:4])) == 3
    assert all(isinstance(answer, float) and math.isnan(answer) for answer in answers[4:])
    assert asked == [{"image": None, "strength": 0.5}] * 6


def object_info() -> dict[str, Any]:
    return {"input": Invert.INPUT_TYPES(), "output": ["IMAGE"], "output_name": ["IMAGE"], "output_is_list": [False]}


class VAELoader:
    __module__ = "nodes"
    RETURN_TYPES = ("VAE",)
    FUNCTION = "run"

    def __init__(self) -> None:
        self.loaded = None

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"vae_name": (["a.safetensors"],)}}


@pytest.fixture
def model(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that the saved workflow loads."""
    monkeypatch.setenv("DISCOMFORT_CACHE_DIR", str(tmp_path / "cache"))
    paths: Any = sys.modules["folder_paths"]
    paths.folder_names_and_paths = {"vae": ([str(tmp_path / "vae")], {".safetensors"})}
    monkeypatch.setitem(sys.modules["nodes"].NODE_CLASS_MAPPINGS, "VAELoader", VAELoader)
    loads = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "a.safetensors"}}}
    out = {"2": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "vae", "tags": "", "input": ["1", 0]}}}
    saved.write_text(json.dumps(loads | out), encoding="utf-8")
    file = tmp_path / "vae" / "a.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"first")
    return file


def test_the_content_of_a_model_decides_whether_it_changed(model: Path) -> None:
    """ComfyUI's cache knows a model by its name, so what is in it is part of the expanded graph, too."""

    def look() -> tuple[Any, Any, Any]:
        made = DiscomfortTestRunner().expand("deep/invert", "9", Prompt())
        ((node_id, body),) = made["expand"].items()
        assert made["result"] == ([node_id, 0],)
        return DiscomfortTestRunner.IS_CHANGED("deep/invert"), node_id, body["inputs"]["discomfort_files"]

    first = look()
    assert look() == first
    model.write_bytes(b"other")
    assert all(new != old for new, old in zip(look(), first, strict=True))
    model.unlink()
    missing = DiscomfortTestRunner.IS_CHANGED("deep/invert")
    model.write_bytes(b"first")
    assert look() == first
    assert missing != first[0]


def test_it_is_refused_before_anything_runs_where_a_port_lacks_something() -> None:
    assert validated(photo=["4", 1]) is True
    assert "needs 'photo' (IMAGE): connect it" in str(validated())
    assert "has no INPUT port 'foto'" in str(validated(photo=["4", 1], foto=["4", 1]))


@pytest.mark.usefixtures("no_compiler")
def test_without_the_compiler_it_says_so() -> None:
    sentence = "DiscomfortTestRunner needs Discomfort's compiler, which cannot be imported here"
    assert sentence in str(validated(photo=["4", 1]))
    with pytest.raises(RuntimeError, match=sentence):
        DiscomfortTestRunner().expand("deep/invert.json", "9", Prompt(), photo=["4", 1])


def test_inputs_of_prompts_are_walked_through_but_not_listed() -> None:
    message = {"prompt": {"9": {"class_type": "DiscomfortTestRunner", "inputs": {"workflow": "x", "photo": ["4", 1]}}}}
    assert PortInputs.remember(message) is message
    optional = DiscomfortTestRunner.INPUT_TYPES()["optional"]
    assert set(optional) >= {"photo"}
    assert "workflow" not in set(optional)
    assert "anything" in optional
    assert optional["anything"][1] == {"rawLink": True, "lazy": True}
    assert json.dumps(optional) == "{}"
    assert list(optional.keys()) == []


async def test_the_editor_gets_the_workflows_and_their_ports() -> None:
    assert await workflows(asked()) == ["deep/invert.json"]
    assert await ports(asked(workflow="deep/invert.json")) == {
        "inputs": [{"name": "photo", "type": "IMAGE", "required": True}],
        "outputs": [{"name": "negative", "type": "IMAGE"}],
    }
    with pytest.raises(Refused, match="there is no workflow 'none'") as refused:
        await ports(asked(workflow="none"))
    assert refused.value.status == 422


ESCAPES = [
    "{outside}/secret.json",
    "../../../secret.json",
    "../../../secret",
    "deep/../../../../secret.json",
    "..\\..\\..\\secret.json",
    "deep/..\\../../../../secret.json",
    "link.json",
    "link",
    "linked/secret.json",
    "circle.json",
    "~/secret.json",
    "~root/secret.json",
    "C:\\secret.json",
    "c:secret.json",
    "\\\\host\\share\\secret.json",
    "//host/share/secret.json",
    "/etc/passwd",
    "secret.json\x00.json",
    "secret.txt",
    "deep",
    ".",
    "..",
    "...",
    "\ud800",
    "x" * 5000,
    "x/" * 5000,
]


@pytest.mark.parametrize("name", ESCAPES)
async def test_a_name_leads_to_nothing_outside_of_the_servers_folders(saved: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(saved.read_bytes())
    folder = saved.parents[1]
    (folder / "link.json").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "circle.json").symlink_to(folder / "circle.json")
    name = name.format(outside=tmp_path)
    with pytest.raises(Refused) as refused:
        await ports(asked(workflow=name))
    assert refused.value.status == 422
    sentence = str(DiscomfortTestRunner.VALIDATE_INPUTS(name, {}))
    with pytest.raises(RuntimeError) as caught:
        DiscomfortTestRunner().expand(name, "9", Prompt())
    with pytest.raises(ValueError, match="workflow"):
        DiscomfortTestRunner.IS_CHANGED(name)
    listed: Any = await workflows(asked())
    assert listed == ["deep/invert.json"]
    for said in (str(refused.value), sentence, str(caught.value)):
        assert str(tmp_path) not in said.replace(name, "").replace(repr(name), "")
        assert "workflow" in said
        assert "needs 'photo'" not in said


@pytest.mark.parametrize("name", ["{outside}/secret.json", "{outside}/none.json", "/etc/passwd", "/etc/none"])
def test_the_error_of_a_file_elsewhere_does_not_reveal_whether_it_exists(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.json").write_text("{}")
    name = name.format(outside=tmp_path)
    sentence = str(DiscomfortTestRunner.VALIDATE_INPUTS(name, {}))
    assert sentence == (
        f"DiscomfortTestRunner: {name!r} is not a name below the saved workflows or the input folder, "
        "where workflows must lie"
    )


def test_a_name_may_look_odd(saved: Path, tmp_path: Path) -> None:
    for name in ("~tilde.json", "..dots.json", "ünïcode.json", "spaces and 'quotes'.json", "a..b/c.json"):
        path = tmp_path / "input" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(saved.read_bytes())
        assert "needs 'photo'" in str(DiscomfortTestRunner.VALIDATE_INPUTS(name, {}))


def asked(**query: str) -> Any:
    return SimpleNamespace(request=SimpleNamespace(query=query))
