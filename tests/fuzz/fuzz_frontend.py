"""Coverage-guided fuzzing of the readers: `python tests/fuzz/fuzz_frontend.py -atheris_runs=100000`.

Any exception that leaves `load_workflow` is a bug: bad content has to become findings.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["discomfort.compiler.frontend"]):
    from discomfort.compiler.frontend import (
        load,  # noqa: F401 - instruments the readers it imports
        load_workflow,
    )
    from discomfort.ir.api_prompt import emit_prompt
    from discomfort.ir.catalog.catalog import default_catalog


def one_input(content: bytes) -> None:
    """Load one input and emit what comes of it."""
    emit_prompt(load_workflow(content, default_catalog()).graph)


if __name__ == "__main__":
    default_catalog()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
