"""How much the tests against a real browser try."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def sample(request: pytest.FixtureRequest) -> int:
    """How many random workflows to try."""
    return int(request.config.getoption("--mutations"))


@pytest.fixture(scope="module")
def first_seed(request: pytest.FixtureRequest) -> int:
    """Where the random workflows begin."""
    return int(request.config.getoption("--first-seed"))
