"""One engine and the turn that its prompts take: the only place from which prompts are sent to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from discomfort.runtime.engines.protocol import Engine, EngineLost, Listener, PromptRequest, PromptResult

logger: logging.Logger = logging.getLogger("discomfort")

ATTEMPTS = 3
"""How often a prompt is tried when the engine is lost under it."""

BACK_OFF = 0.5
"""Seconds before the second attempt; doubled before each further one."""


class Submitter:
    """Sends prompts to one engine; all submitters of an engine share its `turn`."""

    def __init__(self, engine: Engine, turn: asyncio.Lock) -> None:
        self.engine = engine
        self._turn = turn

    async def validate(self, requests: Sequence[PromptRequest]) -> None:
        """Check all prompts of a program before the first of them runs; see `Engine.validate`."""
        if self.engine.pipelined:
            await self.engine.validate(requests)
            return
        async with self._turn:
            await self.engine.validate(requests)

    async def submit(self, request: PromptRequest, listener: Listener | None) -> PromptResult:
        """Run one prompt, again with back-off when the engine is lost; in turn where the engine takes one at a time.

        Raises:
            EngineError: see `Engine.run`.
        """
        if self.engine.pipelined:
            return await self._run_with_retries(request, listener)
        async with self._turn:
            return await self._run_with_retries(request, listener)

    async def _run_with_retries(self, request: PromptRequest, listener: Listener | None) -> PromptResult:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.engine.run(request, listener)
            except EngineLost as error:
                if attempt == ATTEMPTS:
                    raise
                logger.warning("attempt %d of %d: %s", attempt, ATTEMPTS, error)
            request = replace(request, validated=False)  # another server may answer now
            await asyncio.sleep(BACK_OFF * 2 ** (attempt - 1))
            await self.engine.catalog()  # raises where it is gone for good; `start` would open one that was closed
        raise AssertionError("the loop returns or raises")
