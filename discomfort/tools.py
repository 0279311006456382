"""Image files in and out, and the documented helpers around workflows (`discomfort.Tools`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discomfort.images import from_picture, opened_picture, to_picture

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from discomfort.compiler.plan.model import Source


class WorkflowTools:
    """The helpers reachable as `discomfort.Tools` and `Discomfort.Tools`.

    Example:
        >>> image = discomfort.Tools.open_image_as_tensor("coffee.png")
        >>> discomfort.Tools.save_comfy_image_to_disk(image[:, :64, :64], "corner.png")[0].name
        'corner.png'
    """

    def open_image_as_tensor(self, image_path: str | os.PathLike[str]) -> torch.Tensor:
        """Return an image file as an IMAGE: float32 `[1, height, width, 3]`, values 0 to 1, RGB.

        The orientation noted in the file is applied, transparency is dropped, 16-bit greyscale keeps its range.

        Raises:
            FileNotFoundError: the file does not exist.
            OSError: the file cannot be opened.
            ValueError: the file is not an image that Pillow can read, is cut short, or has more pixels than it opens.
        """
        import torch
        from PIL import ImageOps

        path = Path(image_path)
        try:
            with opened_picture(path, str(path)) as opened:
                upright = ImageOps.exif_transpose(opened)
                if upright.mode.startswith("I"):
                    upright = upright.point(lambda value: value * (1 / 256)).convert("L")
                pixels = from_picture(upright.convert("RGB"))
        except (OSError, SyntaxError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # about the file itself; what Pillow finds in it has no number
            raise ValueError(f"{path} is not an image file that can be read: {error}") from error
        return torch.from_numpy(pixels)[None]

    def save_comfy_image_to_disk(
        self,
        tensor: torch.Tensor,
        output_path: str | os.PathLike[str],
        workflow: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write an IMAGE to `output_path` and return the files written.

        Takes `[batch, height, width, channel]` or `[height, width, channel]` with 1, 3 or 4 channels; values are
        clamped to 0 to 1, and NaN is 0. A batch of more than one is written as `name_00000.png`, `name_00001.png`…;
        folders are made. With `workflow`, a PNG carries it, so that dropping the file into ComfyUI opens it.

        Raises:
            ValueError: the tensor is not an image, the suffix names no image format, or the format carries no workflow.
            OSError: the file cannot be written.
        """
        images = _as_images(tensor)
        path = Path(output_path)
        if not path.suffix:
            path = path.with_suffix(".png")
        _check_format(path, workflow)
        path.parent.mkdir(parents=True, exist_ok=True)
        names = [path]
        if len(images) > 1:
            names = [path.with_name(f"{path.stem}_{index:05d}{path.suffix}") for index in range(len(images))]
        for name, image in zip(names, images, strict=True):
            _write_image(image, name, workflow)
        return names

    def discover_port_nodes(self, workflow_path: Source) -> dict[str, Any]:
        """Return the ports of a workflow: `inputs`, `outputs` and `passthrus` by unique_id, and the graph around them.

        Each port has `node_id`, `tags`, `type`, `input_type` and `output_type`; besides them the
        result holds `execution_order`, `nodes`, `links` and `unique_id_to_node`.

        Raises:
            CompileError: the workflow cannot be read.
        """
        from discomfort.editor_documents.join import discover_ports

        return discover_ports(workflow_path)

    def validate_workflow(self, workflow: Mapping[str, Any]) -> bool:
        """Return whether a workflow as the editor saves it holds together: nodes, links, and what they point to."""
        from discomfort.editor_documents.join import is_valid_document

        return is_valid_document(workflow)

    def stitch_workflows(
        self,
        workflows: Sequence[Source],
        delete_input_ports: bool = False,
        delete_output_ports: bool = False,
    ) -> dict[str, Any]:
        """Return one workflow made of several, joined where an earlier one writes the `unique_id` a later one reads.

        Returns:
            `stitched_workflow` (opens in ComfyUI), `inputs` and `outputs` (ports by unique_id), `execution_order`
            (node ids). The `delete_…` arguments take the remaining ports of that kind out of the result.

        Raises:
            CompileError: a workflow cannot be read, or is not one that the editor saved.
        """
        from discomfort.editor_documents.join import stitch

        return stitch(workflows, delete_input_ports=delete_input_ports, delete_output_ports=delete_output_ports)

    def remove_reroute_nodes(
        self, nodes: Mapping[Any, Mapping[str, Any]], links: Sequence[Sequence[Any]]
    ) -> tuple[dict[Any, dict[str, Any]], list[list[Any]], dict[int, int]]:
        """Return nodes and link rows without Reroute nodes, and which link id each removed link became part of."""
        from discomfort.editor_documents.join import remove_reroutes

        return remove_reroutes(nodes, links)

    @property
    def pass_by_rules(self) -> dict[str, str]:
        """The rules in force: ComfyUI type name → "val" (stored) or "ref" (rebuilt from its recipe)."""
        from discomfort.settings.pass_by import load_rules

        return dict(load_rules().rules)


def _as_images(tensor: torch.Tensor) -> list[Image.Image]:
    import torch

    shape = list(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
    if not isinstance(tensor, torch.Tensor) or tensor.ndim not in (3, 4) or tensor.shape[-1] not in (1, 3, 4):
        raise ValueError(f"an image is a tensor [batch, height, width, channel] with 1, 3 or 4 channels; got {shape}")
    if tensor.numel() == 0:
        raise ValueError(f"an image has at least one pixel; got {shape}")
    batch = tensor[None] if tensor.ndim == 3 else tensor
    return [to_picture(image) for image in batch]


def _check_format(path: Path, workflow: Mapping[str, Any] | None) -> None:
    from PIL import Image

    suffix = path.suffix.lower()
    if Image.registered_extensions().get(suffix) not in Image.SAVE:
        raise ValueError(f"{path}: {suffix} names no image format that can be written; use .png, .jpg or .webp")
    if workflow is not None and suffix != ".png":
        raise ValueError(f"{path}: only a PNG can carry its workflow")


def _write_image(image: Image.Image, path: Path, workflow: Mapping[str, Any] | None) -> None:
    options: dict[str, Any] = {}
    suffix = path.suffix.lower()
    if workflow is not None:
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("workflow", json.dumps(workflow))
    if suffix in (".jpg", ".jpeg"):
        options["quality"] = 95
        image = image.convert("RGB") if image.mode == "RGBA" else image
    image.save(path, **options)
