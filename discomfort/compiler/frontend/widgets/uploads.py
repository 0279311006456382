"""The upload buttons and players that the editor adds to the inputs of a class."""

from __future__ import annotations

from collections.abc import Iterator

from discomfort.compiler.frontend.widgets.class_widgets import UPLOADS
from discomfort.ir.catalog.catalog import InputSpec, NodeClass

PLAYER = "audioUI"
PICTURE_UPLOAD = "upload"
AUDIO_UPLOAD = "upload audio"
_PLAYERS = frozenset({"LoadAudio", "PreviewAudio", "SaveAudio", "SaveAudioAdvanced", "SaveAudioMP3", "SaveAudioOpus"})
"""Classes to whose required inputs the editor adds a player."""


def uploads_to(spec: InputSpec) -> str | None:
    """Return which upload button an input adds; None for none."""
    if spec.options.get("audio_upload"):
        return AUDIO_UPLOAD
    if spec.type == "COMBO" and any(spec.options.get(flag) for flag in UPLOADS):
        return PICTURE_UPLOAD
    return None


def editor_inputs(known: NodeClass) -> Iterator[tuple[str, InputSpec | None, str]]:
    """Yield (name, spec, target) of a class's inputs as the editor counts them: its own button and player among them.

    The spec is None for those two; `target` is the input that a button fills.
    """
    required = [spec for spec in known.inputs if spec.group == "required"]
    yield from ((spec.name, spec, "") for spec in required)
    if known.name in _PLAYERS:
        yield PLAYER, None, PLAYER
    button = next((spec.name for spec in required if uploads_to(spec) == PICTURE_UPLOAD), None)
    if button is not None:
        yield "upload", None, button
    elif any(spec.name == "audio" and uploads_to(spec) == AUDIO_UPLOAD for spec in required):
        yield "upload", None, AUDIO_UPLOAD
    yield from ((spec.name, spec, "") for spec in known.inputs if spec.group == "optional")
