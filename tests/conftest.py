"""What every test may use: golden files, Hypothesis profiles, and a real ComfyUI where one is given."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile("fast", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(  # the same examples each time, and no search for the smallest one
    "mutants", settings.get_profile("fast"), derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "fast")

os.environ["DISCOMFORT_VERIFY"] = "1"  # law L4: every graph between two passes is verified, in every test that compiles


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A test run started in the background has inherited this, and so would the programs whose Ctrl-C is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("discomfort")
    group.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing with them")
    group.addoption("--comfyui", metavar="PATH", help="a ComfyUI checkout to run the tests marked `comfyui` on")
    group.addoption(
        "--browser", action="store_true", help="drive the official frontend in Chromium; on where CI is set"
    )
    group.addoption("--mutations", metavar="COUNT", type=int, default=12, help="random workflows against the browser")
    group.addoption("--first-seed", metavar="SEED", type=int, default=0, help="the seed of the first of them")
    group.addoption("--comfyui-python", metavar="PYTHON", help="the interpreter that has ComfyUI's requirements")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow campaigns unless requested with -m, and tests of real programs unless they are wanted."""
    requested_slow = "slow" in str(config.getoption("markexpr"))
    browser = config.getoption("--browser") or os.environ.get("CI")
    for item in items:
        if "slow" in item.keywords and not requested_slow:
            item.add_marker(pytest.mark.skip(reason="slow: run with -m slow"))
        if item.get_closest_marker("browser") and not browser:
            item.add_marker(pytest.mark.skip(reason="drives a real browser: run with --browser"))
        if item.get_closest_marker("comfyui") and not config.getoption("--comfyui"):
            item.add_marker(pytest.mark.skip(reason="needs a ComfyUI checkout: --comfyui PATH"))


@pytest.fixture
def comfyui_path(request: pytest.FixtureRequest) -> Path:
    """The ComfyUI checkout given with --comfyui."""
    return Path(str(request.config.getoption("--comfyui"))).resolve()


@pytest.fixture
def comfyui_python(request: pytest.FixtureRequest) -> str:
    """The interpreter for that checkout: --comfyui-python, or the one that runs the tests."""
    return str(request.config.getoption("--comfyui-python") or sys.executable)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file byte for byte; `--update-golden` rewrites the file instead."""
    update = bool(request.config.getoption("--update-golden"))

    def check(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            return
        if not path.exists():
            pytest.fail(f"no golden file {path}; write it with: pytest --update-golden {request.node.nodeid}")
        assert text == path.read_bytes().decode(), f"differs from {path}; if that is right: pytest --update-golden"

    return check
