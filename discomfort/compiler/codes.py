"""Every finding's code and what it means in a line; the pages about them are in `docs/diagnostics.md`.

DF1xx reading a workflow · DF2xx ports and stitching · DF3xx the graph and its types · DF4xx the plan ·
DF5xx binding and running.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "DF201": "a port has no unique_id",
    "DF202": "a port's unique_id is not text",
    "DF203": "two OUTPUT ports of one workflow share a unique_id",
    "DF204": "a port is not connected on either side",
    "DF205": "two PASSTHRU ports of one workflow share a unique_id and forward different values",
    "DF206": "a PASSTHRU port has the unique_id of an OUTPUT port",
    "DF207": "an output that was asked for does not exist",
    "DF208": "the workflows cannot be ordered: they need each other",
    "DF209": "there is no workflow to compile",
    "DF210": "a type has no pass-by rule and travels by reference",
    "DF211": "a loop-carried variable is written with another type than it is read with",
    "DF301": "the graph has a cycle",
    "DF302": "a link comes from a node that does not exist",
    "DF303": "a link comes from an output that does not exist",
    "DF304": "a node class is not in the catalog",
    "DF305": "a node has no class",
    "DF306": "a link joins types that do not fit",
    "DF307": "a required input is missing",
    "DF308": "a value cannot be converted to its input's type",
    "DF309": "a number is smaller than its input allows",
    "DF310": "a number is larger than its input allows",
    "DF311": "a value is not among its input's options",
    "DF312": "a file is not among those installed",
    "DF313": "the consumers of a parameter want types that do not fit together",
    "DF314": "inputs that must have one type have several",
    "DF401": "the plan computes nothing",
    "DF402": "a prompt is deeper than a ComfyUI server bears and cannot be split",
}
"""Code → meaning."""
