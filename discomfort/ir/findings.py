"""How findings are made and collected: every room uses these, so that the code alone decides how bad one is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from discomfort.ir.codes import CODES, Severity
from discomfort.ir.diagnostics import CompileError, Diagnostic, MissingFile, Place, has_errors

MOST_OF_ONE_FILE = 1000
"""At most this many findings of one file are kept, and as many errors besides them; the rest are counted."""

Related = tuple[tuple[str, Place], ...]
"""Other places that matter to a finding, each with a short reason."""


def make_finding(
    code: str, message: str, where: Place, hint: str | None = None, *, related: Related = (), milder: bool = False
) -> Diagnostic:
    """Return a finding; `milder` where it is one of those that matter less, which the table of codes allows."""
    return Diagnostic(code, _severity(code, milder=milder), where, message, hint, related)


def missing_file(file: str) -> Diagnostic:
    """Return the finding that a workflow's file does not exist; see `MissingWorkflowError`."""
    message = "the workflow cannot be read: there is no such file"
    return MissingFile("DF101", _severity("DF101", milder=False), Place(file=file), message, "check the path")


def made_milder(found: Diagnostic) -> Diagnostic:
    """Return a finding with the milder severity of its code."""
    return replace(found, severity=_severity(found.code, milder=True))


def _severity(code: str, *, milder: bool) -> Severity:
    entry = CODES[code]
    if not milder:
        return entry.severity
    if entry.milder is None:
        raise ValueError(f"{code} has no milder severity")
    return entry.milder


class Findings:
    """Findings in the order in which they were made; those of one `file` are limited in number."""

    def __init__(self, file: str | None = None) -> None:
        self.file = file
        self._kept: list[Diagnostic] = []
        self._dropped = 0

    def add(
        self,
        code: str,
        message: str,
        where: Place | None = None,
        hint: str | None = None,
        *,
        related: Related = (),
        milder: bool = False,
    ) -> None:
        """Add a finding, see `make_finding`; a place without a file is in the file of this collector."""
        self.extend(
            [make_finding(code, message, self._in_file(where or Place()), hint, related=related, milder=milder)]
        )

    def extend(self, findings: Iterable[Diagnostic]) -> None:
        """Add findings that are already made."""
        for found in findings:
            room = MOST_OF_ONE_FILE if found.severity is not Severity.ERROR else 2 * MOST_OF_ONE_FILE
            if self.file is not None and len(self._kept) >= room:
                self._dropped += 1
            else:
                self._kept.append(found)

    @property
    def full(self) -> bool:
        """Whether no further finding would be kept."""
        return self.file is not None and len(self._kept) >= 2 * MOST_OF_ONE_FILE

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.result())

    def __len__(self) -> int:
        return len(self._kept) + bool(self._dropped)

    def result(self) -> tuple[Diagnostic, ...]:
        """Return all findings; a last note says how many were left out."""
        if not self._dropped:
            return tuple(self._kept)
        message = f"{self._dropped} more findings in this file are not shown"
        return (*self._kept, make_finding("DF100", message, Place(file=self.file)))

    def raise_errors(self) -> None:
        """Raise a CompileError with all findings where one of them is an error."""
        if has_errors(self._kept):
            raise CompileError(self.result())

    def _in_file(self, place: Place) -> Place:
        return place if self.file is None or place.file is not None else replace(place, file=self.file)
