"""How the double checks a prompt: as ComfyUI does, output by output, so that a prompt can be refused in part.

What custom nodes find as the module `execution`: `validate_prompt(prompt_id, prompt, targets)`.
"""

from __future__ import annotations

import inspect
from typing import Any

import double_literals  # type: ignore[import-not-found]

Finding = dict[str, Any]
Prompt = dict[str, Any]


def is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


class Validation:
    """Checks prompts of nodes of `classes`."""

    def __init__(self, classes: dict[str, Any]) -> None:
        self.classes = classes

    async def validate_prompt(
        self, prompt_id: str, prompt: Prompt, targets: list[str] | None
    ) -> tuple[bool, Finding | None, list[str], dict[str, Any]]:
        """Return whether anything can run, else the error; the outputs that will run; findings by node."""
        for node, spec in prompt.items():
            if spec["class_type"] not in self.classes:
                message = f"Cannot execute because node {spec['class_type']} does not exist."
                error = {"type": "invalid_prompt", "message": message, "details": f"Node ID '#{node}'"}
                return False, {**error, "extra_info": {}}, [], {}
        outputs = [node for node, spec in prompt.items() if getattr(self.classes[spec["class_type"]], "OUTPUT_NODE", 0)]
        outputs = [node for node in reversed(outputs) if targets is None or node in targets]
        if not outputs:
            return False, self._error("prompt_no_outputs", "Prompt has no outputs"), [], {}
        checked: dict[str, tuple[bool, list[Finding]]] = {}
        good = [node for node in outputs if self._is_valid(node, prompt, checked)]
        errors = {
            node: {"errors": found, "dependent_outputs": [], "class_type": prompt[node]["class_type"]}
            for node, (_, found) in checked.items()
            if found
        }
        if not good:
            error = self._error("prompt_outputs_failed_validation", "Prompt outputs failed validation")
            return False, error, [], errors
        return True, None, good, errors

    def _error(self, kind: str, message: str) -> Finding:
        return {"type": kind, "message": message, "details": "", "extra_info": {}}

    def _is_valid(self, node: str, prompt: Prompt, checked: dict[str, tuple[bool, list[Finding]]]) -> bool:
        if node in checked:
            return checked[node][0]
        inputs = prompt[node]["inputs"]
        above = [self._is_valid(str(value[0]), prompt, checked) for value in inputs.values() if is_link(value)]
        found = [*self._input_findings(prompt[node], prompt)]
        if not found:
            found += self._own_findings(prompt[node], prompt)
        checked[node] = (all(above) and not found, found)
        return checked[node][0]

    def _input_findings(self, spec: Any, prompt: Prompt) -> Any:
        made = self.classes[spec["class_type"]]
        for name, kind in made.INPUT_TYPES().get("required", {}).items():
            value = spec["inputs"].get(name)
            extra = {"input_name": name, "input_config": list(kind)}
            if name not in spec["inputs"]:
                yield {
                    "type": "required_input_missing",
                    "message": "Required input is missing",
                    "details": name,
                    "extra_info": extra,
                }
            elif is_link(value):
                given = self.classes[prompt[str(value[0])]["class_type"]].RETURN_TYPES[value[1]]
                if "input_types" not in own_parameters(made) and given != kind[0] and "*" not in (given, kind[0]):
                    yield {
                        "type": "return_type_mismatch",
                        "message": "Return type mismatch between linked nodes",
                        "details": f"{name}, received_type({given}) mismatch input_type({kind[0]})",
                        "extra_info": {**extra, "received_type": given, "linked_node": value},
                    }
            elif (problem := double_literals.convert_literal(spec["inputs"], name, kind)) is not None:
                yield problem

    def _own_findings(self, spec: Any, prompt: Prompt) -> list[Finding]:
        """Ask VALIDATE_INPUTS: literals as they are, None for what comes along a link."""
        made, inputs = self.classes[spec["class_type"]], spec["inputs"]
        names = own_parameters(made)
        if not names:
            return []
        arguments = {
            name: None if is_link(value) else value for name, value in inputs.items() if name in names or "**" in names
        }
        if "input_types" in names:
            links = {name: value for name, value in inputs.items() if is_link(value)}
            arguments["input_types"] = {
                name: self.classes[prompt[str(value[0])]["class_type"]].RETURN_TYPES[value[1]]
                for name, value in links.items()
            }
        try:
            answer = made.VALIDATE_INPUTS(**arguments)
        except Exception as error:  # noqa: BLE001  (a server reports whatever a node raises)
            kind, message = "exception_during_validation", "Exception when validating node"
            return [{"type": kind, "message": message, "details": str(error), "extra_info": {}}]
        if answer is True:
            return []
        return [
            {
                "type": "custom_validation_failed",
                "message": "Custom validation failed for node",
                "details": f"{name} - {answer}",
                "extra_info": {"input_name": name},
            }
            for name in arguments
        ]


def own_parameters(made: Any) -> set[str]:
    """Return what VALIDATE_INPUTS takes; `**` where it takes everything."""
    if not hasattr(made, "VALIDATE_INPUTS"):
        return set()
    signature = inspect.getfullargspec(made.VALIDATE_INPUTS)
    return {*signature.args[1:], *(["**"] if signature.varkw else [])}
