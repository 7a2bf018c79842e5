"""Calls on their way: what is queued, what is in flight on the stream, and how both become batches.

Decides what a broken stream means: a call that was written is `unknown`, a call that was not yet written goes out on
the next stream. Leaves out connections (`client`). No I/O; driven by the client's reader and writer.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from crdtmesh.sdk.context import ActorRef
from crdtmesh.sdk.errors import CallError, CallTimeout, ConnectionLost, NotConnected, Outcome, error_for
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2
from crdtmesh.wire.gen.spawn.actors import actor_pb2

__all__ = ["Calls", "PendingCall", "error_code", "outcome_of"]

GRACE_S: Final = 0.25
"""How long after a call's deadline the node's own answer, which knows the outcome, is still waited for."""

_BATCH_SIZE_BYTES_MAX: Final = 1024 * 1024  # a node takes 16 MiB; a batch this large already costs nothing per call
_BATCH_CALLS_MAX: Final = 4_096
_HANDLES_MAX: Final = 65_535


class PendingCall:
    """One call, from `invoke` to its reply."""

    __slots__ = ("action", "actor", "deadline", "future", "id", "metadata", "payload", "sent_at", "type_url")

    def __init__(
        self,
        actor: ActorRef,
        action: str,
        *,
        type_url: str,
        payload: bytes,
        deadline: float,
        metadata: Mapping[str, str] | None,
        future: asyncio.Future[tuple[str, bytes]],
    ) -> None:
        self.actor = actor
        self.action = action
        self.type_url = type_url
        self.payload = payload
        self.deadline = deadline
        self.metadata = metadata
        self.future = future
        self.id = 0
        self.sent_at = 0.0


class Calls:
    """The calls of one client.

    Args:
        in_flight_max: calls queued and sent, beyond which `room` waits.
    """

    def __init__(self, *, in_flight_max: int) -> None:
        self._in_flight_max = in_flight_max
        self._ids = itertools.count(1)
        self._unsent: dict[int, PendingCall] = {}
        self._sent: dict[int, PendingCall] = {}
        self._cancelled: list[int] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        # Of this stream: what the node has bound, and what we have.
        self._reply_urls: dict[int, str] = {0: ""}
        self._actors: dict[ActorRef, int] = {}
        self._actions: dict[str, int] = {}
        self._type_urls: dict[str, int] = {"": 0}
        self._bindings: list[pb.Binding] = []

    @property
    def has_work(self) -> bool:
        """Whether there is something to write."""
        return bool(self._unsent or self._cancelled)

    @property
    def has_room(self) -> bool:
        """Whether one more call may be added at once."""
        return len(self._unsent) + len(self._sent) < self._in_flight_max and not self._waiters

    def __len__(self) -> int:
        return len(self._unsent) + len(self._sent)

    async def room(self) -> None:
        """Waits until one more call may be added; in the order of asking."""
        if self.has_room:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._let_in()  # the room was ours, and is the next one's now
            raise

    def add(self, call: PendingCall) -> None:
        """Queues a call."""
        call.id = next(self._ids)
        self._unsent[call.id] = call

    def drop(self, call: PendingCall) -> None:
        """Takes back a call whose caller stopped waiting; the node is told if it has been sent."""
        if self._unsent.pop(call.id, None) is None and self._sent.pop(call.id, None) is not None:
            self._cancelled.append(call.id)
        self._let_in()

    def take_batch(self, now: float) -> pb.CallBatch:
        """The next batch to write; from here on its calls are in flight.

        Args:
            now: the loop's time, in seconds.
        """
        if max(len(self._actors), len(self._actions), len(self._type_urls)) > _HANDLES_MAX - _BATCH_CALLS_MAX:
            self._reset_handles()
        calls: list[PendingCall] = []
        size = 0
        for call in self._unsent.values():
            size += len(call.payload)
            if calls and (size > _BATCH_SIZE_BYTES_MAX or len(calls) >= _BATCH_CALLS_MAX):
                break
            calls.append(call)
        for call in calls:
            del self._unsent[call.id]
            self._sent[call.id] = call
            call.sent_at = now
        batch = pb.CallBatch(
            id=[call.id for call in calls],
            actor=[self._actor(call.actor) for call in calls],
            action=[self._action(call.action) for call in calls],
            type_url=[self._type_url(call.type_url) for call in calls],
            payload=[call.payload for call in calls],
            timeout_ms=[max(1, int((call.deadline - now) * 1_000)) for call in calls],
            cancelled=self._cancelled,
        )
        batch.extras.extend([pb.CallExtra(id=call.id, metadata=call.metadata) for call in calls if call.metadata])
        batch.bindings.extend(self._bindings)
        self._bindings = []
        self._cancelled = []
        return batch

    def receive(self, batch: pb.ReplyBatch) -> None:
        """Hands replies to their callers; one for a call that is not in flight is for a caller that stopped waiting."""
        for binding in batch.bindings:
            self._reply_urls[binding.handle] = binding.type_url
        count = len(batch.id)
        type_urls: Sequence[int] = batch.type_url or [0] * count
        contents: Sequence[bytes] = batch.payload or [b""] * count
        for number, type_url, payload in zip(batch.id, type_urls, contents, strict=True):
            call = self._sent.pop(number, None)
            if call is not None:
                self._let_in()
                if not call.future.done():
                    call.future.set_result((self._reply_urls[type_url], payload))
        for failure in batch.failures:
            call = self._sent.pop(failure.id, None)
            if call is not None:
                self._fail(call, error_for(error_code(failure.code), failure.message, outcome_of(failure.outcome)))

    def expire(self, now: float, *, is_connected: bool, reason: str) -> tuple[float | None, float | None]:
        """Fails the calls whose time is over.

        Args:
            now: the loop's time, in seconds.
            is_connected: whether there is a stream.
            reason: why there is none.

        Returns:
            When to look again, None if nothing is waited for; and when the oldest of the calls that the node didn't
            answer was sent, None if there is none.
        """
        silent_since: float | None = None
        for call in [call for call in self._unsent.values() if call.deadline <= now]:
            del self._unsent[call.id]
            error = (
                CallTimeout("the deadline passed before the call was sent", outcome="not_applied")
                if is_connected
                else NotConnected(reason, outcome="not_applied")
            )
            self._fail(call, error)
        for call in [call for call in self._sent.values() if call.deadline + GRACE_S <= now]:
            del self._sent[call.id]
            self._cancelled.append(call.id)
            silent_since = call.sent_at if silent_since is None else min(silent_since, call.sent_at)
            self._fail(call, CallTimeout("the node did not answer in time", outcome="unknown"))
        deadlines = [call.deadline for call in self._unsent.values()]
        deadlines += [max(call.deadline + GRACE_S, now) for call in self._sent.values()]
        return min(deadlines, default=None), silent_since

    def stream_lost(self, reason: str) -> None:
        """Fails the calls in flight; those not yet sent stay, for the next stream."""
        sent, self._sent = self._sent, {}
        for call in sent.values():
            self._fail(call, ConnectionLost(reason, outcome="unknown"))
        self._cancelled.clear()
        self._reply_urls = {0: ""}
        self._reset_handles()

    def close(self) -> None:
        """Fails everything that is left."""
        self.stream_lost("the client was closed with the call in flight")
        unsent, self._unsent = self._unsent, {}
        for call in unsent.values():
            self._fail(call, NotConnected("the client was closed before the call was sent", outcome="not_applied"))

    def _fail(self, call: PendingCall, error: CallError) -> None:
        self._let_in()
        if not call.future.done():
            call.future.set_exception(error)

    def _let_in(self) -> None:
        while self._waiters and len(self) < self._in_flight_max:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _reset_handles(self) -> None:
        self._actors.clear()
        self._actions.clear()
        self._type_urls = {"": 0}
        self._bindings = []

    def _actor(self, actor: ActorRef) -> int:
        handle = self._actors.get(actor)
        if handle is None:
            handle = self._actors[actor] = len(self._actors) + 1
            system, name, parent = actor
            actor_id = actor_pb2.ActorId(name=name, system=system, parent=parent)
            self._bindings.append(pb.Binding(handle=handle, actor=actor_id))
        return handle

    def _action(self, name: str) -> int:
        handle = self._actions.get(name)
        if handle is None:
            handle = self._actions[name] = len(self._actions) + 1
            self._bindings.append(pb.Binding(handle=handle, action=name))
        return handle

    def _type_url(self, type_url: str) -> int:
        handle = self._type_urls.get(type_url)
        if handle is None:
            handle = self._type_urls[type_url] = len(self._type_urls)
            self._bindings.append(pb.Binding(handle=handle, type_url=type_url))
        return handle


def error_code(number: int) -> str:
    """The name of an error code, in lower case; "unspecified" for one that this version doesn't know."""
    try:
        return values_pb2.ErrorCode.Name(number).removeprefix("ERROR_CODE_").lower()
    except ValueError:
        return "unspecified"


def outcome_of(number: int) -> Outcome:
    """What a failure says about the effect; unknown unless it says that nothing was changed."""
    return "not_applied" if number == values_pb2.NOT_APPLIED else "unknown"
