"""Random cases of the pack's classes: a prompt for ComfyUI's executor and for ours, its values, and its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from discomfort.runtime.engines.embedded.pack import NODE_CLASS_MAPPINGS
from tests.runtime.pack.fuzz.files import image_file, latent_file
from tests.runtime.pack.fuzz.recipes import Linked, Output, inputs_of
from tests.runtime.pack.fuzz.values import Draw

PNG_INFO = {"workflow": {"nodes": [], "title": "ünïcode"}}


@dataclass
class Case:
    """One use of a class; the same class and seed give the same case."""

    class_type: str
    seed: int
    prompt: dict[str, Any] = field(default_factory=dict)
    values: dict[str, list[Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.class_type}:{self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """Return what the process with the real ComfyUI reads."""
        return {"prompt": self.prompt, "values": self.values, "files": self.files, "extra_pnginfo": PNG_INFO}


def make_case(class_type: str, seed: int) -> Case:
    """Draw the case of a class and a seed."""
    draw = Draw(f"{class_type}:{seed}")
    case = Case(class_type, seed)
    inputs = file_inputs(class_type, draw, case) or inputs_of(class_type, draw)
    case.prompt["node"] = {"class_type": class_type, "inputs": {}}
    for name, value in inputs.items():
        case.prompt["node"]["inputs"][name] = _written(case, value)
    outputs = len(NODE_CLASS_MAPPINGS[class_type].RETURN_TYPES)  # type: ignore[attr-defined]
    if outputs:
        slots = {f"out{slot}": ["node", slot] for slot in range(outputs)}
        case.prompt["collect"] = {"class_type": "FuzzCollect", "inputs": slots}
    return case


def _written(case: Case, value: Any) -> Any:
    """Return the prompt's input: a literal, or a link to a node that gives the value."""
    if not isinstance(value, Linked | Output):
        return value
    key = f"in{len(case.prompt)}"
    if isinstance(value, Output):
        case.prompt[key] = dict(value)
    else:
        case.values[key] = list(value)
        case.prompt[key] = {"class_type": "FuzzValue", "inputs": {"name": key}}
    return [key, 0]


def file_inputs(class_type: str, draw: Draw, case: Case) -> dict[str, Any] | None:
    """Draw inputs of classes that read a file, and files that those which write find in their folder."""
    if class_type in ("LoadImage", "LoadImageMask", "LoadImageOutput"):
        name, content = image_file(draw)
        folder = "output" if class_type == "LoadImageOutput" else draw.pick(("input",) * 8 + ("output", "temp"))
        case.files[f"{folder}/{name}"] = content
        inputs: dict[str, Any] = {"image": name if folder == "input" else f"{name} [{folder}]"}
        if class_type == "LoadImageMask":
            inputs["channel"] = draw.pick(("alpha", "red", "green", "blue"))
        return inputs
    if class_type == "LoadLatent":
        case.files["input/x.latent"] = latent_file(draw)
        return {"latent": "x.latent"}
    if class_type.startswith("Save") and draw.chance(0.4):
        ending = {"SaveImage": "_.png", "SaveLatent": "_.latent", "SaveText": ".txt"}[class_type]
        stem = draw.pick(("ComfyUI", "x", "", "a", "a b", ".hidden", "sub/x"))
        case.files[f"output/{stem}_{draw.pick(('00001', '00012', '7', 'abc', '99999', '-3', '00005_x'))}{ending}"] = (
            b"old"
        )
    return None
