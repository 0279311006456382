"""Compile workflow files in this process and print what it took, as JSON: `python compile_once.py time FILE...`.

Reading, parsing, stitching, all passes, the prompt and the plan's JSON are timed; importing and the catalog are not.
`python compile_once.py memory FILE...` gives the most bytes that Python objects took meanwhile, as tracemalloc counts
them, and the most memory the process had. `floor` is the least such work could take in plain Python:
parsing the JSON, sorting the nodes, and hashing each with the hashes of what feeds it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from hashlib import blake2b
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.programs import chain
from discomfort.ir.api_prompt import emit_prompt
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.ir.graph import Graph, Literal, Node, Param
from discomfort.plan import compile


def closed(graph: Graph) -> Graph:
    """Return the graph with a literal for each parameter, so that it can be emitted."""
    if not any(isinstance(value, Param) for node in graph.nodes.values() for value in node.inputs.values()):
        return graph
    nodes: dict[Any, Node] = {}
    for node in graph.nodes.values():
        inputs = {name: Literal(0) if isinstance(value, Param) else value for name, value in node.inputs.items()}
        nodes[node.id] = Node(node.id, node.class_type, inputs, node.title, node.origin)
    return Graph(nodes, graph.outputs, graph.effects)


def floor(texts: list[bytes]) -> float:
    """Return the seconds of the processor that parsing, a topological sort and Merkle hashing take, uncollected."""
    gc.collect()
    gc.disable()
    begin = time.process_time()
    for text in texts:
        document = json.loads(text)
        graphs = [document, *document.get("definitions", {}).get("subgraphs", ())]
        for graph in graphs:
            merkle(graph["nodes"], graph["links"])
    seconds = time.process_time() - begin
    gc.enable()
    return seconds


def merkle(nodes: list[Any], links: list[Any]) -> dict[int, bytes]:
    """Return a hash of each node from its class, its widgets and the hashes of what feeds it."""
    sources: dict[int, list[int]] = {node["id"]: [] for node in nodes}
    consumers: dict[int, list[int]] = {node["id"]: [] for node in nodes}
    for link in links:
        origin, target = (link["origin_id"], link["target_id"]) if isinstance(link, dict) else (link[1], link[3])
        if origin in consumers and target in sources:
            sources[target].append(origin)
            consumers[origin].append(target)
    waiting = {node: len(found) for node, found in sources.items()}
    ready = [node for node, count in waiting.items() if not count]
    by_id = {node["id"]: node for node in nodes}
    hashes: dict[int, bytes] = {}
    while ready:
        current = ready.pop()
        node = by_id[current]
        parts = [node["type"].encode(), repr(node["widgets_values"]).encode(), *(hashes[s] for s in sources[current])]
        hashes[current] = blake2b(b"|".join(parts), digest_size=16).digest()
        for consumer in consumers[current]:
            waiting[consumer] -= 1
            if not waiting[consumer]:
                ready.append(consumer)
    return hashes


def measure(files: list[Path]) -> dict[str, float]:
    """Return the seconds of the processor that one compile takes, and that its floor takes."""
    gc.collect()
    begin = time.process_time()
    plan = compile(files, catalog=default_catalog())
    prompt = emit_prompt(closed(plan.graph))
    data = plan.to_json()
    seconds = time.process_time() - begin
    assert len(data["nodes"]) == len(prompt)
    return {"seconds": seconds, "floor": floor([file.read_bytes() for file in files])}


def measure_memory(files: list[Path]) -> dict[str, float]:
    """Return the peak of Python's objects in one compile, and the peak of the process (with tracemalloc's own)."""
    import resource

    tracemalloc.start()
    plan = compile(files, catalog=default_catalog())
    prompt = emit_prompt(closed(plan.graph))
    data = plan.to_json()
    peak = tracemalloc.get_traced_memory()[1]
    assert len(data["nodes"]) == len(prompt)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"bytes": peak, "resident": resident if sys.platform == "darwin" else resident * 1024}


def main() -> None:
    """Measure what the command line asks for."""
    kind, *names = sys.argv[1:]
    compile([json.dumps(document) for document in chain(1000)], catalog=default_catalog())
    files = [Path(name) for name in names]
    print(json.dumps(measure(files) if kind == "time" else measure_memory(files)))


if __name__ == "__main__":
    main()
