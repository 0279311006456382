"""The quickstart, as a newcomer runs it: its own process, the editor's own files, pictures equal to ComfyUI's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
from PIL import Image

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"
RECORDED = ROOT / "tests" / "golden" / "quickstart"


def test_the_pictures_are_those_of_comfyui(tmp_path: Path) -> None:
    """The recorded pictures were made by ComfyUI 0.33.0 on the same workflows and saved by its SaveImage node."""
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns("output"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DISCOMFORT_")}
    command = [sys.executable, str(folder / "quickstart.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "Items: 5" in done.stdout
    for number in range(5):
        ours = numpy.asarray(Image.open(folder / "output" / f"coffee_{number}.png"), dtype=int)
        theirs = numpy.asarray(Image.open(RECORDED / f"coffee_{number}.png"), dtype=int)
        assert ours.shape == theirs.shape
        assert numpy.abs(ours - theirs).max() <= 1


def test_the_repository_works_as_a_custom_node(tmp_path: Path) -> None:
    """Cloned to `custom_nodes/discomfort`, both names are one module, and ComfyUI finds our nodes."""
    target = tmp_path / "custom_nodes" / "discomfort"
    target.mkdir(parents=True)
    for part in ("discomfort", "comfy_nodes", "__init__.py"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / part)
    code = (
        "import sys\n"
        "sys.path = [path for path in sys.path if 'editable' not in path]\n"
        "from custom_nodes.discomfort.discomfort import Discomfort\n"
        "from custom_nodes.discomfort import NODE_CLASS_MAPPINGS\n"
        "import discomfort\n"
        "assert Discomfort is discomfort.Discomfort\n"
        "assert 'DiscomfortPort' in NODE_CLASS_MAPPINGS\n"
        "print(discomfort.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {['', *_site_packages()]!r}\n{code}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).resolve().is_relative_to(target.resolve())


def _site_packages() -> list[str]:
    """Return where the requirements are, without running the .pth file of an editable install of ourselves."""
    return [path for path in sys.path if path.endswith("site-packages")]
