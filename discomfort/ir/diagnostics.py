"""What the compiler has to say about a workflow: findings as data, and how they are shown.

A finding names its place in full, so that no reader has to search for node 137. Checks collect every finding before
anything is raised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from discomfort.errors import DiscomfortError as DiscomfortError
from discomfort.ir.codes import Severity
from discomfort.printable import printable, printable_line


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding is: every part that is known, from the file down to the input.

    `path` is a JSON path into the file (`$.nodes[3].inputs[0]`), `node` the node's id as the editor shows it
    (`host:inner` in subgraphs), `title` what the user reads on it.
    """

    file: str | None = None
    path: str | None = None
    node: str | None = None
    title: str | None = None
    input: str | None = None

    def __str__(self) -> str:
        parts = [self.file or "<workflow>"]
        if self.node is not None:
            parts.append(f"node {self.node}" + (f" ({self.title})" if self.title else ""))
        if self.input is not None:
            parts.append(f"input {self.input!r}")
        if self.path is not None:
            parts.append(self.path)
        return printable_line(", ".join(parts))

    def to_json(self) -> dict[str, str]:
        """Return the place as JSON-able data; absent parts are left out."""
        return {key: value for key in Place.__slots__ if (value := getattr(self, key)) is not None}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code, how bad it is, where it is, what is wrong, and what to do about it.

    `related` holds other places that matter, each with a short reason.

    Example:
        >>> try:
        ...     discomfort.compile(["{}"])
        ... except discomfort.CompileError as error:
        ...     print(error.diagnostics[0].code, error.diagnostics[0].severity.value)
        DF103 error
    """

    code: str
    severity: Severity
    where: Place
    message: str
    hint: str | None = None
    related: tuple[tuple[str, Place], ...] = ()

    def render(self) -> str:
        """Return the finding as text for people, without colour, without a final newline.

        What could steer a terminal is escaped; see `printable`.
        """
        lines = [f"{self.severity.value}[{self.code}] {self.message}", f"  --> {self.where}"]
        lines += [f"  note: {note}: {place}" for note, place in self.related]
        if self.hint:
            lines.append(f"  help: {self.hint}")
        return printable("\n".join(lines))

    def to_json(self) -> dict[str, object]:
        """Return the finding as JSON-able data; absent parts are left out."""
        data: dict[str, object] = {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "where": self.where.to_json(),
        }
        if self.hint:
            data["hint"] = self.hint
        if self.related:
            data["related"] = [{"note": note, "where": str(place)} for note, place in self.related]
        return data


class MissingFile(Diagnostic):
    """The finding that a file does not exist."""

    __slots__ = ()


class CompileError(DiscomfortError, ValueError):
    """The workflows do not compile; `diagnostics` holds every finding, errors first.

    Where a workflow's file does not exist, it is also a FileNotFoundError.

    Example:
        >>> discomfort.compile(["{}"])
        Traceback (most recent call last):
            ...
        discomfort.CompileError: ...
    """

    diagnostics: tuple[Diagnostic, ...]

    def __new__(cls, diagnostics: Iterable[Diagnostic]) -> CompileError:
        """Make the error; a `MissingWorkflowError` where a file is missing."""
        findings = tuple(diagnostics)
        if any(isinstance(finding, MissingFile) for finding in findings):
            error: CompileError = FileNotFoundError.__new__(MissingWorkflowError, findings)
        else:
            error = ValueError.__new__(cls, findings)
        rank = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
        error.diagnostics = tuple(sorted(findings, key=lambda finding: rank[finding.severity]))
        return error

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        super().__init__("\n" + render(self.diagnostics))  # `__new__` has read what may be read only once

    def __reduce__(self) -> tuple[Any, ...]:
        return CompileError, (self.diagnostics,)


class MissingWorkflowError(CompileError, FileNotFoundError):
    """The workflows do not compile, and the file of at least one does not exist.

    Example:
        >>> try:
        ...     discomfort.compile(["nothing.json"])
        ... except FileNotFoundError as error:
        ...     print(error.diagnostics[0].message)
        the workflow cannot be read: there is no such file
    """


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Return whether any finding is an error."""
    return any(finding.severity is Severity.ERROR for finding in diagnostics)


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """Return all findings as text for people, a blank line between two."""
    return "\n\n".join(finding.render() for finding in diagnostics)
