"""What running a node class does beyond computing its outputs: one table, consulted by every pass and by the memo.

Sources: the classes of ComfyUI 0.33.0 as `/object_info` describes them (`output_node`, `python_module`), and what
each listed class was observed to do. The table is about ComfyUI's own classes: a class of a custom node that has the
same name follows what it says of itself. A class without a description is `UNKNOWN`: it is never merged and never
remembered, and otherwise an ordinary node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from discomfort.ir.catalog.catalog import Catalog, NodeClass
from discomfort.server_access.protocol import LOADER_CLASS as LOADER_CLASS
from discomfort.server_access.protocol import PORT_CLASS as PORT_CLASS
from discomfort.server_access.protocol import RUNNER_CLASS as RUNNER_CLASS
from discomfort.server_access.protocol import SAVER_CLASS as SAVER_CLASS


class Effect(str, Enum):
    """The kinds of node, from the freest to the least known."""

    PURE = "pure"
    """Equal inputs give equal outputs: may be merged, remembered, left out."""
    FILE = "file"
    """As pure, given the content of the files its inputs name: their content is part of its key."""
    EFFECT = "effect"
    """It is run for what it does (saves, shows, uploads): never merged, remembered or left out."""
    VOLATILE = "volatile"
    """Equal inputs may give different outputs (a service, the clock): never merged or remembered."""
    UNKNOWN = "unknown"
    """Not declared: treated as volatile."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The effect of one class; for FILE, `files` are the inputs that name files in the engine's folders.

    Of a class that only says that it reads files, `files` is empty: any of its inputs may name one.
    """

    effect: Effect
    files: tuple[str, ...] = ()

    @property
    def mergeable(self) -> bool:
        """Whether two uses with equal inputs may become one."""
        return self.effect in (Effect.PURE, Effect.FILE)


OWN_CLASSES = (LOADER_CLASS, SAVER_CLASS, PORT_CLASS, RUNNER_CLASS)

_PURE = Rule(Effect.PURE)
_EFFECT = Rule(Effect.EFFECT)
_VOLATILE = Rule(Effect.VOLATILE)
_UNKNOWN = Rule(Effect.UNKNOWN)

RULES: Mapping[str, Rule] = {
    PORT_CLASS: _PURE,
    LOADER_CLASS: _PURE,
    SAVER_CLASS: _EFFECT,
    RUNNER_CLASS: _EFFECT,
    "Reroute": _PURE,
    # Readers of uploaded files: the prompt holds the name, the result follows the content.
    "LoadImage": Rule(Effect.FILE, ("image",)),
    "LoadImageMask": Rule(Effect.FILE, ("image",)),
    "LoadLatent": Rule(Effect.FILE, ("latent",)),
    "LoadAudio": Rule(Effect.FILE, ("audio",)),
    "LoadVideo": Rule(Effect.FILE, ("file",)),
    "Load3D": Rule(Effect.FILE, ("model_file", "image")),
    "Load3DAdvanced": Rule(Effect.FILE, ("model_file", "image")),
    "Painter": Rule(Effect.FILE, ("mask",)),
    # Readers of models.
    **{
        name: Rule(Effect.FILE, inputs)
        for name, inputs in {
            "AudioEncoderLoader": ("audio_encoder_name",),
            "CheckpointLoader": ("config_name", "ckpt_name"),
            "CheckpointLoaderSimple": ("ckpt_name",),
            "CLIPLoader": ("clip_name",),
            "CLIPVisionLoader": ("clip_name",),
            "ControlNetLoader": ("control_net_name",),
            "CreateHookLora": ("lora_name",),
            "CreateHookLoraModelOnly": ("lora_name",),
            "CreateHookModelAsLora": ("ckpt_name",),
            "CreateHookModelAsLoraModelOnly": ("ckpt_name",),
            "DiffControlNetLoader": ("control_net_name",),
            "DiffusersLoader": ("model_path",),
            "DualCLIPLoader": ("clip_name1", "clip_name2"),
            "FrameInterpolationModelLoader": ("model_name",),
            "GLIGENLoader": ("gligen_name",),
            "HypernetworkLoader": ("hypernetwork_name",),
            "ImageOnlyCheckpointLoader": ("ckpt_name",),
            "LatentUpscaleModelLoader": ("model_name",),
            "LoadBackgroundRemovalModel": ("bg_removal_name",),
            "LoadDA3Model": ("model_name",),
            "LoadMediaPipeFaceLandmarker": ("model_name",),
            "LoadMoGeModel": ("model_name",),
            "LoraLoader": ("lora_name",),
            "LoraLoaderBypass": ("lora_name",),
            "LoraLoaderBypassModelOnly": ("lora_name",),
            "LoraLoaderModelOnly": ("lora_name",),
            "LTXAVTextEncoderLoader": ("text_encoder", "ckpt_name"),
            "LTXVAudioVAELoader": ("ckpt_name",),
            "ModelPatchLoader": ("name",),
            "OpticalFlowLoader": ("model_name",),
            "PhotoMakerLoader": ("photomaker_model_name",),
            "QuadrupleCLIPLoader": ("clip_name1", "clip_name2", "clip_name3", "clip_name4"),
            "StyleModelLoader": ("style_model_name",),
            "TrainLoraNode": ("existing_lora",),
            "TripleCLIPLoader": ("clip_name1", "clip_name2", "clip_name3"),
            "unCLIPCheckpointLoader": ("ckpt_name",),
            "UNETLoader": ("unet_name",),
            "UpscaleModelLoader": ("model_name",),
            "VAELoader": ("vae_name",),
        }.items()
    },
    # Readers of whole folders, of the output folder (which runs write to), and of devices.
    "LoadImageOutput": _VOLATILE,
    "LoadImageDataSetFromFolder": _VOLATILE,
    "LoadImageTextDataSetFromFolder": _VOLATILE,
    "LoadVideoDataSetFromFolder": _VOLATILE,
    "LoadVideoTextDataSetFromFolder": _VOLATILE,
    "LoadTrainingDataset": _VOLATILE,
    "WebcamCapture": _VOLATILE,
    "RecordAudio": _VOLATILE,
}
"""Classes that differ from what their module says. Everything else: see `EffectTable.rule`."""


class EffectTable:
    """The effect of every class of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._rules: dict[str | None, Rule] = {None: _UNKNOWN}

    def rule(self, class_type: str | None) -> Rule:
        """Return the rule of a class: the table's own, else by what the catalog says of it."""
        rule = self._rules.get(class_type)
        if rule is None:
            rule = self._rules[class_type] = self._find(str(class_type))
        return rule

    def _find(self, class_type: str) -> Rule:
        node_class = self.catalog.get(class_type)
        if node_class is None or class_type in OWN_CLASSES:
            return RULES.get(class_type, _UNKNOWN)
        if node_class.effect is not None:
            return _declared(node_class.effect)
        if is_core(node_class) and class_type in RULES:
            return RULES[class_type]
        if node_class.output_node:
            return _EFFECT
        if node_class.api_node or _package(node_class) == "comfy_api_nodes":
            return _VOLATILE
        return _PURE if is_core(node_class) else _UNKNOWN


def is_core(node_class: NodeClass) -> bool:
    """Return whether a class is one of ComfyUI's own: only then does its name say what it does."""
    return _package(node_class) in ("nodes", "comfy_extras", "comfy_api_nodes")


def means_what_it_is_called(class_type: str | None, catalog: Catalog) -> bool:
    """Return whether a class of this name does what ComfyUI's class of that name does: where no custom node has it."""
    node_class = catalog.get(class_type) if class_type is not None else None
    return node_class is None or is_core(node_class)


def _package(node_class: NodeClass) -> str:
    return node_class.python_module.partition(".")[0]


def _declared(word: str) -> Rule:
    """Return what a class says of itself; a word that means nothing says nothing."""
    try:
        return Rule(Effect(word))
    except ValueError:
        return _UNKNOWN
