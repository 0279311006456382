"""Whether the frontend and the compiler agree on a workflow, and the first difference where they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from discomfort.compiler.frontend import load_workflow
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import Catalog
from discomfort.ir.diagnostics import CompileError, has_errors

from ..templates import first_difference, without_wall_clock
from .page import Answer


def disagreement(document: Mapping[str, Any], answer: Answer, catalog: Catalog) -> str | None:
    """Return as text how our prompt for `document` differs from the frontend's; None where they agree.

    Where the frontend throws, or gives an empty prompt for a workflow with something in it, we agree by a finding
    that is an error.
    """
    try:
        workflow = load_workflow(dict(document), catalog)
    except CompileError as error:
        return None if not answer.value else f"we refuse it, the editor does not: {error}"
    ours = json.loads(json.dumps(emit_prompt(workflow.graph)))
    if not answer.value:
        if has_errors(workflow.diagnostics) or (answer.error is None and not ours):
            return None
        return f"the editor refuses it ({(answer.error or 'an empty prompt')[:200]}), we find nothing wrong"
    ours, theirs = without_wall_clock(ours), without_wall_clock(answer.value)
    return None if ours == theirs else first_difference(ours, theirs)
