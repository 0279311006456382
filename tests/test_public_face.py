"""What a program sees of Discomfort before it uses anything: names, start-up, versions."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import discomfort

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "numpy", "networkx", "pydantic", "aiohttp", "PIL", "graphviz"}
HEAVY |= {"simpleeval", "safetensors", "platformdirs", "xxhash", "cloudpickle", "asyncio", "ssl"}
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


def test_the_package_is_the_command_line() -> None:
    def output(*command: str) -> str:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
        return done.stdout

    assert output("-m", "discomfort", "--version") == f"discomfort {discomfort.__version__}\n"
    assert "python -m discomfort" in output("-m", "discomfort", "--help")
    code = "import sys, runpy; sys.argv = ['discomfort', '--help']\n"
    code += "try:\n    runpy.run_module('discomfort', run_name='__main__')\nexcept SystemExit as stop:\n    pass"
    assert not modules_after(code).intersection(HEAVY)


PROMISED = (
    *("EmbeddedEngine", "ComfyUIEngine", "InProcessEngine", "Catalog", "read_catalog", "CompileOptions"),
    *("FrontendOptions", "SweepPoint", "Reference", "ProgressUpdate", "WorkflowContext", "Context", "load_workflow"),
    *("ContextError", "ContextClosedError", "UnknownKeyError", "CorruptValueError", "UnsafeDirectoryError"),
    *("UnresolvableRefError", "EncodingError", "UnreadableValueError", "OutOfMemory", "PromptInterrupted"),
)


def test_what_programs_need_is_exported() -> None:
    assert [name for name in PROMISED if name not in discomfort.__all__] == []
    assert discomfort.Context is discomfort.WorkflowContext
    assert isinstance(discomfort.Tools, discomfort.WorkflowTools)


def test_every_error_that_a_program_may_meet_is_exported() -> None:
    """What derives from DiscomfortError in the package, but for those that only say more about an exported one."""
    for name in discomfort.__all__:
        getattr(discomfort, name)
    exported = {value for name in discomfort.__all__ if isinstance(value := getattr(discomfort, name), type)}

    def missing(error: type[Exception]) -> list[str]:
        own = [] if error in exported else [error.__qualname__]
        return own + [name for derived in error.__subclasses__() for name in missing(derived)]

    assert set(missing(discomfort.DiscomfortError)) == {"OpaqueAttributeError", "ServerConfigError", "Unanswered"}


def test_a_context_shows_what_programs_use() -> None:
    with discomfort.Context() as context:
        shown = dir(context)
        assert all(getattr(type(context), name).__doc__ for name in shown)
        assert not [name for name in shown if name.startswith("_")]
        assert {"save", "load", "list_keys", "get_usage", "export_data", "shutdown", "recipe"} <= set(shown)
        internal = {"put_value", "get_value", "memo_put", "set_ref_resolver", "remember_origin", "server_value"}
        assert internal.isdisjoint(shown)


@pytest.mark.parametrize("profile", ["", "fast"])
def test_an_empty_hypothesis_profile_is_the_fast_one(profile: str) -> None:
    code = "import tests.conftest; from hypothesis import settings; print(settings().max_examples)"
    environment = {**os.environ, "HYPOTHESIS_PROFILE": profile, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.returncode) == ("40\n", 0), done.stderr


def test_every_public_name_resolves() -> None:
    for name in discomfort.__all__:
        assert getattr(discomfort, name) is not None, name
    assert set(dir(discomfort)) == set(discomfort.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        _ = discomfort.compil


def test_the_version_is_that_of_the_distribution() -> None:
    assert version("discomfort") == discomfort.__version__
