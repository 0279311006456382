"""Where the readers of a workflow put what they have to say."""

from __future__ import annotations

from discomfort.ir.diagnostics import Diagnostic, MissingFile, Place, Severity

LIMIT = 1000
"""At most this many findings of one file are kept; the rest are counted."""


class Findings:
    """The findings of one file, in the order in which they were made."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Diagnostic] = []
        self._dropped = 0

    def error(self, code: str, message: str, **where: str | None) -> None:
        """Add an error; `where` may hold `path`, `node`, `title`, `input` and `hint`."""
        self._add(Severity.ERROR, code, message, where)

    def missing_file(self) -> None:
        """Add the error that the file does not exist."""
        message = "the workflow cannot be read: there is no such file"
        self._found.append(MissingFile("DF101", Severity.ERROR, Place(file=self.file), message, "check the path"))

    def warning(self, code: str, message: str, **where: str | None) -> None:
        """Add a warning; `where` as for errors."""
        self._add(Severity.WARNING, code, message, where)

    def note(self, code: str, message: str, **where: str | None) -> None:
        """Add a note; `where` as for errors."""
        self._add(Severity.NOTE, code, message, where)

    @property
    def full(self) -> bool:
        """Whether no further finding would be kept."""
        return len(self._found) >= 2 * LIMIT

    def result(self) -> tuple[Diagnostic, ...]:
        """Return all findings; a last note tells how many were left out."""
        if self._dropped:
            words = f"{self._dropped} more findings in this file are not shown"
            return (*self._found, Diagnostic("DF100", Severity.NOTE, Place(file=self.file), words))
        return tuple(self._found)

    def _add(self, severity: Severity, code: str, message: str, where: dict[str, str | None]) -> None:
        if len(self._found) >= LIMIT and severity is not Severity.ERROR:
            self._dropped += 1
            return
        if self.full:
            self._dropped += 1
            return
        hint = where.pop("hint", None)
        self._found.append(Diagnostic(code, severity, Place(file=self.file, **where), message, hint))
