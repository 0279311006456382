"""What a program sees of Discomfort before it uses anything: names, start-up, versions."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import discomfort

HEAVY = ("torch", "numpy", "networkx", "aiohttp", "PIL", "graphviz")


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_import_discomfort_imports_nothing_heavy() -> None:
    assert not modules_after("import discomfort").intersection(HEAVY)


@pytest.mark.parametrize("command", [[], ["run"], ["prompt"], ["plan"], ["dot"], ["check"], ["ports"], ["stitch"]])
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
