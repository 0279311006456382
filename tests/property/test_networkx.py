"""Laws of graphs against networkx, an implementation that is not ours."""

from __future__ import annotations

from functools import partial

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.compiler.passes.prune import remove_dead_nodes
from discomfort.ir.graph import Graph, Input, Link, Literal, Node, NodeId, Origin, restricted
from discomfort.ir.walk import CycleError, ancestors, depth_first, producers_first, settled, topological_order
from discomfort.plan import Plan, compile
from tests.property.test_laws import catalog, programs


def graph_of(links: list[list[int]], outputs: list[int], effects: list[int]) -> Graph:
    """A graph whose node `n` reads the nodes `links[n]`, the first of them also at another slot."""
    nodes: dict[NodeId, Node] = {}
    for number, sources in enumerate(links):
        inputs: dict[str, Input] = {f"i{at}": Link(NodeId(str(source)), at) for at, source in enumerate(sources)}
        inputs["literal"] = Literal(number)
        node_id = NodeId(str(number))
        nodes[node_id] = Node(node_id, "Sum", inputs, "", Origin("w", node_id))
    results: dict[str, Input] = {f"o{number}": Link(NodeId(str(number)), 0) for number in outputs}
    return Graph(nodes, results, tuple(NodeId(str(number)) for number in effects))


@st.composite
def graphs(draw: st.DrawFn, acyclic: bool) -> Graph:
    """A random graph in random order of its nodes; several links may lead from one node to another."""
    count = draw(st.integers(1, 12))
    order = draw(st.permutations(range(count)))
    links: list[list[int]] = [[] for _ in range(count)]
    for place, number in enumerate(order):
        sources = order[:place] if acyclic else order
        if sources:
            links[number] = draw(st.lists(st.sampled_from(sources), max_size=3))
    some = st.lists(st.integers(0, count - 1), unique=True, max_size=3)
    return graph_of(links, draw(some), draw(some))


def oracle(graph: Graph) -> networkx.MultiDiGraph:
    made = networkx.MultiDiGraph()
    made.add_nodes_from(graph.nodes)
    made.add_edges_from((link.node, node.id) for node in graph.nodes.values() for _, link in node.links())
    return made


@given(graphs(acyclic=True))
def test_the_order_is_the_first_one_that_networkx_has(graph: Graph) -> None:
    place = {node_id: at for at, node_id in enumerate(graph.nodes)}
    expected = list(networkx.lexicographical_topological_sort(oracle(graph), key=place.__getitem__))
    assert topological_order(graph) == expected
    assert list(producers_first(graph)) == expected


@given(graphs(acyclic=True))
def test_depth_first_puts_producers_first_and_covers_what_networkx_finds_behind_the_roots(graph: Graph) -> None:
    roots = list(graph.roots())
    order = depth_first(roots, lambda node_id: [link.node for _, link in graph.nodes[node_id].links()])
    rival = oracle(graph)
    assert set(order) == {*roots, *(before for root in roots for before in networkx.ancestors(rival, root))}
    assert len(set(order)) == len(order)
    place = {node_id: at for at, node_id in enumerate(order)}
    assert all(place[before] < place[node_id] for node_id in order for before in rival.predecessors(node_id))


@given(graphs(acyclic=False))
def test_depth_first_finds_a_cycle_exactly_where_networkx_does(graph: Graph) -> None:
    rival = oracle(graph)
    roots = list(graph.roots())
    behind = rival.subgraph({*roots, *(before for root in roots for before in networkx.ancestors(rival, root))})
    walk = partial(depth_first, roots, lambda node_id: [link.node for _, link in graph.nodes[node_id].links()])
    if networkx.is_directed_acyclic_graph(behind):
        assert set(walk()) == set(behind)
        return
    with pytest.raises(CycleError) as caught:
        walk()
    cycle = caught.value.cycle
    assert len(set(cycle)) == len(cycle)
    assert all(rival.has_edge(one, next_one) for one, next_one in zip(cycle, (*cycle[1:], cycle[0]), strict=True))


@given(graphs(acyclic=False))
def test_what_is_left_unsettled_is_what_networkx_finds_on_or_after_a_cycle(graph: Graph) -> None:
    rival = oracle(graph)
    names = list(graph.nodes)
    order = [names[number] for number in settled([[names.index(after) for after in rival[name]] for name in names])]
    rings = {name for ring in networkx.strongly_connected_components(rival) if len(ring) > 1 for name in ring}
    rings.update(name for name in names if rival.has_edge(name, name))
    behind = {after for name in rings for after in networkx.descendants(rival, name)}
    assert set(order) == set(names) - rings - behind


@given(graphs(acyclic=False))
def test_cycles_are_those_that_networkx_finds(graph: Graph) -> None:
    rival = oracle(graph)
    if networkx.is_directed_acyclic_graph(rival):
        assert len(topological_order(graph)) == len(graph.nodes)
        return
    with pytest.raises(CycleError) as caught:
        topological_order(graph)
    cycle = caught.value.cycle
    assert len(set(cycle)) == len(cycle)
    assert all(rival.has_edge(one, next_one) for one, next_one in zip(cycle, (*cycle[1:], cycle[0]), strict=True))


@given(graphs(acyclic=False), st.data())
def test_ancestors_are_those_of_networkx(graph: Graph, data: st.DataObject) -> None:
    roots = data.draw(st.lists(st.sampled_from(list(graph.nodes)), max_size=3))
    expected = set(roots).union(*(networkx.ancestors(oracle(graph), root) for root in roots))
    assert ancestors(graph, roots) == expected
    kept = oracle(restricted(graph, expected))
    assert networkx.utils.graphs_equal(kept, networkx.MultiDiGraph(oracle(graph).subgraph(expected)))


@given(graphs(acyclic=True))
def test_L5_pruned_graphs_hold_what_networkx_reaches(graph: Graph) -> None:
    roots = set(graph.roots())
    reached = roots.union(*(networkx.ancestors(oracle(graph), root) for root in roots))
    assert set(remove_dead_nodes(graph).nodes) == reached


@given(programs)
def test_a_plan_as_a_networkx_graph(program: list[dict[str, object]]) -> None:
    plan: Plan = compile(program, catalog=catalog())
    made = plan.to_networkx()
    assert networkx.is_directed_acyclic_graph(made)
    kinds = networkx.get_node_attributes(made, "kind")
    nodes = {name for name, kind in kinds.items() if kind == "node"}
    assert nodes == set(plan.graph.nodes)
    assert {made.nodes[name]["name"] for name, kind in kinds.items() if kind == "input"} == set(plan.inputs)
    assert {made.nodes[name]["name"] for name, kind in kinds.items() if kind == "output"} == set(plan.outputs)
    for node in plan.graph.nodes.values():
        attributes = made.nodes[node.id]
        assert (attributes["class_type"], attributes["workflow"]) == (node.class_type, node.origin.workflow)
        read = {(source, name): slot for source, _, name, slot in made.in_edges(node.id, keys=True, data="slot")}
        assert {(source, name): slot for (source, name), slot in read.items() if source in nodes} == {
            (link.node, name): link.slot for name, link in node.links()
        }
        assert len(read) + len(attributes["literals"]) == len(node.inputs)
