"""A workflow file as one node: what its ports are called, what fits them, and the graph that the node expands to."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from discomfort.compiler import CompileError, compile_to
from discomfort.compiler.plan.model import PlanData
from discomfort.ir.api_prompt import plain_value
from discomfort.ir.catalog.effects import PORT_CLASS, RUNNER_CLASS
from discomfort.ir.graph import Input, Link, Literal, Node, Param
from discomfort.ir.types.language import Signatures, accepts
from discomfort.ir.types.literal_rules import CONVERTERS
from discomfort.server_access.protocol import RUNNER_OUTPUTS

if TYPE_CHECKING:
    from discomfort.ir.catalog.catalog import Catalog, InputSpec

SUFFIXES = (".json", ".png", ".webp", ".jpg", ".jpeg")
"""What a workflow's file is called."""

_OWN_INPUTS = ("workflow", "unique_id", "dynprompt")
"""What inputs of the node itself are called."""


_being_asked: ContextVar[tuple[Path, ...]] = ContextVar("discomfort_workflows_being_asked", default=())
"""The workflows inside each other whose content is being looked at."""


class SubWorkflowError(ValueError):
    """A workflow cannot run as one node; the message says why, for the person who chose it."""


def find_workflow(name: str, folders: Sequence[Path]) -> Path:
    """Return the file that `name` means: an absolute path, or one below one of `folders`, the first that has it.

    For names that come from the user of this process; see `find_workflow_below` for others.

    Raises:
        SubWorkflowError: there is none; lists where it was looked for.
    """
    wanted = name.strip()
    path = Path(wanted).expanduser()
    if path.is_absolute():
        if path.suffix.lower() in SUFFIXES and path.is_file():
            return path
        raise SubWorkflowError(f"there is no workflow {wanted}")
    try:
        return find_workflow_below(name, folders)
    except SubWorkflowError as error:
        if not wanted:
            raise
        places = ", ".join(str(folder) for folder in folders)
        raise SubWorkflowError(f"there is no workflow {wanted!r} in {places}; an absolute path works too") from error


def find_workflow_below(name: str, folders: Sequence[Path]) -> Path:
    """Return the file that `name` means below one of `folders`, the first that has it; never one outside of them.

    For names that anybody may send: what the message says does not depend on files outside of `folders`.

    Raises:
        SubWorkflowError: it is absolute, leads upwards, or the file does not exist.
    """
    wanted = name.strip()
    if not wanted:
        raise SubWorkflowError("choose a workflow: a file with DiscomfortPorts")
    for flavour in (PurePosixPath(wanted), PureWindowsPath(wanted)):
        if flavour.drive or flavour.root or ".." in flavour.parts:
            raise SubWorkflowError(
                f"{wanted!r} is not a name below the saved workflows or the input folder, where workflows must lie"
            )
    for folder in folders:
        for candidate in (folder / wanted, folder / f"{wanted}.json"):
            inside = _resolved(candidate)
            if inside is not None and inside.is_relative_to(folder.resolve()) and inside.suffix.lower() in SUFFIXES:
                return inside
    raise SubWorkflowError(f"there is no workflow {wanted!r} in the saved workflows or the input folder")


def _resolved(path: Path) -> Path | None:
    """Return the file behind `path`, links followed; None where there is none, or no file can be called so."""
    try:
        found = path.resolve(strict=True)
        return found if found.is_file() else None
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
        return None


def list_workflows(folders: Sequence[Path]) -> list[str]:
    """Return the JSON files below `folders`, as `find_workflow_below` takes them, sorted."""
    found = {
        path.relative_to(folder).as_posix()
        for folder in folders
        for path in (folder.rglob("*.json") if folder.is_dir() else ())
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (file := _resolved(path)) is not None
        and file.is_relative_to(folder.resolve())
    }
    return sorted(found)


def compile_subworkflow(source: os.PathLike[str], catalog: Catalog) -> PlanData:
    """Return the plan of a workflow that is to run as one node.

    Raises:
        SubWorkflowError: it does not compile, has no ports, has more outputs than a node may have, an input that is
            called as one of the node's own, or classes that `catalog` lacks.
    """
    name = Path(source).name
    try:
        plan = compile_to(PlanData, [source], catalog=catalog)
    except CompileError as error:
        raise SubWorkflowError(f"{name} does not compile:{error}") from error
    missing = sorted({str(node.class_type) for node in plan.graph.nodes.values() if node.class_type not in catalog})
    if missing:
        raise SubWorkflowError(f"{name} needs node classes that are not installed: {', '.join(missing)}")
    if not (plan.inputs or plan.outputs or plan.effects):
        raise SubWorkflowError(f"{name} has no DiscomfortPorts and saves nothing, so there is nothing to run")
    if taken := [port for port in plan.inputs if port in _OWN_INPUTS]:
        raise SubWorkflowError(
            f"{name} has an INPUT port {taken[0]!r}, which the node's own input is called: rename it"
        )
    if len(plan.outputs) > RUNNER_OUTPUTS:
        raise SubWorkflowError(f"{name} has {len(plan.outputs)} OUTPUT ports; a node shows {RUNNER_OUTPUTS} at most")
    return plan


def content_digest(
    path: Path,
    plan: PlanData,
    catalog: Catalog,
    given: Mapping[str, Any],
    *,
    ask: Callable[[str, Mapping[str, Any]], Any],
    read: Callable[[str, Mapping[str, Any]], Any] = lambda _class, _inputs: None,
) -> str | float:
    """Return what stays equal as long as a workflow that runs as one node gives the same for the same inputs.

    That is a digest of the file and of what the classes of its nodes answer when they are asked whether they changed,
    as ComfyUI would ask them were they in the prompt: a picture that the workflow loads, or another workflow that it
    runs, may have changed. NaN, which equals nothing, where a class says so, raises, or wants to be waited for.

    Args:
        path: the workflow's file.
        plan: its plan.
        catalog: the classes that it was compiled with.
        given: what the node's inputs hold, by port: links, or values.
        ask: asks a class by name, with inputs of which those linked are None; None where it has nothing to say.
        read: returns what is in the files that a node reads, given its class and inputs; NaN where that is not known.
    """
    if path in _being_asked.get():
        return "runs itself, which is refused where it is expanded"
    token = _being_asked.set((*_being_asked.get(), path))
    values = {name: None if isinstance(value, list) else value for name, value in given.items()}
    digest = hashlib.sha256(path.read_bytes())
    try:
        for body in expand_subworkflow(plan, catalog, values, "")["expand"].values():
            inputs = {name: None if isinstance(value, list) else value for name, value in body["inputs"].items()}
            answer, files = ask(body["class_type"], inputs), read(body["class_type"], body["inputs"])
            if inspect.iscoroutine(answer):
                answer.close()
                return math.nan
            digest.update(json.dumps([answer, files], sort_keys=True, allow_nan=False).encode())
    except Exception:  # noqa: BLE001 — whatever a class raises, or answers, counts as changed
        return math.nan
    finally:
        _being_asked.reset(token)
    return digest.hexdigest()


def describe_ports(plan: PlanData) -> dict[str, list[dict[str, Any]]]:
    """Return the ports of a workflow as an editor shows them: `inputs` and `outputs`, each with name and type."""
    return {
        "inputs": [{"name": port.name, "type": port.type, "required": port.required} for port in plan.inputs.values()],
        "outputs": [{"name": port.name, "type": port.type} for port in plan.outputs.values()],
    }


def input_problems(plan: PlanData, given: Mapping[str, Any], received: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the inputs of a node that runs `plan`.

    Args:
        plan: the workflow's plan.
        given: what the node's inputs hold, by port.
        received: the types of those that are links, where they are known.
    """
    name = plan.workflows[0].name
    known = ", ".join(plan.inputs) or "none"
    problems = [f"{name} has no INPUT port {port!r}; it has {known}" for port in given if port not in plan.inputs]
    for port in plan.inputs.values():
        if port.name not in given:
            if port.required:
                problems.append(f"{name} needs {port.name!r} ({port.type}): connect it")
        elif port.name in received and not accepts(received[port.name], port.type):
            problems.append(f"{name} takes {port.type} for {port.name!r}, not {received[port.name]}")
    return problems


def expand_subworkflow(plan: PlanData, catalog: Catalog, given: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return what a node gives in place of a result: the graph to run, and what its outputs are.

    Node ids depend on the workflow and on `prefix` alone, so that what ran before is found in the cache again.

    Args:
        plan: the workflow's plan, from `compile_subworkflow`.
        catalog: the classes that it was compiled with.
        given: links `[node id, output]` or values, by port.
        prefix: what the ids of the graph's nodes begin with: unique to the expanding node.
    """
    signatures = Signatures(catalog)
    ports = {
        node.id: value
        for node in plan.graph.nodes.values()
        if node.class_type == PORT_CLASS and type(value := node.inputs.get("input")) is Literal
    }

    def value_of(value: Input, spec: InputSpec | None = None) -> Any:
        if type(value) is Link:
            written = ports.get(value.node)
            return plain_value(written.value) if written is not None else [prefix + value.node, value.slot]
        if type(value) is Param:
            return given.get(value.name)
        assert type(value) is Literal
        return _converted(plain_value(value.value), spec)

    def body_of(node: Node) -> dict[str, Any]:
        specs = signatures.inputs(catalog[str(node.class_type)], node.inputs)
        return {
            "class_type": node.class_type,
            "inputs": {name: value_of(value, specs.get(name)) for name, value in node.inputs.items()},
            "_meta": {"title": node.title},
        }

    return {
        "result": tuple(value_of(output.source) for output in plan.outputs.values()),
        "expand": {prefix + node.id: body_of(node) for node in plan.graph.nodes.values() if node.id not in ports},
    }


def refuse_recursion(workflow: str, node_id: str, prompt: Any, find: Callable[[str], Path]) -> None:
    """Raise where a runner is part of the workflow that it names: running it would never end.

    Args:
        workflow: what the runner's workflow is called.
        node_id: the runner.
        prompt: ComfyUI's dynamic prompt, which knows what each node was expanded from.
        find: returns the file that a workflow's name means.

    Raises:
        SubWorkflowError: naming the workflow.
    """
    path = find(workflow)
    parent = prompt.get_parent_node_id(node_id)
    while parent is not None:
        node = prompt.get_node(parent)
        if node["class_type"] == RUNNER_CLASS and find(node["inputs"]["workflow"]) == path:
            raise SubWorkflowError(f"{path.name} contains a {RUNNER_CLASS} that runs {path.name} itself")
        parent = prompt.get_parent_node_id(parent)


def _converted(value: Any, spec: InputSpec | None) -> Any:
    """Return a literal as its node receives it: ComfyUI does not validate the graphs that nodes expand to."""
    convert = CONVERTERS.get(spec.type) if spec is not None and not isinstance(value, (list, dict)) else None
    return value if convert is None else convert(value)
