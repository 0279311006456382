"""Every finding's code and what it means in a line; the pages about them are in `docs/diagnostics.md`.

DF1xx reading a workflow · DF2xx ports and stitching · DF3xx the graph and its types · DF4xx the plan ·
DF5xx binding and running.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "DF100": "there are more findings than are shown",
    "DF101": "a workflow cannot be opened",
    "DF102": "a file is not JSON",
    "DF103": "the JSON is not a workflow",
    "DF104": "a media file is damaged",
    "DF105": "a media file embeds no workflow",
    "DF110": "a part of the workflow has another form than the editor writes",
    "DF111": "a node is not written as a node",
    "DF112": "two nodes have one id",
    "DF113": "a link leads to nothing",
    "DF114": "a loop of bypassed nodes or reroutes feeds an input",
    "DF115": "a bypassed node has nothing to hand on",
    "DF121": "a subgraph contains itself",
    "DF122": "subgraphs are nested too deep or unfold to too many nodes",
    "DF130": "a node type is not in the catalog",
    "DF141": "a file name holds the moment of compilation",
    "DF142": "a file name prefix is not text",
    "DF143": "a node takes its picture from the browser",
    "DF144": "a text with random choices has too many of them",
    "DF150": "an API prompt cannot be joined into a workflow for the editor",
    "DF151": "a port inside a subgraph cannot be joined into a workflow for the editor",
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
    "DF410": "the compiler itself made an unsound graph",
    "DF501": "the context does not hold an input",
    "DF502": "a value does not fit its port",
    "DF503": "a value is not among the options of the engine that is to run",
    "DF505": "a workflow saved as a ref is not one closed output",
    "DF520": "the engine refuses the prompt",
    "DF521": "a server without our nodes cannot take or give a value",
    "DF522": "a value cannot travel to a remote server without pickle",
}
"""Code → meaning."""
