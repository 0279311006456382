"""What a program sees of Discomfort before it uses anything: names, start-up, versions."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import discomfort

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "numpy", "networkx", "pydantic", "aiohttp", "PIL", "graphviz"}
HEAVY |= {"simpleeval", "safetensors", "platformdirs", "xxhash", "cloudpickle"}
COMMANDS = [[], *([name] for name in ("run", "prompt", "plan", "dot", "check", "ports", "stitch", "catalog"))]
COMMANDS += [["catalog", "pull"], ["catalog", "list"]]


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split("\n")[-2].split())


def test_import_discomfort_imports_nothing_heavy() -> None:
    assert not modules_after("import discomfort").intersection(HEAVY)


def test_a_compilation_without_settings_files_needs_no_pydantic() -> None:
    code = "import discomfort; discomfort.compile(['examples/quickstart/load_vae.json'])"
    assert not modules_after(code).intersection(("pydantic", "networkx", "torch"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['discomfort-graph', *{command!r}, '--help']\n"
        "from discomfort.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 0, stop.code"
    )
    assert not modules_after(code).intersection(HEAVY)


def test_every_public_name_resolves() -> None:
    for name in discomfort.__all__:
        assert getattr(discomfort, name) is not None, name
    assert set(dir(discomfort)) == set(discomfort.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        _ = discomfort.compil


def test_the_version_is_that_of_the_distribution() -> None:
    assert version("discomfort") == discomfort.__version__
