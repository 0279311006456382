"""Every finding's code, how bad it is, and what it means in a line; the pages about them are in `docs/diagnostics.md`.

DF1xx reading a workflow · DF2xx ports and stitching · DF3xx the graph and its types · DF4xx the plan ·
DF5xx binding and running.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Severity(str, Enum):
    """How bad a finding is: an error stops compilation, a warning does not.

    Example:
        >>> discomfort.Severity("error") is discomfort.Severity.ERROR
        True
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Code:
    """What the findings of one code have in common.

    `milder` is the severity where the finding matters less, for example in a node that does not run; None where a
    finding of this code always has the same severity.
    """

    severity: Severity
    meaning: str
    milder: Severity | None = None

    @property
    def severities(self) -> str:
        """How bad findings of this code can be, as text."""
        return self.severity.value + (f" or {self.milder.value}" if self.milder else "")


ERROR: Final = Severity.ERROR
WARNING: Final = Severity.WARNING
NOTE: Final = Severity.NOTE

CODES: Mapping[str, Code] = {
    "DF100": Code(NOTE, "there are more findings than are shown"),
    "DF101": Code(ERROR, "a workflow cannot be opened"),
    "DF102": Code(ERROR, "a file is not JSON"),
    "DF103": Code(ERROR, "the JSON is not a workflow"),
    "DF104": Code(ERROR, "a media file is damaged"),
    "DF105": Code(ERROR, "a media file embeds no workflow"),
    "DF106": Code(ERROR, "two workflows of one name would be written to one file"),
    "DF110": Code(ERROR, "a part of the workflow has an unexpected structure"),
    "DF111": Code(ERROR, "a node is not written as a node"),
    "DF112": Code(WARNING, "two nodes have one id"),
    "DF113": Code(ERROR, "a link leads to nothing", milder=WARNING),
    "DF114": Code(ERROR, "a loop of bypassed nodes or reroutes feeds an input", milder=WARNING),
    "DF115": Code(ERROR, "a bypassed node has nothing to pass on"),
    "DF116": Code(ERROR, "a group node stays as it is", milder=WARNING),
    "DF117": Code(WARNING, "the editor loses a link to or from a group node"),
    "DF118": Code(WARNING, "no node of the workflow runs"),
    "DF121": Code(ERROR, "a subgraph contains itself"),
    "DF122": Code(ERROR, "subgraphs are nested too deep or unfold to too many nodes"),
    "DF130": Code(WARNING, "a node type is not in the catalog"),
    "DF131": Code(WARNING, "the catalog's entry of a node class cannot be used", milder=NOTE),
    "DF141": Code(NOTE, "a file name holds the time of compilation"),
    "DF142": Code(ERROR, "a file name, or its prefix, is not text"),
    "DF143": Code(ERROR, "a node takes its picture from the browser"),
    "DF144": Code(ERROR, "a text with random choices has too many of them"),
    "DF145": Code(ERROR, "a pattern in a PrimitiveNode's text names the widget that the text is written to"),
    "DF150": Code(ERROR, "an API prompt cannot be joined into a workflow for the editor"),
    "DF151": Code(ERROR, "a port inside a subgraph cannot be joined into a workflow for the editor"),
    "DF201": Code(ERROR, "a port has no unique_id"),
    "DF202": Code(ERROR, "a port's unique_id is not text"),
    "DF203": Code(ERROR, "two OUTPUT ports of one workflow share a unique_id"),
    "DF204": Code(WARNING, "a port is not connected on either side"),
    "DF205": Code(ERROR, "two PASSTHRU ports of one workflow share a unique_id and forward different values"),
    "DF206": Code(WARNING, "a PASSTHRU port has the unique_id of an OUTPUT port"),
    "DF207": Code(ERROR, "an output that was requested does not exist"),
    "DF208": Code(ERROR, "the workflows cannot be ordered: they need each other"),
    "DF209": Code(ERROR, "there is no workflow to compile"),
    "DF210": Code(NOTE, "a type has no pass-by rule and travels by reference"),
    "DF211": Code(WARNING, "a loop-carried variable is written as one type and read as another"),
    "DF301": Code(ERROR, "the graph has a cycle"),
    "DF303": Code(ERROR, "a link comes from an output that does not exist", milder=WARNING),
    "DF304": Code(WARNING, "a node class is not in the catalog"),
    "DF305": Code(ERROR, "a node has no class", milder=WARNING),
    "DF306": Code(ERROR, "a link joins types that do not fit", milder=WARNING),
    "DF307": Code(ERROR, "a required input is missing", milder=WARNING),
    "DF308": Code(ERROR, "a value cannot be converted to its input's type", milder=WARNING),
    "DF309": Code(ERROR, "a number is smaller than its input allows", milder=WARNING),
    "DF310": Code(ERROR, "a number is larger than its input allows", milder=WARNING),
    "DF311": Code(ERROR, "a value is not among its input's options", milder=WARNING),
    "DF312": Code(WARNING, "a file is not among those installed"),
    "DF313": Code(ERROR, "the consumers of a parameter want types that do not fit together"),
    "DF314": Code(ERROR, "inputs that must have one type have several", milder=WARNING),
    "DF401": Code(WARNING, "the plan computes nothing"),
    "DF402": Code(ERROR, "a prompt is deeper than ComfyUI handles reliably and cannot be split", milder=WARNING),
    "DF410": Code(ERROR, "the compiler itself made an unsound graph"),
    "DF501": Code(ERROR, "the context does not hold an input"),
    "DF502": Code(ERROR, "a value does not fit its port"),
    "DF503": Code(ERROR, "a value is not among the options of the engine that is to run"),
    "DF505": Code(ERROR, "a workflow saved as a ref is not one closed output"),
    "DF520": Code(ERROR, "the engine refuses the prompt"),
    "DF521": Code(ERROR, "a server without our nodes cannot take or give a value"),
    "DF522": Code(ERROR, "a value cannot travel to a remote server without pickle"),
    "DF523": Code(ERROR, "a value cannot be rebuilt by the engine that is to use it"),
    "DF530": Code(ERROR, "a node failed while it ran"),
    "DF531": Code(ERROR, "a run could not begin or go on"),
}
"""Code → severity and meaning: nothing else decides how bad a finding is."""
