"""The findings of binding and running by their codes: what the context or the engine has against a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.plan import compile
from discomfort.runtime.bind import BindError
from discomfort.runtime.engine import PromptRejected
from discomfort.runtime.engines.embedded.engine import EmbeddedEngine
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


def test_DF503_a_value_is_not_among_the_options_of_the_engine(context: WorkflowContext) -> None:
    with pytest.raises(BindError) as caught:
        compile([SCALE]).run(context, inputs={"method": "lanczoz"}, engine=EmbeddedEngine())
    (finding,) = caught.value.diagnostics
    assert finding.code == "DF503"
    assert "lanczos" in finding.render()


def test_DF505_a_workflow_saved_as_a_ref_gives_nothing(context: WorkflowContext) -> None:
    decode = workflow(
        n1=("EmptyLatentImage", {"width": 16, "height": 16, "batch_size": 1}),
        n2=reads("vae"),
        n3=("VAEDecode", {"samples": ["1", 0], "vae": ["2", 0]}),
        n4=writes("x", ["3", 0]),
    )
    saved: dict[str, Any] = workflow(n1=("VAELoader", {"vae_name": "pixel_space"}))
    context.save("vae", saved, pass_by="ref")
    with pytest.raises(BindError) as caught:
        compile([decode]).run(context, engine=EmbeddedEngine())
    assert [finding.code for finding in caught.value.diagnostics] == ["DF505"]


def test_DF520_the_engine_does_not_know_a_class(context: WorkflowContext) -> None:
    unknown = workflow(n1=("SomebodysNode", {"seed": 1}), n2=writes("x", ["1", 0]))
    with pytest.raises(PromptRejected) as caught:
        compile([unknown], rules={"*": "val"}).run(context, engine=EmbeddedEngine())
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.where.file, finding.where.node) == ("DF520", "workflow", "1")
