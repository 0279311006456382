"""The steps of one run: each starts as soon as what it reads is there, and what it delivers is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from discomfort.context.values.opaque import OpaqueValue
from discomfort.ir.graph import Link
from discomfort.ir.types.language import TypeInference
from discomfort.runtime.binding.pending_values import pending_values
from discomfort.runtime.binding.prompts import BoundRun, StepWork, make_prompt, remaining_work
from discomfort.runtime.engine_thread import all_or_none
from discomfort.runtime.engines.protocol import Delivered, PromptRejected, PromptRequest
from discomfort.runtime.engines.written_files import written_files
from discomfort.runtime.running.progress import RunProgress
from discomfort.runtime.running.sources import Soundness
from discomfort.runtime.running.submit import Submitter

if TYPE_CHECKING:
    from discomfort.context.context import WorkflowContext
    from discomfort.context.holds import Holds


class StepRunner:
    """Runs the steps of one bound run.

    `digests` holds its known values: delivered by a step, or remembered from before; `holds` keeps them
    until `release`. `live` is a link whose value is kept as it is delivered, in `live_value`, and not stored. Where
    the engine runs in this Python, what it cannot rebuild is computed again.
    """

    def __init__(
        self,
        submitter: Submitter,
        context: WorkflowContext,
        holds: Holds,
        progress: RunProgress,
        *,
        use_ram: bool = True,
        extra_pnginfo: Mapping[str, Any] | None = None,
        live: Link | None = None,
    ) -> None:
        self.digests: dict[Link, str] = {}
        self.holds = holds
        self.live_value: Any = None
        self._submitter = submitter
        self._context = context
        self._progress = progress
        self._use_ram = use_ram
        self._extra_pnginfo = dict(extra_pnginfo or {})
        self._live = live
        self._unknown: set[Link] = set()
        self._memos: dict[str, str] = {}
        self._soundness = Soundness()
        self._unfinished = 0
        self._validated: set[str] = set()
        self._written: list[str] = []

    def left(self, run: BoundRun) -> list[StepWork]:
        """Return what is left of a run: the steps of which something is not known yet."""
        return remaining_work(run, lambda link: self._recall(run, link))

    async def run(self, run: BoundRun, left: Sequence[StepWork]) -> None:
        """Run what is left of every step; the first failure cancels the rest.

        A step waits for those whose values it reads, and one with effects for the last one with effects before it,
        so that they come in their sequence. Everything else is queued ahead (law R4). All are validated before the
        first of them runs.

        Raises:
            PromptRejected: with the files that the steps before had written, where the engine cannot validate first.
            EngineError: see `Engine.run`.
        """
        for work in left:
            self._progress.add_prompt(len(work.nodes) + len(work.targets))
        self._unfinished = len(left)
        if len(left) == 1:
            await self._run_step(run, left[0], (), asyncio.Event())
            return
        await self._submitter.validate(self._foreseen(run, left))
        try:
            await self._run_steps(run, left)
        except PromptRejected as error:
            error.add_written(self._written)
            raise

    async def _run_steps(self, run: BoundRun, left: Sequence[StepWork]) -> None:
        owner = {link: number for number, work in enumerate(left) for link in work.targets}
        effects = frozenset(run.graph.effects)
        ends = [asyncio.Event() for _ in left]
        steps: list[Coroutine[Any, Any, None]] = []
        acting: asyncio.Event | None = None
        for work, end in zip(left, ends, strict=True):
            before = {owner[link]: ends[owner[link]] for link in work.loads if link in owner}
            acts = any(root in effects for root in work.roots)
            follows = [*before.values(), *([acting] if acts and acting is not None else ())]
            steps.append(self._run_step(run, work, follows, end))
            acting = end if acts else acting
        await all_or_none(steps)

    def store(self, value: Any) -> str:
        """Store a value, which stays until `release`, and return its digest."""
        return self.holds.put(value, self._use_ram)

    def memos(self) -> dict[str, dict[str, str]]:
        """Return what is to be remembered of what was delivered since the last time."""
        memos, self._memos = self._memos, {}
        return {key: {"value": digest} for key, digest in memos.items()}

    def release(self) -> None:
        """Keep the values of this run alive no longer."""
        self.holds.release()

    async def _run_step(
        self, run: BoundRun, work: StepWork, before: Iterable[asyncio.Event], end: asyncio.Event
    ) -> None:
        for event in before:
            await event.wait()
        request = replace(self._request(run, work, self.digests), validated=work.step.id in self._validated)
        self._progress.name_places(request.places)
        try:
            result = await self._submitter.submit(request, self._progress.listener)
        except BaseException:
            self._written += request.written
            self._soundness.give_up(run, work, self._submitter.engine)
            raise
        await self._soundness.check(run, work, self._submitter.engine)
        self._written += written_files(result.ui, result.cached)
        for name, link in request.links.items():
            if name in result.outputs:
                self._take(run, link, result.outputs[name], name in result.passing)
        self._unfinished -= 1
        if self._unfinished:  # what is finished outlives whatever becomes of the others
            for key, record in self.memos().items():
                self._context.memos.put(key, record)
        end.set()

    def _foreseen(self, run: BoundRun, left: Sequence[StepWork]) -> list[PromptRequest]:
        """Return the prompts of all steps as far as they can be made before the first of them runs."""
        typing = TypeInference(run.graph, run.graph.nodes, run.signatures)
        pending = pending_values((link for work in left for link in work.targets), typing)
        requests = []
        for work in left:
            requests.append(self._request(run, work, {**self.digests, **pending}))
            if pending.keys().isdisjoint(work.loads):
                self._validated.add(work.step.id)
        return requests

    def _request(self, run: BoundRun, work: StepWork, digests: Mapping[Link, str]) -> PromptRequest:
        return make_prompt(run, work, digests, self._context, self.store, self._extra_pnginfo)

    def _take(self, run: BoundRun, link: Link, delivered: Delivered, passing: bool) -> None:
        """Keep what a prompt delivered, to be remembered for further runs where it is sound."""
        if link == self._live:
            self.live_value = delivered.value
            return
        if delivered.digest is None:
            digest = self.store(delivered.value)
        else:
            digest = delivered.digest
            self.holds.receive(digest)
        self.digests[link] = digest
        key = None if passing or self._soundness.is_spoiled(link) else run.memo_key(link)
        if key is not None and delivered.remembered:
            self._memos[key] = digest

    def _recall(self, run: BoundRun, link: Link) -> str | None:
        """Return the digest of a value that is remembered, which stays from here on until this run has ended."""
        if link in self.digests:
            return self.digests[link]
        if link in self._unknown:
            return None
        key = run.memo_key(link)
        record = self._context.memos.get(key) if key is not None else None
        if record is None or not self.holds.keep([record["value"]]):
            self._unknown.add(link)
            return None
        digest = str(record["value"])
        if self._submitter.engine.hands_over_live_objects and self._is_opaque(digest):
            self._unknown.add(link)
            return None
        self.digests[link] = digest
        return digest

    def _is_opaque(self, digest: str) -> bool:
        """Return whether this Python cannot rebuild a value."""
        pickled = self._context.values.kind(digest) == "pickle"
        return pickled and type(self._context.values.get_or_opaque(digest)) is OpaqueValue
