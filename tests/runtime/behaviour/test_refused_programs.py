"""A program of which something is refused does nothing, however many prompts it takes, on every engine."""

from __future__ import annotations

import re
from typing import Any

import pytest

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.protocol import PromptRejected
from tests.runtime.behaviour.conftest import Rig
from tests.runtime.programs import reads, workflow, writes

SHOWS = workflow(n1=("BehaviourPass", {"value": "shown"}), n2=("BehaviourShow", {"text": ["1", 0]}))
REFUSED = workflow(n7=("BehaviourPicky", {"text": "bad"}), n8=("BehaviourShow", {"text": ["7", 0]}))
ADDS = workflow(
    n1=("BehaviourPass", {"value": "shown"}),
    n2=("BehaviourShow", {"text": ["1", 0]}),
    n3=reads("a"),
    n4=("BehaviourAdd", {"a": ["3", 0], "b": 10}),
    n5=writes("amount", ["4", 0]),
)
COUNTS = workflow(
    n1=reads("amount"), n2=("BehaviourDozen", {"amount": ["1", 0]}), n3=("BehaviourShow", {"text": ["2", 0]})
)
"""Takes a FLOAT where an INT comes, so that the value enters a second prompt."""


def refused(rig: Rig, context: WorkflowContext, *workflows: dict[str, Any], **inputs: Any) -> PromptRejected:
    """Run a program twice, which must be refused each time; return the second error."""
    plan = rig.compile(*workflows)
    for _ in range(2):
        with pytest.raises(PromptRejected) as caught:
            plan.run(context, inputs=inputs, engine=rig.engine)
    return caught.value


@pytest.mark.parametrize("order", ["refused last", "refused first", "in one workflow"])
def test_nothing_runs_of_a_prompt_of_which_an_effect_is_refused(rig: Rig, context: WorkflowContext, order: str) -> None:
    programs = {
        "refused last": (SHOWS, REFUSED),
        "refused first": (REFUSED, SHOWS),
        "in one workflow": ({**SHOWS, **REFUSED},),
    }
    error = refused(rig, context, *programs[order])
    assert rig.noted() == []
    assert [finding.where.node for finding in error.diagnostics] == ["7"]
    assert "no: 'bad'" in str(error)


def test_nothing_runs_of_a_program_of_which_a_later_prompt_is_refused(rig: Rig, context: WorkflowContext) -> None:
    error = refused(rig, context, ADDS, {**COUNTS, **REFUSED}, a=2)
    assert rig.noted() == []
    assert [finding.where.node for finding in error.diagnostics] == ["7"]


def test_what_is_wrong_with_all_prompts_is_listed_at_once(rig: Rig, context: WorkflowContext) -> None:
    also = workflow(n7=("BehaviourPicky", {"text": "worse"}), n8=("BehaviourShow", {"text": ["7", 0]}))
    error = refused(rig, context, {**ADDS, **REFUSED}, {**COUNTS, **also}, a=2)
    assert rig.noted() == []
    assert [re.findall(r"no: '(\w+)'", finding.message) for finding in error.diagnostics] == [["bad"], ["worse"]]


def test_a_value_that_an_earlier_prompt_computes_is_checked_when_it_is_there(
    rig: Rig, context: WorkflowContext
) -> None:
    plan = rig.compile(ADDS, COUNTS)
    assert plan.graph.conversions
    plan.run(context, inputs={"a": 2}, engine=rig.engine)
    assert rig.noted()[-1] == "Show a dozen (12.0)"
    with pytest.raises(PromptRejected, match=r"13\.0 is not a dozen"):
        plan.run(context, inputs={"a": 3}, engine=rig.engine)
