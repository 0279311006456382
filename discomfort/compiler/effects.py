"""What running a node class does beyond computing its outputs: one table, consulted by every pass and by the memo.

Sources: the classes of ComfyUI 0.33.0 as `/object_info` describes them (`output_node`, `python_module`), and what
each listed class was observed to do. A class that nobody described is `UNKNOWN`: it is never merged and never
remembered, and otherwise an ordinary node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from discomfort.compiler.catalog import Catalog


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
    """Nobody knows: treated as volatile."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The effect of one class; for FILE, `files` are the inputs that name files in the engine's input folder."""

    effect: Effect
    files: tuple[str, ...] = ()

    @property
    def mergeable(self) -> bool:
        """Whether two uses with equal inputs may become one."""
        return self.effect in (Effect.PURE, Effect.FILE)


LOADER_CLASS = "DiscomfortContextLoader"
SAVER_CLASS = "DiscomfortContextSaver"
PORT_CLASS = "DiscomfortPort"
RUNNER_CLASS = "DiscomfortTestRunner"

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
        if class_type in RULES:
            return RULES[class_type]
        node_class = self.catalog.get(class_type)
        if node_class is None:
            return _UNKNOWN
        if node_class.effect is not None:
            return Rule(Effect(node_class.effect))
        if node_class.output_node:
            return _EFFECT
        if node_class.api_node or node_class.python_module.startswith("comfy_api_nodes"):
            return _VOLATILE
        module = node_class.python_module
        return _PURE if module == "nodes" or module.startswith("comfy_extras") else _UNKNOWN
