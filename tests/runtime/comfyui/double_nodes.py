"""The node classes of the double: a few of ComfyUI's own, as far as our engine needs them, and some that misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

BASE = Path()


def prepare_process(ignore_sigterm: bool, child_file: str | None) -> None:
    if ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if child_file:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(child_file).write_text(str(child.pid))


def required(**inputs: Any) -> Any:
    return classmethod(lambda cls: {"required": {name: (kind,) for name, kind in inputs.items()}})


class Node:
    FUNCTION = "run"
    RETURN_TYPES: tuple[str, ...] = ("IMAGE",)
    progress: Any
    interrupted: Any


class EmptyImage(Node):
    INPUT_TYPES = required(width="INT", height="INT", batch_size="INT", color="INT")

    def run(self, width: int, height: int, batch_size: int, color: int) -> tuple[Any]:
        import torch

        parts = [(color >> shift & 255) / 255 for shift in (16, 8, 0)]
        return (torch.tensor(parts).expand(batch_size, height, width, 3).clone(),)


class ImageInvert(Node):
    INPUT_TYPES = required(image="IMAGE")

    def run(self, image: Any) -> tuple[Any]:
        return (1.0 - image,)


class PreviewImage(Node):
    INPUT_TYPES = required(images="IMAGE")
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    def run(self, images: Any) -> dict[str, Any]:
        from PIL import Image

        (BASE / "temp").mkdir(parents=True, exist_ok=True)
        shown = []
        for frame in images:
            name = f"{uuid.uuid4().hex}.png"
            Image.fromarray((frame * 255).clamp(0, 255).byte().numpy()).save(BASE / "temp" / name)
            shown.append({"filename": name, "subfolder": "", "type": "temp"})
        return {"ui": {"images": shown}, "result": ()}


class SaveImage(Node):
    INPUT_TYPES = required(images="IMAGE", filename_prefix="STRING")
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    def run(self, images: Any, filename_prefix: str) -> dict[str, Any]:
        from PIL import Image

        (BASE / "output").mkdir(parents=True, exist_ok=True)
        shown = []
        for frame in images:
            number = 1 + sum(path.name.startswith(f"{filename_prefix}_") for path in (BASE / "output").iterdir())
            name = f"{filename_prefix}_{number:05}_.png"
            Image.fromarray((frame * 255).clamp(0, 255).byte().numpy()).save(BASE / "output" / name)
            shown.append({"filename": name, "subfolder": "", "type": "output"})
        return {"ui": {"images": shown}, "result": ()}


class Picky(Node):
    """Hands a picture on; accepts one mood only."""

    INPUT_TYPES = required(images="IMAGE", mood="STRING")

    @classmethod
    def VALIDATE_INPUTS(cls, mood: str) -> bool | str:
        return True if mood == "good" else f"not in the mood: {mood!r}"

    def run(self, images: Any, mood: str) -> tuple[Any]:
        assert mood == "good"
        return (images,)


class PickyAboutTypes(Node):
    """Takes what says that it is a picture."""

    INPUT_TYPES = required(images="IMAGE")

    @classmethod
    def VALIDATE_INPUTS(cls, input_types: dict[str, str]) -> bool | str:
        return True if input_types["images"] in ("IMAGE",) else f"no picture, but {input_types['images']!r}"

    def run(self, images: Any) -> tuple[Any]:
        return (images,)


class Blank(Node):
    """Needs a value that an on-prompt handler of its pack fills in."""

    INPUT_TYPES = required(value="INT")
    RETURN_TYPES = ("INT",)

    def run(self, value: int) -> tuple[int]:
        return (value,)


def fill_in(message: dict[str, Any]) -> dict[str, Any]:
    """The handler that the pack of `Blank` adds to the server."""
    for spec in message["prompt"].values():
        if spec["class_type"] == "Blank":
            spec["inputs"].setdefault("value", 42)
    return message


class Greeting(Node):
    RETURN_TYPES = ("STRING",)
    INPUT_TYPES = required(text="STRING")

    def run(self, text: str) -> tuple[str]:
        return (text,)


class LoadImage(Node):
    INPUT_TYPES = required(image="STRING")
    RETURN_TYPES = ("IMAGE", "MASK")

    def run(self, image: str) -> tuple[Any, Any]:
        import numpy as np
        import torch
        from PIL import Image

        with Image.open(BASE / "input" / image) as picture:
            frame = torch.from_numpy(np.asarray(picture.convert("RGB"), np.float32) / 255)
        return frame.unsqueeze(0), torch.zeros(1, *frame.shape[:2])


class ImageBatch(Node):
    INPUT_TYPES = required(image1="IMAGE", image2="IMAGE")

    def run(self, image1: Any, image2: Any) -> tuple[Any]:
        import torch

        return (torch.cat([image1, image2]),)


class ImageToMask(Node):
    INPUT_TYPES = required(image="IMAGE", channel="STRING")
    RETURN_TYPES = ("MASK",)

    def run(self, image: Any, channel: str) -> tuple[Any]:
        return (image[..., ("red", "green", "blue").index(channel)],)


class MaskToImage(Node):
    INPUT_TYPES = required(mask="MASK")

    def run(self, mask: Any) -> tuple[Any]:
        return (mask.unsqueeze(-1).repeat(1, 1, 1, 3),)


class PreviewAny(Node):
    INPUT_TYPES = required(source="*")
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    def run(self, source: Any) -> dict[str, Any]:
        return {"ui": {"text": (str(source),)}, "result": ()}


class Clip:
    """An object of a class that only the server's Python has."""

    def __init__(self, name: str) -> None:
        self.name = name


class MakeClip(Node):
    INPUT_TYPES = required(name="STRING")
    RETURN_TYPES = ("CLIP_OF_FRAMES",)

    def run(self, name: str) -> tuple[Clip]:
        return (Clip(name),)


class JoinClips(Node):
    INPUT_TYPES = required(first="CLIP_OF_FRAMES", word="STRING")
    RETURN_TYPES = ("CLIP_OF_FRAMES",)

    def run(self, first: Clip, word: str) -> tuple[Clip]:
        return (Clip(f"{first.name} {word}"),)


class OpenClip(Node):
    INPUT_TYPES = required(clip="CLIP_OF_FRAMES")
    RETURN_TYPES = ("STRING",)

    def run(self, clip: Clip) -> tuple[str]:
        assert type(clip) is Clip
        return (clip.name,)


class Lock(Node):
    """Gives what nothing can store."""

    INPUT_TYPES = required()
    RETURN_TYPES = ("CLIP_OF_FRAMES",)

    def run(self) -> tuple[Any]:
        return (threading.Lock(),)


class NothingImage(Node):
    """Gives None, as custom nodes do for what they do not have."""

    INPUT_TYPES = required()

    def run(self) -> tuple[Any]:
        return (None,)


class NothingMask(NothingImage):
    RETURN_TYPES = ("MASK",)


class NothingNumber(NothingImage):
    RETURN_TYPES = ("INT",)


class NothingText(NothingImage):
    RETURN_TYPES = ("STRING",)


class Wildcard(str):
    """How many packs write "any": equal to every type."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


class Describe(Node):
    """Gives the type and the text of what arrives."""

    INPUT_TYPES = required(value=Wildcard("*"))
    RETURN_TYPES = ("STRING",)

    def run(self, value: Any) -> tuple[str]:
        return (f"{type(value).__name__} {value!r}",)


class PrimitiveInt(Node):
    OPTIONS: ClassVar[Any] = {"min": -sys.maxsize, "max": sys.maxsize}
    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"value": (cls.RETURN_TYPES[0], cls.OPTIONS)}}

    def run(self, value: Any) -> tuple[Any]:
        return (value,)


class PrimitiveFloat(PrimitiveInt):
    RETURN_TYPES = ("FLOAT",)


class PrimitiveBoolean(PrimitiveInt):
    OPTIONS: ClassVar[Any] = {}
    RETURN_TYPES = ("BOOLEAN",)


class PrimitiveString(PrimitiveBoolean):
    RETURN_TYPES = ("STRING",)


class EmptyLatentImage(Node):
    INPUT_TYPES = required(width="INT", height="INT", batch_size="INT")
    RETURN_TYPES = ("LATENT",)

    def run(self, width: int, height: int, batch_size: int) -> tuple[Any]:
        import torch

        return ({"samples": torch.zeros(batch_size, 4, height // 8, width // 8)},)


class RepeatLatentBatch(Node):
    INPUT_TYPES = required(samples="LATENT", amount="INT")
    RETURN_TYPES = ("LATENT",)

    def run(self, samples: Any, amount: int) -> tuple[Any]:
        return ({"samples": samples["samples"].repeat(amount, 1, 1, 1)},)


class Add(Node):
    INPUT_TYPES = required(a="INT", b="INT")
    RETURN_TYPES = ("INT",)

    def run(self, a: int, b: int) -> tuple[int]:
        return (a + b,)


class Frames(Node):
    """Gives each image of a batch on its own, as a list."""

    INPUT_TYPES = required(images="IMAGE")
    OUTPUT_IS_LIST = (True,)

    def run(self, images: Any) -> tuple[Any]:
        return (list(images.split(1)),)


class CheckpointLoaderSimple(Node):
    INPUT_TYPES = required(ckpt_name="STRING")
    RETURN_TYPES = ("MODEL", "CLIP", "VAE")

    def run(self, ckpt_name: str) -> tuple[Any, ...]:
        return f"model of {ckpt_name}", f"clip of {ckpt_name}", f"vae of {ckpt_name}"


class LoraName(Node):
    """Takes the name of one of the server's files, as nodes that load models do."""

    RETURN_TYPES = ("STRING",)

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"name": (sorted(path.name for path in (BASE / "models" / "loras").glob("*")),)}}

    def run(self, name: str) -> tuple[str]:
        return (name,)


class CLIPTextEncode(Node):
    INPUT_TYPES = required(clip="CLIP", text="STRING")
    RETURN_TYPES = ("CONDITIONING",)

    def run(self, clip: str, text: str) -> tuple[str]:
        return (f"{text} by {clip}",)


class KSampler(Node):
    """Fills the latent with noise of the seed."""

    INPUT_TYPES = required(
        model="MODEL",
        seed="INT",
        steps="INT",
        cfg="FLOAT",
        sampler_name="STRING",
        scheduler="STRING",
        positive="CONDITIONING",
        negative="CONDITIONING",
        latent_image="LATENT",
        denoise="FLOAT",
    )
    RETURN_TYPES = ("LATENT",)

    def run(self, seed: int, latent_image: Any, **_: Any) -> tuple[Any]:
        import torch

        shape = latent_image["samples"].shape
        return ({"samples": torch.rand(shape, generator=torch.Generator().manual_seed(seed))},)


class VAEDecode(Node):
    INPUT_TYPES = required(samples="LATENT", vae="VAE")

    def run(self, samples: Any, vae: str) -> tuple[Any]:
        return (samples["samples"][:, :3].movedim(1, -1).repeat_interleave(8, 1).repeat_interleave(8, 2),)


class Count(Node):
    """Gives the whole numbers below `count`, as a list."""

    INPUT_TYPES = required(count="INT")
    RETURN_TYPES = ("INT",)
    OUTPUT_IS_LIST = (True,)

    def run(self, count: int) -> tuple[Any]:
        return (list(range(count)),)


class Level(Node):
    INPUT_TYPES = required(image="IMAGE", factor="FLOAT")

    def run(self, image: Any, factor: float) -> tuple[Any]:
        assert type(factor) is float
        return (image * factor,)


class Sleep(Node):
    """Hands `value` on after `seconds`, in steps that can be interrupted."""

    INPUT_TYPES = required(value="INT", seconds="FLOAT")
    RETURN_TYPES = ("INT",)

    def run(self, value: int, seconds: float) -> tuple[int]:
        steps = max(1, round(seconds / 0.02))
        for step in range(steps):
            if self.interrupted():
                break
            time.sleep(seconds / steps)
            self.progress(step + 1, steps)
        return (value,)


class Misbehave(Node):
    """Fails as `how` says, once the file `unless` is there it works."""

    INPUT_TYPES = required(value="INT", how="STRING", unless="STRING")
    RETURN_TYPES = ("INT",)

    def run(self, value: int, how: str, unless: str) -> tuple[int]:
        if unless and Path(unless).exists():
            return (value,)
        if unless:
            Path(unless).touch()
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "worker":
            raise WorkerDied
        if how == "disk":
            raise OSError(28, "No space left on device")
        if how == "memory":
            raise OutOfMemoryError("Allocation on device 0 would exceed allowed memory.")
        raise ValueError("it was asked to fail")


class FailForTests(Misbehave):
    """The name under which a real ComfyUI has such a node in its tests."""

    INPUT_TYPES = required(how="STRING")

    def run(self, how: str) -> tuple[int]:  # type: ignore[override]
        return super().run(0, how, "")


class OutOfMemoryError(Exception):
    pass


class WorkerDied(BaseException):
    """Ends the worker thread, as a crash in it would."""


class SleepForTests(Sleep):
    """The name under which a real ComfyUI has such a node in its tests."""


NODE_CLASS_MAPPINGS: dict[str, type] = {
    made.__name__: made
    for made in (
        Add,
        Blank,
        CLIPTextEncode,
        CheckpointLoaderSimple,
        Count,
        EmptyImage,
        EmptyLatentImage,
        FailForTests,
        Frames,
        Greeting,
        ImageBatch,
        ImageInvert,
        ImageToMask,
        KSampler,
        Level,
        LoadImage,
        LoraName,
        MaskToImage,
        JoinClips,
        Lock,
        MakeClip,
        Misbehave,
        NothingImage,
        NothingMask,
        NothingNumber,
        NothingText,
        OpenClip,
        Picky,
        PickyAboutTypes,
        PreviewAny,
        PreviewImage,
        PrimitiveBoolean,
        PrimitiveFloat,
        PrimitiveInt,
        PrimitiveString,
        RepeatLatentBatch,
        SaveImage,
        Sleep,
        SleepForTests,
        Describe,
        VAEDecode,
    )
}
