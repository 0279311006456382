"""Files are replaced under their names, between runs and during one, on a real ComfyUI: what each run must give.

Used on servers by `test_real_files.py`, and by it as a program for ComfyUI in this process:

    python files_scenario.py CHECKOUT BASE
"""

from __future__ import annotations

import gzip
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file

import discomfort
from discomfort.context.context import WorkflowContext
from discomfort.runtime.engine_thread import run_blocking
from discomfort.runtime.engines.protocol import Engine, PromptRequest, PromptResult

SHAPES = Path(__file__).with_name("sd15_shapes.json.gz")
VAE_PART = "first_stage_model."
STAMP = 10**18 + 1
"""The time of writing of every file: a tool that unpacks or synchronises may leave them all with one."""

NODES = """
import hashlib, json
import torch

class PatchesForTests:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"model": ("MODEL",)}})
    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    CATEGORY = "tests"

    def run(self, model):
        digest = hashlib.sha256()
        def walk(value):
            if isinstance(value, torch.Tensor):
                digest.update(value.float().numpy().tobytes())
            elif isinstance(value, dict):
                for key in sorted(value, key=str):
                    walk(value[key])
            elif isinstance(value, (list, tuple)):
                for item in value:
                    walk(item)
            elif hasattr(value, "weights"):
                walk(value.weights)
        walk(model.patches)
        return (digest.hexdigest(),)

NODE_CLASS_MAPPINGS = {"PatchesForTests": PatchesForTests}
"""


def api(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {name.removeprefix("n"): {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def port(name: str, value: Any = None) -> tuple[str, dict[str, Any]]:
    return "DiscomfortPort", {"unique_id": name, "tags": "", **({} if value is None else {"input": value})}


PICTURE = api(n1=("LoadImage", {"image": "a.bmp"}), n2=port("image", ["1", 0]))
VAE = api(n1=("VAELoader", {"vae_name": "v.safetensors"}), n2=port("vae", ["1", 0]))
DECODE = api(
    n1=port("vae"),
    n2=("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 1}),
    n3=("VAEDecode", {"samples": ["2", 0], "vae": ["1", 0]}),
    n4=port("decoded", ["3", 0]),
)
LORA = api(
    n1=("CheckpointLoaderSimple", {"ckpt_name": "random.safetensors"}),
    n2=("LoraLoaderModelOnly", {"model": ["1", 0], "lora_name": "l.safetensors", "strength_model": 1.0}),
    n3=("PatchesForTests", {"model": ["2", 0]}),
    n4=port("patches", ["3", 0]),
)


def write(path: Path, save: Callable[[Path], Any]) -> None:
    """Replace a file by one of equal size and time of writing, as far as `save` makes them equal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    other = path.with_name(f"new-{path.name}")
    save(other)
    os.utime(other, ns=(STAMP, STAMP))
    other.replace(path)
    time.sleep(0.15)


def write_vae(path: Path, seed: int) -> None:
    shapes = json.loads(gzip.decompress(SHAPES.read_bytes()))
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, (_, shape) in shapes.items():
        if name.startswith(VAE_PART):
            scale = 0.5 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.0
            drawn = torch.randn(shape, generator=generator) * scale + float(len(shape) < 2 and name.endswith("weight"))
            if name.endswith("decoder.conv_out.bias"):  # all that shows of a VAE where the latent is zero
                drawn += 0.05 * seed
            weights[name.removeprefix(VAE_PART)] = drawn.half()
    write(path, lambda other: save_file(weights, other))


def write_lora(path: Path, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    name = "diffusion_model.time_embed.0"
    weights = {
        f"{name}.lora_up.weight": torch.randn((1280, 1), generator=generator),
        f"{name}.lora_down.weight": torch.randn((1, 320), generator=generator),
    }
    write(path, lambda other: save_file(weights, other))


def paint(path: Path, color: tuple[int, int, int]) -> None:
    write(path, lambda other: Image.new("RGB", (32, 32), color).save(other, "BMP"))


class Scenario:
    """One engine, one context for all its life, and the prompts that were sent."""

    def __init__(self, engine: Engine, base: Path, context: WorkflowContext) -> None:
        self.engine, self.base, self.context = engine, base, context
        self.prompts = 0
        self.meddle: Callable[[], Callable[[], None]] | None = None
        run = engine.run

        async def watched(request: PromptRequest, *rest: Any) -> PromptResult:
            self.prompts += 1
            undo = self.meddle() if self.meddle is not None else None
            result = await run(request, *rest)
            if undo is not None:
                undo()
            return result

        engine.run = watched  # type: ignore[assignment,method-assign]

    def run(self, *workflows: dict[str, Any]) -> dict[str, Any]:
        catalog = run_blocking(self.engine.catalog())
        return discomfort.compile(workflows, catalog=catalog).run(self.context, engine=self.engine)

    def submitted(self, *workflows: dict[str, Any]) -> int:
        """Run, and return how many prompts that took."""
        before = self.prompts
        self.run(*workflows)
        return self.prompts - before

    def color(self) -> tuple[int, ...]:
        image = self.run(PICTURE)["image"]
        return tuple(255 * round(float(part)) for part in image[0, 0, 0])  # decoders round differently

    def pictures(self) -> None:
        red, green, path = (255, 0, 0), (0, 255, 0), self.base / "input" / "a.bmp"
        for shade in (red, green, red):
            paint(path, shade)
            assert self.color() == shade
        os.utime(path)
        assert self.submitted(PICTURE) == 0, "a touched file is the same file"

        def meddle() -> Callable[[], None]:
            paint(path, green)
            return lambda: paint(path, red)

        with WorkflowContext(max_ram_gb=0.05) as fresh:
            self.context, kept = fresh, self.context
            self.meddle = meddle
            paint(path, (0, 0, 255))
            paint(path, red)
            self.color()
            self.meddle = None
            assert self.color() == red, "red was taken down, green was read, and red was there again"
            self.context = kept

    def models(self) -> None:
        path = self.base / "models" / "vae" / "v.safetensors"
        write_vae(path, 1)
        size = path.stat().st_size
        first = self.run(VAE, DECODE)["decoded"]
        assert self.submitted(VAE, DECODE) == 0
        write_vae(path, 2)
        assert path.stat().st_size == size
        second = self.run(VAE, DECODE)["decoded"]
        assert not torch.equal(first, second), "a VAE that was replaced under its name"
        assert torch.equal(self.run(DECODE)["decoded"], second), "its reference rebuilds the new one"
        write_vae(path, 1)
        assert self.submitted(VAE, DECODE) == 0, "the facts about a model are known again"
        assert torch.equal(self.context.load("decoded"), first)
        self.run(VAE)
        write_vae(path, 3)
        third = self.run(DECODE)["decoded"]
        assert not torch.equal(third, first)
        assert not torch.equal(third, second)

    def after_restart(self) -> None:
        """The engine was closed and started again; the file had changed meanwhile."""
        path = self.base / "models" / "vae" / "v.safetensors"
        before = self.context.load("decoded")
        assert self.submitted(VAE, DECODE) == 0
        run_blocking(self.engine.close())
        write_vae(path, 4)
        run_blocking(self.engine.start())
        after = self.run(VAE, DECODE)["decoded"]
        assert not torch.equal(before, after)

    def loras(self) -> None:
        """A node keeps what it read by the name of the file, and its object lives from run to run."""
        path = self.base / "models" / "loras" / "l.safetensors"
        seen = []
        for seed in (1, 2, 1):
            write_lora(path, seed)
            seen.append(self.run(LORA)["patches"])
        assert seen[0] == seen[2] != seen[1]

    def play(self) -> None:
        self.pictures()
        self.models()
        self.after_restart()
        if (self.base / "models" / "checkpoints" / "random.safetensors").exists():
            self.loras()


def prepare(base: Path) -> None:
    """Make the folders, with a file of each kind: what is there when ComfyUI looks first counts as a choice."""
    for folder in ("custom_nodes", "input", "output", "temp", "user", "models/checkpoints"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    (base / "custom_nodes" / "patches_for_tests.py").write_text(NODES)
    paint(base / "input" / "a.bmp", (1, 1, 1))
    write_vae(base / "models" / "vae" / "v.safetensors", 9)
    write_lora(base / "models" / "loras" / "l.safetensors", 9)
    if checkpoint := os.environ.get("DISCOMFORT_TEST_CHECKPOINT"):
        (base / "models" / "checkpoints" / "random.safetensors").symlink_to(Path(checkpoint).resolve())


def main(checkout: str, base: Path) -> None:
    from discomfort.runtime.engines.inprocess import InProcessEngine

    prepare(base)
    arguments = ["--cpu", "--disable-api-nodes", "--base-directory", str(base)]
    engine = InProcessEngine(checkout, [*arguments, "--database-url", f"sqlite:///{base / 'comfyui.db'}"])
    with WorkflowContext(max_ram_gb=0.5) as context:
        Scenario(engine, base, context).play()
        print("played")
    run_blocking(engine.close())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
