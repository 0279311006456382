"""The findings of binding and running by their codes: what the context or the engine has against a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.context.values.value_list import ValueList
from discomfort.ir.diagnostics import Place
from discomfort.plan import Plan, compile
from discomfort.runtime.binding.bind import BindError
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
from discomfort.runtime.engines.protocol import PromptRejected
from tests.runtime.programs import reads, workflow, writes


@pytest.fixture
def context() -> Iterator[WorkflowContext]:
    with WorkflowContext(max_ram_gb=0.01) as made:
        yield made


SCALE = workflow(
    n1=("EmptyImage", {"width": 8, "height": 8, "batch_size": 1, "color": 0}),
    n2=reads("method"),
    n3=("ImageScale", {"image": ["1", 0], "upscale_method": ["2", 0], "width": 4, "height": 4, "crop": "disabled"}),
    n4=writes("x", ["3", 0]),
)


DECODE = workflow(
    n1=("EmptyLatentImage", {"width": 16, "height": 16, "batch_size": 1}),
    n2=reads("vae"),
    n3=("VAEDecode", {"samples": ["1", 0], "vae": ["2", 0]}),
    n4=writes("x", ["3", 0]),
)


def saved(folder: Path, name: str, nodes: dict[str, Any]) -> Path:
    """Write a workflow into a file and return it."""
    path = folder / name
    path.write_text(json.dumps(nodes))
    return path


def refused(plan: Plan, context: WorkflowContext, **inputs: Any) -> dict[str, Place]:
    """Run a plan that does not fit its context; return the place of each finding by its code."""
    with pytest.raises(BindError) as caught:
        plan.run(context, inputs=inputs, engine=EmbeddedEngine())
    return {finding.code: finding.where for finding in caught.value.diagnostics}


def test_findings_of_bind_name_file_node_title_and_port(context: WorkflowContext, tmp_path: Path) -> None:
    scale = workflow(
        n1=reads("picture"),
        n2=reads("method"),
        n3=reads("width"),
        n4=(
            "ImageScale",
            {"image": ["1", 0], "upscale_method": ["2", 0], "width": ["3", 0], "height": 4, "crop": "disabled"},
        ),
        n5=writes("x", ["4", 0]),
        n6=reads("vae"),
        n7=("VAEEncode", {"pixels": ["4", 0], "vae": ["6", 0]}),
        n8=writes("y", ["7", 0]),
    )
    first, second = saved(tmp_path, "first.json", SCALE), saved(tmp_path, "second.json", scale)
    context.save("vae", workflow(n1=("VAELoader", {"vae_name": "pixel_space"})), pass_by="ref")
    plan = compile([first, second])
    found = refused(plan, context, method="lanczoz", width="wide")
    assert found == {
        "DF501": Place(str(second), None, "1", "my DiscomfortPort", "picture"),
        "DF502": Place(str(second), None, "3", "my DiscomfortPort", "width"),
        "DF503": Place(str(first), None, "2", "my DiscomfortPort", "method"),
        "DF505": Place(str(second), None, "6", "my DiscomfortPort", "vae"),
    }
    again = Plan.from_json(plan.to_json())
    assert refused(again, context, method="lanczoz", width="wide") == found
    listed = ValueList([1, "wide"])
    assert refused(plan, context, method="area", width=listed)["DF502"] == found["DF502"]


def test_findings_of_bind_name_the_workflow_where_there_is_no_file(context: WorkflowContext) -> None:
    assert refused(compile([SCALE, SCALE]), context)["DF501"].file == "workflow"


def test_a_ref_that_does_not_compile_is_reported_with_the_port_that_reads_it(context: WorkflowContext) -> None:
    lonely = workflow(n1=("VAELoader", {}), n2=writes("vae", ["1", 0]))
    context.save("vae", lonely, pass_by="ref")
    with pytest.raises(BindError) as caught:
        compile([DECODE]).run(context, engine=EmbeddedEngine())
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.where.node, finding.where.input) == ("DF307", "1", "vae_name")
    ((text, place),) = finding.related
    assert text == "it is saved as the ref 'vae', which is read by"
    assert (place.file, place.node, place.input) == ("workflow", "2", "vae")


def test_DF503_a_value_is_not_among_the_options_of_the_engine(context: WorkflowContext) -> None:
    with pytest.raises(BindError) as caught:
        compile([SCALE]).run(context, inputs={"method": "lanczoz"}, engine=EmbeddedEngine())
    (finding,) = caught.value.diagnostics
    assert finding.code == "DF503"
    assert "lanczos" in finding.render()


def test_DF505_a_workflow_saved_as_a_ref_gives_nothing(context: WorkflowContext) -> None:
    context.save("vae", workflow(n1=("VAELoader", {"vae_name": "pixel_space"})), pass_by="ref")
    with pytest.raises(BindError) as caught:
        compile([DECODE]).run(context, engine=EmbeddedEngine())
    assert [finding.code for finding in caught.value.diagnostics] == ["DF505"]


def test_DF520_the_engine_does_not_know_a_class(context: WorkflowContext) -> None:
    unknown = workflow(n1=("SomebodysNode", {"seed": 1}), n2=writes("x", ["1", 0]))
    with pytest.raises(PromptRejected) as caught:
        compile([unknown], rules={"*": "val"}).run(context, engine=EmbeddedEngine())
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.where.file, finding.where.node) == ("DF520", "workflow", "1")
