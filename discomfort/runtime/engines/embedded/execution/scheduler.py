"""Runs the nodes of one prompt: what output nodes need, once each, producers first, in the worker thread.

Nothing here recurses, so depth costs nothing, and every link is looked at a fixed number of times. Two things add to
the graph while it runs: lazy inputs, which become needed when `check_lazy_status` says so, and node expansion.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CoroutineType
from typing import Any, NoReturn

from discomfort.ir.gc_pause import paused_collector
from discomfort.ir.walk import CycleError
from discomfort.runtime.engines.embedded.classes.definition import parameters_of
from discomfort.runtime.engines.embedded.dependencies.changed_results import (
    Deliveries,
    HiddenInputs,
    Reading,
    Soundness,
)
from discomfort.runtime.engines.embedded.dependencies.node_sources import NodeSources
from discomfort.runtime.engines.embedded.execution.effect_queue import StartSequence
from discomfort.runtime.engines.embedded.execution.error_places import failure
from discomfort.runtime.engines.embedded.execution.gc_pause import BriefPause
from discomfort.runtime.engines.embedded.execution.loop_bridge import Bridge, result_of
from discomfort.runtime.engines.embedded.for_node_authors.blocker import (
    ExecutionBlocked,
    ExecutionBlocker,
    Interrupted,
    own_blocker,
)
from discomfort.runtime.engines.embedded.for_node_authors.node_api import Current, current
from discomfort.runtime.engines.embedded.prompt_nodes import call_node
from discomfort.runtime.engines.embedded.prompt_nodes.cache import NodeResult, ResultCache, change_token, result_key
from discomfort.runtime.engines.embedded.prompt_nodes.call_node import Answer
from discomfort.runtime.engines.embedded.prompt_nodes.changes import watch_outputs
from discomfort.runtime.engines.embedded.prompt_nodes.prompt_graph import (
    DynamicPrompt,
    PromptGraph,
    PromptNode,
    is_link,
)
from discomfort.runtime.engines.protocol import (
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeStarted,
    PromptInterrupted,
    PromptRequest,
)

Instances = dict[str, Any]
"""Objects of node classes by node id: a node keeps its object from run to run while its class stays the same, and what
is in the files that it reads."""


Failing = Callable[[str, BaseException], NodeFailed]
"""Makes the error for a node that raised."""


class Run:
    """One prompt on its way."""

    def __init__(
        self,
        request: PromptRequest,
        graph: PromptGraph,
        cache: ResultCache,
        instances: Instances,
        bridge: Bridge,
        sources: NodeSources,
    ) -> None:
        self.request = request
        self.graph = graph
        self.results: dict[str, NodeResult] = {}
        self.deliveries: Deliveries = Deliveries()
        self.executed: list[str] = []
        self.cached: list[str] = []
        self._instances = instances
        self._cache = cache
        self._bridge = bridge
        self._keys: dict[str, str | None] = {}
        self._wanted: set[str] = set()
        self._waiting: dict[str, int] = {}
        self._consumers: dict[str, list[str]] = {}
        self._ready: deque[str] = deque()
        self._unfinished = 0
        self._in_flight = 0
        self._expanded: dict[str, list[Answer]] = {}
        self._asked: dict[str, set[str]] = {}
        self._blocked: list[tuple[str, str]] = []
        self._hidden = HiddenInputs(request, DynamicPrompt(graph))
        self._reading = Reading(sources, instances, lambda: bridge.cancelled)
        self._soundness = Soundness(graph, self.results, cache, self._keys)

    def check_interrupted(self) -> None:
        """Raise Interrupted when the run was cancelled."""
        if self._bridge.cancelled:
            raise Interrupted

    @contextmanager
    def ended_by_cancel(self, end: Callable[[], object]) -> Iterator[None]:
        """Have `end` called when the run is cancelled during a `with` block; see `node_api.ended_by_cancel`."""
        self._bridge.at_cancel.append(end)
        try:
            self.check_interrupted()
            yield
        finally:
            self._bridge.at_cancel.remove(end)

    def report(self, node: str, value: float, maximum: float) -> None:
        """Report how far a node is."""
        if self._bridge.listener is not None:
            self._bridge.emit(NodeProgress(self.graph.origin(node), value, maximum))

    def load(self, digest: str) -> Any:
        """Return the value with this content digest from the context of the run."""
        value = self.request.context.values.get(digest)
        self._cache.note_loaded(value)
        return value

    def finish_deliveries(self) -> Deliveries:
        """Return what savers handed over, now that nothing runs any more."""
        self.deliveries.finish(self._soundness.spoiled)
        return self.deliveries

    def deliver(self, name: str, value: Any) -> None:
        """Take what a saver hands over."""
        running = current.get()
        assert running is not None, "a saver runs"
        self.deliveries.take(name, value, running.node, self._may_change_inputs)

    def _may_change_inputs(self) -> bool:
        """Return whether a node is still to run that may change its inputs in place."""
        nodes, results = self.graph.nodes, self.results
        return any(not nodes[node_id].definition.trusted for node_id in self._wanted if node_id not in results)

    def execute(self, order: Sequence[PromptNode], outputs: Iterable[str]) -> None:
        """Run what `outputs` need of `order` (producers first) and is not known.

        Raises:
            NodeFailed: a node raised, or was blocked with a message; everything that finished is in the cache.
            Interrupted: the run was cancelled.
        """
        running = Current(self)
        current.set(running)
        with paused_collector():
            self._look_up(order)
            self._require(outputs)
            sequence = StartSequence(n.id for n in order if n.definition.output_node and n.id not in self.results)
        with BriefPause() as pause:
            self._run_all(running, pause, sequence)
        if self._blocked:
            node_id, message = self._blocked[0]
            raise self._fail(node_id, ExecutionBlocked(f"Execution Blocked: {message}"))

    def _run_all(self, running: Current, pause: BriefPause, sequence: StartSequence) -> None:
        bridge, ready, nodes = self._bridge, self._ready, self.graph.nodes
        while self._unfinished:
            if bridge.cancelled:
                raise Interrupted
            if ready:
                node = nodes[ready.popleft()]
                if node.definition.output_node:
                    if not sequence.admits(node.id):
                        continue
                    if (follower := sequence.follower()) is not None:
                        ready.appendleft(follower)
                pause.before(node.definition.name)
                self._run(node, running)
            elif self._in_flight:
                self._take_finished()
            elif (held := sequence.give_way()) is not None:
                ready.append(held)
            else:
                raise self._deadlock()

    def _look_up(self, order: Iterable[PromptNode]) -> None:
        """Find the key of each node, and its result where that is known."""
        keys, find = self._keys, self._cache.get
        for node in order:
            change = self._change(node) if node.definition.asks_is_changed else ""
            if node.definition.sources is not None:
                change = self._reading.before(node, change)
            key = keys[node.id] = result_key(node, keys, change)
            known = None if key is None else find(key)
            if known is not None:
                self._know(node, known)

    def _know(self, node: PromptNode, result: NodeResult) -> None:
        self.results[node.id] = result
        if node.id in self.graph.prompt:
            self.cached.append(node.id)
            if self._bridge.listener is not None:
                self._bridge.emit(NodeFinished(node.id, True))

    def _change(self, node: PromptNode) -> str | None:
        """Ask IS_CHANGED; what raises is taken as changed each time, as ComfyUI does, also where it lacks a parameter
        for an input.
        """
        arguments = call_node.arguments_before_running(node)
        try:
            answer = node.definition.node_class.IS_CHANGED(**arguments)
            return change_token(self._settled(answer))
        except Exception:  # noqa: BLE001 — whatever it is, the node runs again and nothing stale is used
            return None

    def _settled(self, answer: Any) -> Any:
        """Return what a function of a node class gave, waiting for it where it is asynchronous."""
        return self._bridge.wait(answer) if isinstance(answer, CoroutineType) else answer

    def _require(self, node_ids: Iterable[str]) -> None:
        """Make nodes and what they need run, unless known."""
        results, wanted, nodes = self.results, self._wanted, self.graph.nodes
        stack = [node_id for node_id in node_ids if node_id not in results]
        stack.reverse()
        while stack:
            node_id = stack.pop()
            if node_id in wanted:
                continue
            wanted.add(node_id)
            self._unfinished += 1
            node = nodes[node_id]
            lazy = node.lazy
            missing = 0
            for name, producer, _ in node.links:
                if producer not in results and name not in lazy:
                    missing += 1
                    self._consumers.setdefault(producer, []).append(node_id)
                    stack.append(producer)
            self._waiting[node_id] = missing
            if not missing:
                self._ready.append(node_id)

    def _wait_for(self, node_id: str, producers: Iterable[str]) -> None:
        """Let a node that was ready wait for more."""
        missing = [producer for producer in dict.fromkeys(producers) if producer not in self.results]
        self._waiting[node_id] = len(missing)
        for producer in missing:
            self._consumers.setdefault(producer, []).append(node_id)
        self._require(missing)
        if not missing:
            self._ready.append(node_id)

    def _run(self, node: PromptNode, running: Current) -> None:
        node_id = node.id
        key = self._keys[node_id]
        definition = node.definition
        running.node = node_id
        try:
            if node_id in self._expanded:
                self._close_expansion(node)
                return
            known = None if key is None else self._cache.get(key)
            if known is not None:
                self._know(node, known)
                self._release(node_id)
                return
            self._soundness.check(node)
            if definition.plain and (arguments := call_node.plain_arguments(node, self.results)) is not None:
                if self._bridge.listener is not None:
                    self._started(node_id)
                running.call = 0
                returned = getattr(self._instance(node), definition.function)(**arguments)
                if type(returned) is tuple and len(returned) == len(definition.output_types):
                    self._finish(node, NodeResult([[own_blocker(value)] for value in returned]))
                else:
                    self._called(node, [returned])
                return
            asked = self._requested(node) if node.lazy else set()
            lists = call_node.gather(node, self.results, self._hidden, asked)
            if node.lazy and (needed := self._needed(node, lists, asked)):
                self._wait_for(node_id, needed)
                return
            if self._bridge.listener is not None:
                self._started(node_id)
            self._call(node, lists, running)
        except BaseException as error:  # noqa: BLE001 — whatever a node raises is its failure, `sys.exit()` included
            self._end(node_id, error)

    def _requested(self, node: PromptNode) -> set[str]:
        """Return the nodes whose results a node with lazy inputs gets: at first those of its other inputs."""
        asked = self._asked.get(node.id)
        if asked is None:
            asked = {producer for name, producer, _ in node.links if name not in node.lazy}
            self._asked[node.id] = asked
        return asked

    def _needed(self, node: PromptNode, lists: Mapping[str, Sequence[Any]], asked: set[str]) -> list[str]:
        """Ask which lazy inputs are needed now; return the nodes that compute them, and add them to `asked`.

        As in ComfyUI only a list counts as an answer.

        Raises:
            LookupError: something is requested that is not an input of the node.
        """
        unasked = {
            name: producer
            for name, producer, _ in node.links
            if name in node.lazy and name not in node.raw_links and producer not in asked
        }
        check = getattr(self._instance(node), "check_lazy_status", None)
        if not unasked or check is None:
            return []
        takes = parameters_of(check)
        assert takes is not None
        names: set[str] = set()
        for arguments in call_node.arguments_of_calls(node, lists):
            if call_node.blocker_in(node.definition, lists, arguments) is None:
                answer = self._settled(check(**takes.select(arguments)))
                names.update(answer if isinstance(answer, list) else ())
        if unknown := sorted(name for name in names if name not in lists):
            raise LookupError(f"check_lazy_status asks for {unknown[0]!r}, which is not an input of this node")
        needed = [producer for name, producer in unasked.items() if name in names]
        asked.update(needed)
        return needed

    def _instance(self, node: PromptNode) -> Any:
        instance = self._instances.get(node.id)
        node_class = node.definition.node_class
        if type(instance) is not node_class:
            instance = self._instances[node.id] = node_class()
        return instance

    def _call(self, node: PromptNode, lists: Mapping[str, Sequence[Any]], running: Current) -> None:
        definition = node.definition
        function = getattr(self._instance(node), definition.function)
        returned: list[Any] = []
        for index, arguments in enumerate(call_node.arguments_of_calls(node, lists)):
            blocker = call_node.blocker_in(definition, lists, arguments)
            if blocker is not None:
                returned.append(call_node.blocked_values(definition, self._pass_on(node, blocker)))
                continue
            self.check_interrupted()
            running.call = index
            returned.append(function(**arguments))
        self._called(node, returned)

    def _started(self, node_id: str) -> None:
        self._bridge.emit(NodeStarted(self.graph.origin(node_id)))

    def _called(self, node: PromptNode, returned: list[Any]) -> None:
        """Take what the calls of a node returned; asynchronous ones go on on the event loop."""
        if CoroutineType in map(type, returned):
            self._in_flight += 1
            parts = [answer for answer in returned if type(answer) is CoroutineType]
            self._bridge.start(node.id, _gather(Current(self, node.id), returned, self._fail), parts)
        else:
            self._answered(node, returned)

    def _pass_on(self, node: PromptNode, blocker: ExecutionBlocker) -> ExecutionBlocker:
        """Note a blocker's message, once, and return the silent one that goes further."""
        if blocker.message is None:
            return blocker
        self._blocked.append((node.id, blocker.message))
        return ExecutionBlocker()

    def _take_finished(self) -> None:
        """Wait for one asynchronous node."""
        node_id, task = self._bridge.finished.get()
        if task is None or self._bridge.cancelled:
            raise Interrupted
        self._in_flight -= 1
        try:
            self._answered(self.graph.nodes[node_id], result_of(task))
        except BaseException as error:  # noqa: BLE001 — as above
            self._end(node_id, error)
        finally:
            del task  # it holds its error, whose traceback holds this frame

    def _answered(self, node: PromptNode, returned: Sequence[Any]) -> None:
        answers = [call_node.read_answer(node.definition, value) for value in returned]
        if any(answer.graph is not None for answer in answers):
            self._expand(node, answers)
        else:
            shown = [answer.ui for answer in answers if answer.ui]
            outputs = call_node.merge_outputs(node.definition, answers, self.results)
            self._finish(node, NodeResult(outputs, call_node.merge_ui(shown)))

    def _expand(self, node: PromptNode, answers: list[Answer]) -> None:
        """Add the graphs of a node's answers; the node waits for what its results link to and for output nodes."""
        self._expanded[node.id] = answers
        wanted: list[str] = []
        fresh: list[str] = []
        for answer in answers:
            if answer.graph is not None:
                self.graph.expand(node.id, answer.graph)
                fresh += answer.graph
                wanted += [value[0] for value in answer.values if is_link(value)]
        unknown = [node_id for node_id in wanted if node_id not in self.graph.raw]
        if unknown:
            raise LookupError(f"the expansion's result links to {unknown[0]!r}, which is not a node")
        try:
            order = self.graph.read([*fresh, *wanted])
        except CycleError as error:
            raise ValueError(f"in the expansion {error}") from error
        self._look_up(order)
        wanted += [child for child in fresh if self.graph.nodes[child].definition.output_node]
        self._wait_for(node.id, wanted)

    def _close_expansion(self, node: PromptNode) -> None:
        answers = self._expanded.pop(node.id)
        self._soundness.check_expansion(node, answers)
        shown = [answer.ui for answer in answers if answer.ui]
        for answer in answers:
            results = (self.results.get(child) for child in answer.graph or ())
            shown += [result.ui for result in results if result is not None and result.ui]
        outputs = call_node.merge_outputs(node.definition, answers, self.results)
        self._finish(node, NodeResult(outputs, call_node.merge_ui(shown)))

    def _finish(self, node: PromptNode, result: NodeResult) -> None:
        node_id = node.id
        key = self._keys[node_id]
        self.results[node_id] = result
        self._soundness.finished.append(node_id)
        result.watch = watch_outputs(result.outputs)
        if node.definition.sources is not None and not self._reading.is_as_before(node):
            self._soundness.spoiled.add(node_id)
        sound = node_id not in self._soundness.spoiled
        if key is not None and sound and node.definition.keeps_results and not self._blocked:
            self._cache.put(key, result)
        if node_id in self.graph.prompt:
            self.executed.append(node_id)
            if self._bridge.listener is not None:
                self._bridge.emit(NodeFinished(node_id, False))
        self._release(node_id)

    def _release(self, node_id: str) -> None:
        """Count a node as finished, and let those that waited for it alone run."""
        self._unfinished -= 1
        waiting = self._waiting
        for consumer in self._consumers.pop(node_id, ()):
            left = waiting[consumer] = waiting[consumer] - 1
            if not left:
                self._ready.append(consumer)

    def _end(self, node_id: str, error: BaseException) -> NoReturn:
        """End the run, because a node raised `error`."""
        if self._bridge.cancelled:
            raise Interrupted from error
        if isinstance(error, (NodeFailed, PromptInterrupted)):
            raise error
        raise self._fail(node_id, error) from error

    def _fail(self, node_id: str, error: BaseException) -> NodeFailed:
        return failure(self.request, self.graph.origin(node_id), error)

    def _deadlock(self) -> NodeFailed:
        """Return the error for nodes that wait for each other: an expansion's node needs the node that expanded."""
        node_id = next(iter(self._expanded), next(iter(self._waiting)))
        stuck = [other for other, count in self._waiting.items() if count and other != node_id]
        message = f"the expansion needs its own result: {', '.join([*stuck[:5], node_id])} wait for each other"
        return self._fail(node_id, ValueError(message))


async def _gather(running: Current, returned: Sequence[Any], fail: Failing) -> list[Any]:
    """Wait for the calls of one node together; each knows which call it is."""
    current.set(running)
    return await asyncio.gather(*(_one(running, index, answer, fail) for index, answer in enumerate(returned)))


async def _one(running: Current, index: int, answer: Any, fail: Failing) -> Any:
    current.set(running.in_call(index))
    try:
        return await answer if isinstance(answer, CoroutineType) else answer
    except (SystemExit, KeyboardInterrupt) as error:  # let out of a task, these would end the event loop
        raise fail(running.node, error) from error
