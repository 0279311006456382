"""ComfyUI's type language in whole compiles (law L3), and the types of ports, inferred from both sides."""

from __future__ import annotations

from typing import Any

import pytest

from discomfort.compiler import CompileError
from discomfort.ir.catalog.catalog import Catalog, default_catalog
from discomfort.plan import compile

Prompt = dict[str, Any]


def node(class_type: str, **inputs: Any) -> Prompt:
    return {"class_type": class_type, "inputs": inputs}


def port(name: str, *source: Any, tags: str = "") -> Prompt:
    return node("DiscomfortPort", unique_id=name, tags=tags, **({"input": source[0]} if source else {}))


IMAGE = node("EmptyImage", width=8, height=8, batch_size=1, color=0)
VAE = node("VAELoader", vae_name="pixel_space")


def switch(on_false: Any, on_true: Any) -> Prompt:
    return node("ComfySwitchNode", switch=["which", 0], on_false=on_false, on_true=on_true)


def resize(source: Any, **mode: Any) -> Prompt:
    inputs = {"input": source, "resize_type": "scale by multiplier", "scale_method": "area"}
    return node("ResizeImageMaskNode", **{**inputs, "resize_type.multiplier": 2.0, **mode})


@pytest.mark.parametrize(
    ("program", "types"),
    [
        pytest.param(
            {"1": port("a"), "2": node("ImageInvert", image=["1", 0]), "3": port("x", ["2", 0])},
            {"a": "IMAGE", "x": "IMAGE"},
            id="from the consumer and from the source",
        ),
        pytest.param(
            {
                "1": port("a"),
                "2": port("t", ["1", 0]),
                "3": node("Reroute", x=["2", 0]),
                "4": node("ImageInvert", image=["3", 0]),
                "5": port("x", ["4", 0]),
            },
            {"a": "IMAGE", "t": "IMAGE", "x": "IMAGE"},
            id="through a PASSTHRU and a reroute",
        ),
        pytest.param(
            {
                "which": port("which"),
                "1": IMAGE,
                "2": port("a"),
                "3": switch(["1", 0], ["2", 0]),
                "4": port("x", ["3", 0]),
            },
            {"which": "BOOLEAN", "a": "IMAGE", "x": "IMAGE"},
            id="a match type, from its other side",
        ),
        pytest.param(
            {
                "which": port("which"),
                "1": port("a"),
                "2": port("b"),
                "3": switch(["1", 0], ["2", 0]),
                "4": node("ImageInvert", image=["3", 0]),
                "5": port("x", ["4", 0]),
            },
            {"which": "BOOLEAN", "a": "IMAGE", "b": "IMAGE", "x": "IMAGE"},
            id="a match type, from what reads it",
        ),
        pytest.param(
            {
                "which": port("which"),
                "1": port("a"),
                "2": port("b"),
                "3": switch(["1", 0], ["2", 0]),
                "6": switch(["3", 0], ["1", 0]),
                "4": node("ImageInvert", image=["6", 0]),
                "5": port("x", ["4", 0]),
            },
            {"which": "BOOLEAN", "a": "IMAGE", "b": "IMAGE", "x": "IMAGE"},
            id="a match type behind a match type",
        ),
        pytest.param(
            {"1": port("a"), "2": resize(["1", 0]), "3": port("x", ["2", 0])},
            {"a": "IMAGE,MASK", "x": "IMAGE,MASK"},
            id="a union",
        ),
        pytest.param(
            {
                "1": IMAGE,
                "2": port("by"),
                "3": resize(["1", 0], **{"resize_type.multiplier": ["2", 0]}),
                "4": port("x", ["3", 0]),
            },
            {"by": "FLOAT", "x": "IMAGE"},
            id="an input that a dynamic combo adds",
        ),
        pytest.param(
            {
                "1": IMAGE,
                "2": port("more"),
                "3": node("BatchImagesNode", **{"images.image0": ["1", 0], "images.image1": ["2", 0]}),
                "4": port("x", ["3", 0]),
            },
            {"more": "IMAGE", "x": "IMAGE"},
            id="an input that grows",
        ),
        pytest.param({"1": port("a"), "2": port("x", ["1", 0])}, {"a": "*", "x": "*"}, id="unknown"),
    ],
)
def test_L3_types_of_ports(program: Prompt, types: dict[str, str]) -> None:
    plan = compile([program])
    found = {name: each.type for name, each in plan.inputs.items()}
    found |= {name: each.type for name, each in (*plan.outputs.items(), *plan.taps.items())}
    assert found == types
    assert all(constraint.type == each.type for each in plan.inputs.values() for constraint in each.constraints)


@pytest.mark.parametrize(
    ("program", "code", "text"),
    [
        pytest.param({"1": VAE, "2": resize(["1", 0])}, "DF306", "expects IMAGE,MASK, got VAE", id="outside a union"),
        pytest.param(
            {"1": IMAGE, "2": resize(["1", 0], **{"resize_type.multiplier": 99.0})},
            "DF310",
            "'resize_type.multiplier' of ResizeImageMaskNode is 99.0",
            id="limits inside a dynamic combo",
        ),
        pytest.param(
            {"1": IMAGE, "2": resize(["1", 0], resize_type="scale by mutiplier")},
            "DF311",
            "among its 9 options",
            id="no such option of a dynamic combo",
        ),
        pytest.param(
            {"1": VAE, "2": node("BatchImagesNode", **{"images.image0": ["1", 0], "images.image1": ["1", 0]})},
            "DF306",
            "'images.image0' of BatchImagesNode expects IMAGE, got VAE",
            id="a wrong input that grows",
        ),
        pytest.param(
            {"1": IMAGE, "2": node("BatchImagesNode")},
            "DF307",
            "'images.image0' of BatchImagesNode is missing",
            id="too few inputs that grow",
        ),
        pytest.param(
            {
                "1": node("PrimitiveInt", value=["3", 0]),
                "3": node("StringLength", string="a"),
                "2": node("ImageBlend", image1=["4", 0], image2=["4", 0], blend_factor=["1", 0], blend_mode="normal"),
                "4": IMAGE,
            },
            "DF306",
            "expects FLOAT, got INT",
            id="numbers are not converted along a link",
        ),
    ],
)
def test_L3_what_does_not_fit(program: Prompt, code: str, text: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile([{**program, "x": port("x", ["2", 0])}])
    assert any(finding.code == code and text in finding.message for finding in caught.value.diagnostics)


def test_L3_anything_fits_a_star_and_a_star_fits_anything() -> None:
    anything = {"Anything": {"input": {"required": {"value": ["*", {}]}}, "output": ["*"], "python_module": "nodes"}}
    program = {
        "1": IMAGE,
        "2": node("Anything", value=["1", 0]),
        "3": node("VAEDecode", samples=["2", 0], vae=["4", 0]),
    }
    plan = compile(
        [{**program, "4": VAE, "x": port("x", ["3", 0])}], catalog=default_catalog().merged(Catalog(anything))
    )
    assert not plan.diagnostics


def test_L3_options_are_checked_only_where_the_catalog_knows_them() -> None:
    known = {"Pick": {"input": {"required": {"mode": [["a", "b"]]}}, "output": ["INT"], "python_module": "nodes"}}
    free = {"Pick": {"input": {"required": {"mode": ["COMBO", {}]}}, "output": ["INT"], "python_module": "nodes"}}
    program = {"1": node("Pick", mode="c"), "x": port("x", ["1", 0])}
    with pytest.raises(CompileError, match="DF311"):
        compile([program], catalog=default_catalog().merged(Catalog(known)))
    assert not compile([program], catalog=default_catalog().merged(Catalog(free))).diagnostics


def test_tags_are_kept_and_select_ports() -> None:
    program = {
        "1": IMAGE,
        "2": node("ImageInvert", image=["1", 0]),
        "3": port("x", ["1", 0], tags=" debug, first ,,debug"),
        "4": port("y", ["2", 0]),
    }
    plan = compile([program])
    assert plan.outputs["x"].tags == ("debug", "first")
    chosen = plan.select(tags=["first"])
    assert (list(chosen.outputs), list(chosen.graph.nodes)) == (["x"], ["workflow/1"])
    with pytest.raises(ValueError, match="tags are debug, first"):
        plan.select(tags="other")
