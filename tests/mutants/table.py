"""The modules whose mutants are made, and the tests that must see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_PASSES = ("tests/compiler/test_pass_goldens.py", "tests/compiler/test_passes.py")
_PROGRAMS = ("tests/compiler/test_compile.py", "tests/compiler/test_diagnostic_goldens.py")
_RUNS = ("tests/runtime/test_bound_prompts.py", "tests/runtime/test_runs.py", "tests/runtime/test_steps.py")
_PARTITION = ("tests/compiler/test_partition_goldens.py", *_PASSES)

TESTS: Mapping[str, Sequence[str]] = {
    "discomfort.ir.keys": ("tests/compiler/test_keys.py", "tests/compiler/test_pass_goldens.py"),
    "discomfort.ir.recipe": ("tests/compiler/test_recipes.py", *_PASSES, "tests/compiler/test_damaged_plans.py"),
    "discomfort.compiler.program.stitch": (
        "tests/compiler/test_bindings.py",
        "tests/compiler/test_diagnostic_goldens.py",
    ),
    "discomfort.compiler.passes.dedup": _PASSES,
    "discomfort.compiler.passes.fold": _PASSES,
    "discomfort.compiler.passes.cut": _PASSES,
    "discomfort.compiler.partition.cost": _PARTITION,
    "discomfort.compiler.partition.row": _PARTITION,
    "discomfort.compiler.partition.steps": _PARTITION,
    "discomfort.compiler.partition.partition_pass": _PARTITION,
    "discomfort.runtime.binding.prompts": _RUNS,
    "discomfort.runtime.binding.bind": _RUNS,
}
