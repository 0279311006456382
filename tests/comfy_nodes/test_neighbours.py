"""Our nodes next to those of another pack that has a package `comfy_nodes`, too, as a dozen public ones do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.comfy_nodes.conftest import Start

REPOSITORY = Path(__file__).parents[2]
OURS = ["DiscomfortContextLoader", "DiscomfortContextSaver", "DiscomfortPort", "DiscomfortTestRunner"]

NEIGHBOUR = """
import sys
from pathlib import Path
sys.path.append(str(Path(__file__).parent))
from comfy_nodes import NODE_CLASS_MAPPINGS
WEB_DIRECTORY = "./web"
"""
NODES = """
class Neighbour:
    INPUT_TYPES = classmethod(lambda cls: {"required": {}})
    RETURN_TYPES, FUNCTION, CATEGORY = (), "run", "neighbour"
    def run(self):
        return ()
NODE_CLASS_MAPPINGS = {"Neighbour": Neighbour}
"""


def neighbour(folder: Path) -> Path:
    """Make another pack in `folder`, with a package `comfy_nodes` that it imports by that name."""
    (folder / "comfy_nodes").mkdir(parents=True)
    (folder / "__init__.py").write_text(NEIGHBOUR)
    (folder / "comfy_nodes" / "__init__.py").write_text(NODES)
    return folder


LOADER = """
import importlib.util, json, sys
# How ComfyUI loads a custom node: under a name made from its path.
found = {}
for path in sys.argv[1:]:
    name = path.replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, path + "/__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found.update(dict.fromkeys(module.NODE_CLASS_MAPPINGS, path))
    assert module.WEB_DIRECTORY
theirs = sys.modules["comfy_nodes"].__file__
print(json.dumps({"found": sorted(found), "theirs": theirs, "path": [p for p in sys.path if "ours" in p]}))
"""


def in_the_repository(folder: Path) -> Path:
    shutil.copytree(REPOSITORY / "discomfort", folder / "discomfort", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / "comfy_nodes", folder / "comfy_nodes", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "__init__.py", folder)
    return folder


def cloned(folder: Path) -> Path:
    return in_the_repository(folder / "discomfort")


def cloned_under_another_name(folder: Path) -> Path:
    return in_the_repository(folder / "my-nodes.v2")


def injected(folder: Path) -> Path:
    return in_the_repository(folder) / "comfy_nodes" / "inject" / "discomfort"


def injected_from_a_wheel(folder: Path) -> Path:
    """Where the wheel puts the nodes: inside the package."""
    in_the_repository(folder)
    (folder / "__init__.py").unlink()
    shutil.move(folder / "comfy_nodes", folder / "discomfort" / "comfy_nodes")
    return folder / "discomfort" / "comfy_nodes" / "inject" / "discomfort"


@pytest.mark.parametrize("we_come_first", [True, False])
@pytest.mark.parametrize("place", [cloned, cloned_under_another_name, injected, injected_from_a_wheel])
def test_both_packs_have_all_their_nodes(tmp_path: Path, place: Callable[[Path], Path], we_come_first: bool) -> None:
    ours, theirs = place(tmp_path / "ours"), neighbour(tmp_path / "theirs")
    order = [ours, theirs] if we_come_first else [theirs, ours]
    done = subprocess.run(
        [sys.executable, "-c", LOADER, *map(str, order)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["found"] == [*OURS, "Neighbour"]
    assert Path(answer["theirs"]).is_relative_to(theirs)
    assert answer["path"] == []


TESTED = """
def test_nothing():
    pass
"""


@pytest.mark.parametrize("name", ["discomfort", "my-clone", "discomfort-0.2.0", "3.12"])
def test_tests_are_collected_in_a_clone_of_any_name(tmp_path: Path, name: str) -> None:
    """pytest imports the `__init__.py` above tests, by a name that it makes from the folder's."""
    clone = in_the_repository(tmp_path / name)
    (clone / "tests").mkdir()
    (clone / "tests" / "conftest.py").write_text("import discomfort.errors\n")
    (clone / "tests" / "test_one.py").write_text(TESTED)
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-o", "pythonpath=."]
    command = [sys.executable, "-m", "pytest", *options, "tests"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=clone, check=False)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.comfyui
@pytest.mark.parametrize("how", ["cloned", "injected"])
@pytest.mark.parametrize("name", ["aaa_neighbour", "zzz_neighbour"])
def test_both_packs_have_all_their_nodes_in_a_real_comfyui(start: Start, tmp_path: Path, how: str, name: str) -> None:
    neighbour(tmp_path / "custom_nodes" / name)
    assert {*OURS, "Neighbour"} <= set(start(how).get("/object_info"))
