"""How commands print their findings: text for people on standard error, JSON for programs on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discomfort.ir.diagnostics import Diagnostic


def report(findings: Iterable[Diagnostic], *, as_json: bool) -> None:
    """Print findings; as JSON, one array of them."""
    from discomfort.ir.diagnostics import render

    if as_json:
        sys.stdout.write(json.dumps([finding.to_json() for finding in findings], indent=2) + "\n")
        return
    text = render(findings)
    if text:
        sys.stderr.write(text + "\n")
