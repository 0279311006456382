"""A connection to one ComfyUI server: prompts in, their messages sorted out, and a watch on whether it still works."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from discomfort.context.context import WorkflowContext
from discomfort.context.holds import Holds
from discomfort.ir.catalog.catalog import OWN_CLASSES, Catalog
from discomfort.ir.catalog.checked import parse_catalog, with_input_lists
from discomfort.ir.catalog.effects import PORT_CLASS
from discomfort.runtime.engine_thread import within
from discomfort.runtime.engines.comfyui.channels.with_our_nodes import Channel, NodesChannel
from discomfort.runtime.engines.comfyui.channels.without_our_nodes import PlainChannel
from discomfort.runtime.engines.comfyui.connection.answers import REMEDY, object_in, shown, text_of
from discomfort.runtime.engines.comfyui.connection.effect_turns import (
    Targets,
    all_targets,
    dedupe_finished_events,
    nodes_of,
    turns,
)
from discomfort.runtime.engines.comfyui.connection.greeting import greet_nodes
from discomfort.runtime.engines.comfyui.connection.prompt_in_flight import PromptRun
from discomfort.runtime.engines.comfyui.connection.server_errors import rejection
from discomfort.runtime.engines.comfyui.connection.server_queue import PROBE_SECONDS, read_history, read_queue, take_off
from discomfort.runtime.engines.comfyui.connection.transport import Transport, Unanswered, is_final
from discomfort.runtime.engines.comfyui.fingerprints import RequestWithSources
from discomfort.runtime.engines.comfyui.validation import Validation, submission
from discomfort.runtime.engines.protocol import (
    EngineError,
    EngineLost,
    Listener,
    NodeFailed,
    Prompt,
    PromptInterrupted,
    PromptRejected,
    PromptRequest,
    PromptResult,
    TransferLimits,
)
from discomfort.runtime.engines.written_files import written_files

if TYPE_CHECKING:
    from discomfort.ir.catalog.effects import EffectTable
    from discomfort.ir.graph import Node, NodeId
    from discomfort.ir.keys import Source

_FAREWELL_SECONDS = 3.0
_NOTICE_SECONDS = 0.05  # a server that dies breaks its connections one by one


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server.

    `retry_seconds`: it is busy, or cannot be reached. `check_seconds`: it says nothing about our prompts, before it is
    looked after. `answer_seconds`: it answers nothing at all, before it is given up; a node may hold up all else in its
    process. `silence_seconds`: it answers, but says nothing about our prompts and its queue does not move.

    Example:
        >>> discomfort.Patience(silence_seconds=60).retry_seconds
        30.0
    """

    retry_seconds: float = 30.0
    check_seconds: float = 5.0
    answer_seconds: float = 300.0
    silence_seconds: float = 1800.0


Admit: TypeAlias = Callable[[], Awaitable[None]]
"""Lets a prompt that is about to be queued in to our values."""


class _Queued(Exception):
    """A prompt that seemed refused is on the server."""


class Connection:
    """Everything between us and one server process. Once `lost` is set it is of no further use."""

    def __init__(
        self,
        url: str,
        token: str | None,
        patience: Patience,
        is_running: Callable[[], bool],
        share_memory: bool | None = None,
    ) -> None:
        """Prepare a connection.

        Args:
            url: the server's address.
            token: what its Discomfort nodes ask for; None: found out where possible.
            patience: how long to wait for what.
            is_running: returns whether the server's process lives, as far as we know.
            share_memory: whether values may travel through memory that both map; None: where it is on this machine.
        """
        self.transport: Transport = Transport(url, self._hear, patience.retry_seconds, is_running)
        self.lost: EngineError | None = None
        self._token = token
        self._patience = patience
        self._is_running = is_running
        self._share_memory = self.transport.is_local if share_memory is None else share_memory
        self._channel: Channel | None = None
        self._validation: Validation | None = None
        self._has_nodes = False
        self._catalog: asyncio.Task[Catalog] | None = None
        self._runs: dict[str, PromptRun] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._settled = asyncio.Event()
        self._seen_running: set[str] = set()
        self._queue_moved = time.monotonic()

    @property
    def shares_memory(self) -> bool:
        """Whether values cross between us and the server at little cost: through memory that both map."""
        return isinstance(self._channel, NodesChannel) and self._channel.local

    async def open(self) -> None:
        """Connect, and find out how values can travel.

        Raises:
            EngineError: the server wants a token, or has another version of our nodes.
            EngineLost: it cannot be reached.
        """
        await self.transport.open()
        self._has_nodes = await greet_nodes(self.transport, self._token)
        if self._has_nodes:
            self._validation = Validation(self.transport, self.catalog)
            self._channel = NodesChannel(self.transport, self._share_memory)
        else:
            self._channel = PlainChannel(self.transport, self.catalog)
        self._settled.set()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]

    async def settle(self) -> None:
        """Wait until the websocket, should it be lost just now, is back or given up.

        Raises:
            EngineError: it was given up; as `lost`.
        """
        await self._settled.wait()
        if self.lost is not None:
            raise _again(self.lost)

    async def catalog(self) -> Catalog:
        """Return the server's node classes; requested once, and again after `forget_catalog`."""
        if self._catalog is None or (self._catalog.done() and self._catalog.exception() is not None):
            self._catalog = asyncio.create_task(self._read_catalog())
        return await asyncio.shield(self._catalog)

    def forget_catalog(self) -> None:
        """Ask for the classes again when they are needed next: they list the files that the server has."""
        self._catalog = None

    async def transfer_limits(self, context: WorkflowContext) -> TransferLimits | None:
        """Return what can be sent to the server and back; see `Engine.transfer_limits`."""
        assert self._channel is not None, "open() comes first"
        await self.settle()
        return await self._channel.transfer_limits(context)

    async def validate(self, requests: Sequence[PromptRequest]) -> None:
        """Check the prompts of a program before the first of them runs; see `Engine.validate`.

        A server without our nodes can only be asked by sending a prompt, which it runs.
        """
        await self.settle()
        if self._validation is not None:
            await self._validation.check_program(requests)

    async def sources(self, nodes: Collection[Node], effects: EffectTable) -> Mapping[NodeId, Source]:
        """Return what nodes depend on besides their inputs; see `Engine.sources`."""
        assert self._channel is not None, "open() comes first"
        await self.settle()
        return await self._channel.sources(nodes, effects)

    def doubt(self, sources: Collection[tuple[Node, Source]]) -> None:
        """Take note that nodes may have read something else than the server reported."""
        if self._channel is not None:
            self._channel.doubt(sources)

    async def run(self, request: PromptRequest, listener: Listener | None) -> PromptResult:
        """Run one prompt to its end; see `Engine.run`."""
        full = RequestWithSources(request)
        try:
            return full.result(await self._run(full.request, full.listener(listener)))
        except EngineLost as error:
            if self.lost is not None and str(self.lost) != str(error):
                raise _again(self.lost) from error  # the reason, rather than which request broke by it
            raise
        except NodeFailed as error:
            assert self._channel is not None, "it has sent the prompt"
            raise self._channel.explain(error, request) from None

    async def _run(self, request: PromptRequest, listener: Listener | None) -> PromptResult:
        channel = self._channel
        assert channel is not None, "open() comes first"
        await self.settle()
        prompt = await channel.prepare(request)
        extra_data = {"extra_pnginfo": dict(request.extra_pnginfo)} if request.extra_pnginfo else {}
        listener = dedupe_finished_events(listener)
        if self._validation is not None and not request.validated:
            await self._validation.check(prompt, extra_data, all_targets(request), request.places)
        results = Holds(request.context.store)
        letterbox = results.letterbox()
        runs: list[PromptRun] = []
        try:
            for targets in turns(request):
                runs.append(PromptRun(str(uuid.uuid4()), request.places, listener))
                admit = partial(channel.admit, request, runs[-1].prompt_id, targets, letterbox)
                await self._finish(runs[-1], prompt, extra_data, targets, admit)
            ui = {node: shown for run in runs for node, shown in run.ui.items()}
            outputs = await channel.deliver(request, ui, letterbox)
            missing = ", ".join(sorted(request.outputs.keys() - outputs.keys() - request.optional))
            if missing:
                raise EngineError(f"the prompt ended without {missing}: a node before it blocked its execution")
            results.hand_over([one.digest for one in outputs.values() if one.digest is not None])
        except PromptRejected as error:
            error.add_written(name for run in runs for name in written_files(run.ui, run.cached))
            raise
        except asyncio.CancelledError:
            request.written.extend(name for run in runs for name in written_files(run.ui, run.cached))
            raise
        finally:
            channel.finish(request.context, letterbox)
            results.release()  # also of what the server still stores for a prompt that was interrupted
        return PromptResult(outputs, ui, *nodes_of(runs))

    async def run_as_it_is(self, prompt: Prompt, extra_data: Mapping[str, Any]) -> dict[str, Any]:
        """Run a prompt that needs no values of ours; return what `/history` says about it, by prompt id.

        Raises:
            EngineError: see `Engine.run`.
        """
        if self._validation is not None:
            await self._validation.check(prompt, extra_data, None, {})
        run = PromptRun(str(uuid.uuid4()), {}, None)
        try:
            await self._finish(run, prompt, extra_data)
        except PromptRejected as error:
            error.add_written(written_files(run.ui, run.cached))
            raise
        entry: dict[str, Any] | None = None
        deadline = time.monotonic() + self._patience.retry_seconds
        while entry is None and time.monotonic() < deadline:  # the server files it a moment after it says success
            entry = await read_history(self.transport, run.prompt_id)
            await asyncio.sleep(0.02 if entry is None else 0)
        return {} if entry is None else {run.prompt_id: entry}

    async def _finish(
        self,
        run: PromptRun,
        prompt: Prompt,
        extra_data: Mapping[str, Any],
        targets: Targets = None,
        admit: Admit | None = None,
    ) -> None:
        """Submit a prompt and wait for its end; cancelled, take it off the server.

        `admit` lets the prompt in to our values; without, it needs none.
        """
        self._runs[run.prompt_id] = run
        submission = asyncio.create_task(self._submit(run, prompt, extra_data, targets, admit))
        try:
            await asyncio.shield(submission)
            await asyncio.shield(run.finished)
            run.raise_error()
        except asyncio.CancelledError:
            await self._interrupt(run, submission)
            raise
        finally:
            del self._runs[run.prompt_id]
            submission.cancel()
            run.finished.cancel()
            del submission  # it holds its error, whose traceback holds this frame

    async def close(self, reason: EngineError) -> None:
        """End every run with `reason` and release the server. Safe to call twice."""
        farewell = self.lost is None and self._is_running() and self._channel is not None
        self._lose(reason)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if farewell and self._channel is not None:
            # RuntimeError: where a program ends there is no thread in which to look up the server's name again
            with contextlib.suppress(EngineError, asyncio.TimeoutError, RuntimeError):
                await within(_FAREWELL_SECONDS, self._channel.close())
        await self.transport.close()
        if self._catalog is not None:  # whoever waits for it must see it fail, not be cancelled
            await asyncio.gather(self._catalog, return_exceptions=True)

    async def _read_catalog(self) -> Catalog:
        """Return the server's classes, and ports: those are resolved before a prompt is sent, whatever it has."""
        status, body = await self.transport.request("GET", "/object_info")
        where = f"{self.transport.url}/object_info"
        if status != 200:
            raise EngineLost(f"{where} answered with status {status}: {body[:300]!r}")
        try:
            catalog = await asyncio.to_thread(parse_catalog, body, where)
        except ValueError as error:
            raise EngineLost(str(error)) from error
        return Catalog({PORT_CLASS: OWN_CLASSES[PORT_CLASS]}).merged(with_input_lists(catalog))

    async def _submit(
        self,
        run: PromptRun,
        prompt: Prompt,
        extra_data: Mapping[str, Any],
        targets: Targets,
        admit: Admit | None,
    ) -> None:
        """Queue the prompt; where the answer got lost, only when the server does not know the prompt already."""
        payload = submission(self.transport, run.prompt_id, prompt, extra_data, targets)

        async def again() -> None:
            """Prepare to send the prompt once more: what failed may have used up its admission, or have queued it."""
            if await self._knows(run):
                raise _Queued
            if admit is not None:
                await admit()

        if admit is not None:
            await admit()
        try:
            status, answer = await self.transport.post_json("/prompt", payload, again)
        except _Queued:
            run.submitted = True
            return
        except EngineLost:
            await asyncio.sleep(_NOTICE_SECONDS)
            await self.settle()
            if not await self._knows(run):
                raise
            run.submitted = True
            return
        run.submitted = True
        if status == 400:
            raise rejection(answer, run.places, prompt)
        if status != 200:
            kind = EngineError if is_final(status) else EngineLost
            raise kind(f"ComfyUI at {self.transport.url} did not take the prompt (status {status}): {shown(answer)}")
        if isinstance(answer, dict) and answer.get("prompt_id", run.prompt_id) != run.prompt_id:
            await take_off(self.transport, text_of(answer["prompt_id"]))
            raise EngineError(f"ComfyUI at {self.transport.url} queued the prompt under an id that is not ours")
        if isinstance(answer, dict) and answer.get("node_errors"):
            # Some outputs were refused, the rest is queued: all or nothing.
            await self._stop_rest(run)
            raise rejection(answer, run.places, prompt)

    async def _stop_rest(self, run: PromptRun) -> None:
        """Take off what the server runs of a prompt that it refused in part; learn what that wrote until then."""
        await take_off(self.transport, run.prompt_id)
        deadline = time.monotonic() + self._patience.retry_seconds
        while run.prompt_id in {*chain(*await read_queue(self.transport))} and time.monotonic() < deadline:
            await asyncio.sleep(_NOTICE_SECONDS)
        entry = await read_history(self.transport, run.prompt_id, PROBE_SECONDS)
        if entry is not None:
            run.recall(entry)

    async def _knows(self, run: PromptRun) -> bool:
        """Return whether the server has the prompt: queued, running, or done, and then finish it from the history."""
        running, pending = await read_queue(self.transport)
        if run.prompt_id in running or run.prompt_id in pending:
            return True
        entry = await read_history(self.transport, run.prompt_id, PROBE_SECONDS)
        if entry is None:
            return run.finished.done()
        run.recall(entry)
        return True

    async def _interrupt(self, run: PromptRun, submission: asyncio.Task[None]) -> None:
        """Take a cancelled run off the server, however far it got; give up after a few seconds."""

        async def remove() -> None:
            await asyncio.wait({submission})
            if self._validation is None and run.submitted:
                await self._stop_rest(run)  # another prompt of the program may have been refused
            elif not run.finished.done():
                await take_off(self.transport, run.prompt_id)

        with contextlib.suppress(EngineError, asyncio.TimeoutError):
            await within(_FAREWELL_SECONDS, remove())

    def _hear(self, kind: str, data: Mapping[str, Any]) -> None:
        run = self._runs.get(text_of(data.get("prompt_id")))
        if run is not None:
            run.hear(kind, data)

    async def _listen(self) -> None:
        """Hand messages to their runs; connect again when the websocket is lost, and catch up."""
        try:
            while True:
                await self.transport.listen()
                self._settled.clear()
                await self.transport.connect()
                if self._channel is not None:
                    await self._channel.renew()
                restarted = f"ComfyUI at {self.transport.url} no longer knows the prompt; it was restarted"
                await self._catch_up(EngineLost(restarted))
                self._settled.set()
        except EngineError as error:
            self._lose(error)
        except Exception as error:  # noqa: BLE001 - without a listener every prompt would wait forever
            self._lose(self._misunderstood(error))

    async def _catch_up(self, unknown: EngineError) -> None:
        """After messages may have been missed: finish what is done, and with `unknown` what the server has not."""
        for run in list(self._runs.values()):
            if not run.submitted or run.finished.done():
                continue
            if not await self._knows(run):
                run.lose(unknown)

    async def _watch(self) -> None:
        """Look after a server that says nothing about our prompts."""
        idle_checks, answered = 0, time.monotonic()
        while True:
            await asyncio.sleep(self._patience.check_seconds)
            now = time.monotonic()
            heard = max((run.heard for run in self._runs.values()), default=now)
            if not self._settled.is_set() or now - heard < self._patience.check_seconds:  # `_listen` catches up itself
                idle_checks, answered = 0, now
                continue
            try:
                idle_checks = idle_checks + 1 if await self._is_idle(heard) else 0
                answered = time.monotonic()
            except Unanswered as error:
                if time.monotonic() - answered > self._patience.answer_seconds:
                    self._lose(error)
                    return
            except EngineError as error:
                self._lose(error)
                return
            except Exception as error:  # noqa: BLE001 - unwatched a prompt might wait forever
                self._lose(self._misunderstood(error))
                return
            if idle_checks >= 2:
                self._lose(EngineLost(self._stuck("its queue does not move")))
                return

    async def _is_idle(self, heard: float) -> bool:
        """Return whether prompts wait in the server's queue although none runs; `heard`: when one was last reported.

        Raises:
            EngineLost: its worker is known to be dead, or it has been silent for too long.
        """
        if not self._is_running():
            raise EngineLost(f"ComfyUI at {self.transport.url} ended while it was in use")
        if self._has_nodes:
            info = await self.transport.get_json("/discomfort/info", PROBE_SECONDS)
            if object_in(info).get("worker_alive") is False:
                raise EngineLost(self._stuck("the thread that runs its prompts has died"))
        await self._catch_up(PromptInterrupted("another client removed the prompt from the server's queue"))
        running, pending = await read_queue(self.transport)
        if self._seen_running != set(running):
            self._seen_running, self._queue_moved = set(running), time.monotonic()
        silence = time.monotonic() - max(heard, self._queue_moved)
        if silence > self._patience.silence_seconds:
            raise EngineLost(self._stuck(f"it has said nothing for {silence:.0f} s"))
        return bool(pending) and not running

    def _misunderstood(self, error: Exception) -> EngineError:
        return EngineError(
            f"ComfyUI at {self.transport.url} answered something unexpected: {shown(repr(error))}; {REMEDY}"
        )

    def _stuck(self, why: str) -> str:
        return f"ComfyUI at {self.transport.url} answers but does not work: {why}; only a restart helps"

    def _lose(self, error: EngineError) -> None:
        if self.lost is None:
            self.lost = error
        self._settled.set()
        for run in list(self._runs.values()):
            run.lose(_again(error))


def _again(error: EngineError) -> EngineError:
    """Return the same error to be raised: one that is kept would keep every frame in which it was ever raised."""
    return copy.copy(error)
