"""Unary calls in flight: one caller towards the runtime, a future for each call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from crdtmesh.engine import Engine
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import NO_TERMS, CallExtra, CallFailure, ReplyColumns, UpdateTerms

Reply = tuple[str, bytes]


class PendingCalls:
    """All unary calls of one endpoint."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._caller = engine.open_caller(self)
        self._waiting: dict[int, asyncio.Future[Reply | CallFailure]] = {}
        self._last = 0

    def deliver_replies(self, columns: ReplyColumns) -> None:
        """Wakes those who wait."""
        for call, type_url, payload in zip(columns.ids, columns.type_urls, columns.payloads, strict=True):
            self._wake(call, (type_url, payload))
        for failure in columns.failures:
            self._wake(failure.id, failure)

    async def invoke(
        self,
        actor: ActorAddress,
        action: str,
        *,
        type_url: str,
        payload: bytes,
        timeout_ms: int,
        extra: CallExtra | None,
    ) -> Reply | CallFailure:
        """One call; its reply, or how it failed. Cancelled with the task that waits."""
        call, future = self._next()
        self._engine.invoke(self._caller, ((call, actor, action, type_url, payload, timeout_ms, extra),))
        return await self._wait(call, future)

    async def enqueue(
        self,
        actor: ActorAddress,
        action: str,
        *,
        type_url: str,
        payload: bytes,
        timeout_ms: int,
        extra: CallExtra | None,
    ) -> CallFailure | None:
        """One call that nobody waits for: returns when it is in the mailbox, or how it failed to get there."""
        call, future = self._next()
        self._engine.invoke(self._caller, ((call, actor, action, type_url, payload, timeout_ms, extra),))
        await self._engine.flushed()
        self._forget(call)
        if future.done() and isinstance(reply := future.result(), CallFailure):
            return reply
        return None

    async def update(
        self,
        updates: Sequence[tuple[EntryKey, tuple[Any, ...]]],
        terms: UpdateTerms = NO_TERMS,
    ) -> Reply | CallFailure:
        """One direct update of an entry, or of several as one event; see `Runtime.update_state`."""
        (key, operations), *others = updates
        call, future = self._next()
        self._engine.update_state(
            self._caller,
            call,
            key,
            operations,
            others=others,
            terms=terms,
        )
        return await self._wait(call, future)

    async def stop(self, actor: ActorAddress) -> Reply | CallFailure:
        """Takes an actor out of memory wherever it is; see `Runtime.stop`."""
        call, future = self._next()
        self._engine.stop(self._caller, call, actor)
        return await self._wait(call, future)

    async def restore(self, actor: ActorAddress, revision: int) -> Reply | CallFailure:
        """Starts an actor from one of its revisions; see `Runtime.restore`."""
        call, future = self._next()
        self._engine.restore(self._caller, call, actor, revision)
        return await self._wait(call, future)

    def _next(self) -> tuple[int, asyncio.Future[Reply | CallFailure]]:
        self._last += 1
        future: asyncio.Future[Reply | CallFailure] = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = future
        self._engine.single_calls += 1
        return self._last, future

    def _forget(self, call: int) -> asyncio.Future[Reply | CallFailure] | None:
        future = self._waiting.pop(call, None)
        if future is not None:
            self._engine.single_calls -= 1
        return future

    async def _wait(self, call: int, future: asyncio.Future[Reply | CallFailure]) -> Reply | CallFailure:
        try:
            return await future
        except asyncio.CancelledError:
            self._forget(call)
            self._engine.cancel(self._caller, (call,))
            raise

    def _wake(self, call: int, reply: Reply | CallFailure) -> None:
        future = self._forget(call)
        if future is not None and not future.done():
            future.set_result(reply)
