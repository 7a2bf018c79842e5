"""The client's connection: one stream to one of several nodes, over which all calls go.

What was asked for in one turn of the event loop goes out as one message. When the stream breaks it goes on with the
next address: calls in flight raise `ConnectionLost` with outcome "unknown", calls not yet sent are sent there.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc.aio

from crdtmesh.sdk.calls import Calls, PendingCall
from crdtmesh.sdk.connection import Backoff, open_channel
from crdtmesh.sdk.context import ActorRef
from crdtmesh.sdk.errors import CallTimeout, Forbidden, NotConnected
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2_grpc

__all__ = ["NodeStream"]

log = logging.getLogger("crdtmesh.sdk.client")

_CONNECT_TIMEOUT_S: Final = 2.0


class NodeStream:
    """A stream of calls to one of these nodes; belongs to the event loop in which it was started.

    Args:
        addresses: of the nodes.
        in_flight_max: calls that may be under way at once; further ones wait.

    Attributes:
        address: of the node that is connected now.
        channel: to it; None while there is none.
    """

    def __init__(self, addresses: Sequence[str], *, in_flight_max: int) -> None:
        self.address: str | None = None
        self.channel: Any = None
        self._addresses = addresses
        self._calls = Calls(in_flight_max=in_flight_max)
        self._stream: Any = None
        self._reason = "not connected yet"
        self._refusal: Forbidden | None = None
        self._task: asyncio.Task[None] | None = None
        self._has_work = asyncio.Event()
        self._is_connected = asyncio.Event()
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def start(self) -> None:
        """Begins to connect."""
        if self._task is not None or self._is_closed:
            raise RuntimeError("a client is entered once; make another one")
        self._task = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        """Ends the connection; calls under way raise. Does nothing the second time."""
        self._is_closed = True
        self._reason = "the client was closed"
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._calls.close()

    async def call(
        self,
        actor: ActorRef,
        action: str,
        *,
        type_url: str,
        payload: bytes,
        deadline: float,
        metadata: Mapping[str, str] | None,
    ) -> tuple[str, bytes]:
        """One call; the type URL and the bytes of its answer.

        Raises:
            CallError: one of its subclasses.
        """
        self._check_open()
        if not self._calls.has_room:
            await self._room(deadline)
        future: asyncio.Future[tuple[str, bytes]] = asyncio.get_running_loop().create_future()
        call = PendingCall(
            actor, action, type_url=type_url, payload=payload, deadline=deadline, metadata=metadata, future=future
        )
        self._calls.add(call)
        self._has_work.set()
        self._watch(deadline)
        try:
            return await future
        except asyncio.CancelledError:
            self._calls.drop(call)
            self._has_work.set()
            raise

    async def connected(self, deadline: float) -> None:
        """Waits for a connection.

        Raises:
            NotConnected: there was none by the deadline.
        """
        self._check_open()
        try:
            async with asyncio.timeout_at(deadline):
                await self._is_connected.wait()
        except TimeoutError:
            raise NotConnected(self._reason, outcome="not_applied") from None
        if self._refusal is not None:
            raise self._refusal

    async def _room(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._calls.room()
        except TimeoutError:
            raise CallTimeout("too many calls are under way on this client", outcome="not_applied") from None
        self._check_open()

    def _check_open(self) -> None:
        if self._task is None or self._is_closed:
            raise NotConnected("the client is not open; use it in `async with`", outcome="not_applied")

    async def _keep_connected(self) -> None:
        """Holds a stream to one of the addresses, going on to the next whenever one fails."""
        backoff = Backoff()
        for attempt in itertools.count():
            address = self._addresses[attempt % len(self._addresses)]
            try:
                channel = await open_channel(address, timeout_s=_CONNECT_TIMEOUT_S)
            except NotConnected as error:
                self._reason = str(error)
            except Forbidden as error:
                self._refusal = error
                self._is_connected.set()  # nobody need wait
                return
            else:
                heard_at = self._heard_at
                try:
                    await self._serve(channel, address)
                finally:
                    self._is_connected.clear()
                    self.channel = self.address = None
                    self._calls.stream_lost(
                        f"the connection to {address} broke with the call in flight: {self._reason}"
                    )
                    await channel.close()
                log.info("client.disconnected address=%s reason=%s", address, self._reason)
                if self._heard_at > heard_at:
                    backoff.reset()
                    continue
            if (attempt + 1) % len(self._addresses) == 0:
                await asyncio.sleep(backoff.next_s())

    async def _serve(self, channel: Any, address: str) -> None:
        stream = self._stream = actors_pb2_grpc.ActorsStub(channel).InvokeStream()
        self.channel, self.address = channel, address
        self._is_connected.set()
        writer = asyncio.create_task(self._write(stream))
        self._reason = "the node ended the stream"
        loop = asyncio.get_running_loop()
        try:
            while (batch := await stream.read()) is not grpc.aio.EOF:
                self._heard_at = loop.time()
                self._calls.receive(batch)
        except grpc.aio.AioRpcError as error:
            self._reason = error.details() or str(error.code())
        except (KeyError, ValueError) as error:
            self._reason = f"the node broke the rules of the stream: {error!r:.128}"
        except asyncio.CancelledError:
            # Either the client is closed, or `_expire` gave the stream up.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
        finally:
            stream.cancel()
            writer.cancel()
            await asyncio.wait([writer])

    async def _write(self, stream: Any) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                # Only now is the next batch taken: what gathers during a write goes out together.
                while self._calls.has_work:
                    await stream.write(self._calls.take_batch(loop.time()))
                self._has_work.clear()
                await self._has_work.wait()
        except (grpc.RpcError, asyncio.InvalidStateError):
            stream.cancel()  # the reader has the reason, or gets it now

    def _watch(self, deadline: float) -> None:
        """Sees to it that `_expire` runs by the deadline.

        One timer serves all calls, and is moved only to an earlier time: with equal timeouts hardly ever.
        """
        timer = self._timer
        if timer is None or timer.cancelled() or timer.when() > deadline:
            if timer is not None:
                timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        is_connected = self._is_connected.is_set()
        again_at, silent_since = self._calls.expire(loop.time(), is_connected=is_connected, reason=self._reason)
        if again_at is not None:
            self._watch(again_at)
        self._has_work.set()
        if silent_since is not None and is_connected and self._heard_at <= silent_since:
            # A node answers each call by its deadline, if only with a timeout. This one has said nothing at all.
            self._reason = "the node stopped answering"
            self._stream.cancel()
