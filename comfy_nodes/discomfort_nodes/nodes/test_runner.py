"""DiscomfortTestRunner: a workflow with DiscomfortPorts as one node, to try it out in ComfyUI's editor."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from discomfort.server_access.protocol import RUNNER_CLASS, RUNNER_OUTPUTS
from discomfort_nodes.installed import ask_whether_changed, installed_catalog, workflow_file
from discomfort_nodes.nodes.anytype import ANY
from discomfort_nodes.registry import prompt_server
from discomfort_nodes.server_files import SERVER_FILES

if TYPE_CHECKING:
    from discomfort.compiler.plan.model import PlanData

REMEMBERED_NAMES = 1024


class PortInputs(dict[str, tuple[Any, ...]]):
    """The optional inputs of a class that takes any name: each is a link that is handed over as such (`rawLink`), and
    that is followed only where the expanded graph does (`lazy`).

    ComfyUI walks through the inputs of a class to check what is linked there, so the names that prompts use are
    remembered for that walk. They are not among the items, which is what `/object_info` shows.
    """

    _names: ClassVar[OrderedDict[str, None]] = OrderedDict()

    @classmethod
    def remember(cls, message: Any) -> Any:
        """Note the ports in a prompt that is being queued; `message` is what the client sent and is given back."""
        prompt = message.get("prompt") if isinstance(message, dict) else None
        for node in prompt.values() if isinstance(prompt, dict) else ():
            if isinstance(node, dict) and node.get("class_type") == RUNNER_CLASS:
                inputs = node.get("inputs")
                for name in inputs if isinstance(inputs, dict) else ():
                    cls._names[name] = None
                    cls._names.move_to_end(name)
        while len(cls._names) > REMEMBERED_NAMES:
            cls._names.popitem(last=False)
        return message

    def __contains__(self, name: object) -> bool:
        return name not in ("workflow", "unique_id", "dynprompt")

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return (ANY, {"rawLink": True, "lazy": True})

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._names if name in self])


class DiscomfortTestRunner:
    """Runs a workflow file as one node: its INPUT ports are the node's inputs, its OUTPUT ports the outputs.

    The workflow is compiled by Discomfort's own compiler, and ComfyUI runs the result in the node's place (node
    expansion). What feeds a port is joined to what the port feeds, so that lists, caching and laziness are those of
    one big workflow.
    """

    CATEGORY = "discomfort/testing"
    DESCRIPTION = "Runs a workflow that has DiscomfortPorts: its ports become this node's inputs and outputs."
    RETURN_TYPES: tuple[str, ...] = (ANY,) * RUNNER_OUTPUTS
    RETURN_NAMES = tuple(f"output {number}" for number in range(1, RUNNER_OUTPUTS + 1))
    FUNCTION = "expand"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Mapping[str, Any]]:
        tooltip = "A workflow file: its path below your saved workflows or the input folder."
        return {
            "required": {"workflow": ("STRING", {"default": "", "multiline": False, "tooltip": tooltip})},
            "optional": PortInputs(),
            "hidden": {"unique_id": "UNIQUE_ID", "dynprompt": "DYNPROMPT"},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, workflow: str, input_types: Mapping[str, str], **given: Any) -> bool | str:
        """Say before anything runs what is wrong with the workflow, and which ports lack something."""
        try:
            from discomfort.compiler.subworkflow import input_problems

            plan = _compiled(workflow)
            ports = {name: value for name, value in given.items() if name not in ("unique_id", "dynprompt")}
            problems = input_problems(plan, ports, input_types)
        except (ImportError, ValueError, OSError) as error:
            return _message(error)
        return "; ".join(problems) or True

    @classmethod
    def IS_CHANGED(
        cls, workflow: str, unique_id: str | None = None, dynprompt: Any = None, **given: Any
    ) -> str | float:
        """Answer with a digest of what the workflow's result depends on besides its ports, its files included."""
        from discomfort.compiler.subworkflow import content_digest

        read = SERVER_FILES.content
        path = workflow_file(workflow)
        return content_digest(path, _compiled(workflow), installed_catalog(), given, ask=ask_whether_changed, read=read)

    def expand(self, workflow: str, unique_id: str, dynprompt: Any, **given: Any) -> dict[str, Any]:
        """Return the graph to run in this node's place.

        Raises:
            RuntimeError: the workflow cannot run as a node; says why.
        """
        try:
            from discomfort.compiler.subworkflow import expand_subworkflow, input_problems, refuse_recursion
            from discomfort.input_files.sources import expansion_with_sources

            refuse_recursion(workflow, unique_id, dynprompt, workflow_file)
            plan = _compiled(workflow)
            problems = input_problems(plan, given, {})
            if problems:
                raise ValueError("; ".join(problems))
            made = expand_subworkflow(plan, installed_catalog(), given, f"{unique_id}.")
            return expansion_with_sources(made, SERVER_FILES.for_prompt)
        except (ImportError, ValueError, OSError) as error:
            raise RuntimeError(_message(error)) from error


def watch_prompts() -> None:
    """Learn which ports prompts use; does nothing in a process that is not a ComfyUI server."""
    add_handler = getattr(prompt_server(), "add_on_prompt_handler", None)
    if add_handler is not None:
        add_handler(PortInputs.remember)


def _compiled(workflow: str) -> PlanData:
    from discomfort.compiler.subworkflow import compile_subworkflow

    return compile_subworkflow(workflow_file(workflow), installed_catalog())


def _message(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{RUNNER_CLASS} needs Discomfort's compiler, which cannot be imported here: {error}"
    return f"{RUNNER_CLASS}: {error}"
