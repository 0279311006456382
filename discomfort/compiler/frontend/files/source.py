"""Where workflows come from: paths, texts, bytes, standard input, parsed JSON; and how their JSON is read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from discomfort.compiler.frontend.files.contents import FileTooLarge, StoredBytes, open_content, read_limited
from discomfort.ir.diagnostics import Place
from discomfort.ir.findings import Findings, missing_file
from discomfort.ir.untrusted_json.nesting import TOO_LONG, loads_any_number, place_of_long_number, text_is_too_deep


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """A workflow's content before it is understood: its name, where it is from, and bytes or parsed JSON."""

    name: str
    label: str
    content: bytes | StoredBytes | Mapping[str, Any] | None


def open_source(source: object, name: str | None) -> tuple[OpenedSource, Findings]:
    """Return the content of `source`; what cannot be read becomes a finding and content None."""
    if isinstance(source, Mapping):
        return OpenedSource(name or "workflow", "<dict>", source), Findings("<dict>")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return OpenedSource(name or "workflow", "<bytes>", bytes(source)), Findings("<bytes>")
    if source == "-":
        return _standard_input(name or "stdin")
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return OpenedSource(name or "workflow", "<text>", source.encode("utf-8", "surrogatepass")), Findings("<text>")
    label = str(source)
    findings = Findings(label)
    if not isinstance(source, (str, os.PathLike)):
        message = f"a workflow is a path, JSON, bytes or a dict, not {type(source).__name__}"
        findings.add("DF101", message)
        return OpenedSource(name or "workflow", label, None), findings
    stem = name or Path(label).stem or "workflow"
    try:
        content: bytes | StoredBytes | None = open_content(source)
    except FileNotFoundError:
        content = None
        findings.extend([missing_file(label)])
    except (OSError, ValueError) as error:
        content = None
        findings.add("DF101", f"the workflow cannot be read: {error}", hint="check the path")
    return OpenedSource(stem, label, content), findings


def _standard_input(name: str) -> tuple[OpenedSource, Findings]:
    findings = Findings("<stdin>")
    if sys.stdin is None:  # closed by who started the program
        findings.add("DF101", "the workflow cannot be read: there is no standard input")
        return OpenedSource(name, "<stdin>", None), findings
    try:
        return OpenedSource(name, "<stdin>", read_limited(sys.stdin.buffer)), findings
    except (FileTooLarge, OSError) as error:
        findings.add("DF101", f"the workflow cannot be read: {error}")
        return OpenedSource(name, "<stdin>", None), findings


def parse_json(content: bytes, findings: Findings) -> Any:
    """Return the parsed JSON, or None with a finding that names line and column."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kinds = "PNG, WebP, JPEG, MP4, WebM, Matroska or FLAC"
        findings.add("DF102", f"the file is neither JSON in UTF-8 nor {kinds}: {error.reason}")
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        if not text.strip():
            findings.add("DF102", "the file is empty")
        elif error.pos >= len(text.rstrip()):
            findings.add("DF102", f"the JSON ends too early, at {where}", hint="the file is probably truncated")
        else:
            findings.add("DF102", f"this is not JSON: {error.msg} at {where}")
    except RecursionError:
        findings.add("DF102", "the JSON is nested too deeply for a workflow")
    except ValueError as error:
        _explain(error, text, findings)
    else:
        if value is None:
            findings.add("DF103", "a workflow is a JSON object, found null")
        if not text_is_too_deep(content):
            return value
        findings.add("DF102", "the JSON is nested too deeply for a workflow")
    return None


def _explain(error: ValueError, text: str, findings: Findings) -> None:
    """Add why JSON with the right syntax was not read: for a constant that JSON lacks, or a number that is too long."""
    try:
        document = loads_any_number(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        findings.add("DF102", f"this is not JSON: {error}")
        return
    node, name, way = place_of_long_number(document)
    findings.add("DF102", f"this is not a workflow: {TOO_LONG} ({way})", Place(node=node, input=name))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
