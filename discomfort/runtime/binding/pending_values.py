"""What replaces values that an earlier prompt will compute, in prompts that are validated before anything runs.

When such a prompt is sent, a loader gives the value, or the value is written in as a literal where its consumer takes
one (`prompts.make_prompt`). Until then only its type is known.
"""

from __future__ import annotations

from collections.abc import Iterable

from discomfort.ir.catalog.effects import LOADER_CLASS
from discomfort.ir.graph import Link, Literal, Node, NodeId, Origin
from discomfort.ir.types.language import ANY, TypeInference, is_open
from discomfort.runtime.engines.protocol import PENDING


class Pending(str):
    """Takes the place of the digest of a value that is not there yet; `type` is ComfyUI's type of it."""

    __slots__ = ("type",)

    type: str

    def __new__(cls, type_name: str) -> Pending:
        """Return the placeholder of a value of a type."""
        made = super().__new__(cls, PENDING)
        made.type = ANY if is_open(type_name) else type_name
        return made


def pending_values(links: Iterable[Link], typing: TypeInference) -> dict[Link, str]:
    """Return the placeholders of the values of `links`."""
    return {link: Pending(typing.of(link)) for link in links}


def add_pending_loader(nodes: dict[NodeId, Node], link: Link, type_name: str) -> Link:
    """Add the loader that gives the value of `link` as `type_name` once it is there; return its output."""
    node_id = NodeId(f"value/{link.node}.{link.slot}/{type_name}")
    inputs = {"digest": Literal(PENDING), "value_type": Literal(type_name)}
    nodes[node_id] = Node(node_id, LOADER_CLASS, inputs, "Value of an earlier prompt", Origin("context", str(node_id)))
    return Link(node_id, 0)
