"""`Actors.Subscribe`: one client that listens to a channel."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import abort
from crdtmesh.engine import Engine
from crdtmesh.engine_ports import CommitLost
from crdtmesh.runtime.errors import ErrorCode, RuntimeRefusal
from crdtmesh.runtime.messages import NOOP_URL, ChannelMessage
from crdtmesh.runtime.subscribers import Topic
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2

__all__ = ["Subscription", "subscribe"]

# What a listener may be behind: a second of a busy channel, and what its largest messages may be. What comes then is
# left out and counted, since a publisher must not wait for a listener.
QUEUED_MAX: Final = 1_024
QUEUED_BYTES_MAX: Final = 4 << 20


class Subscription:
    """What waits to be sent to one listener.

    Attributes:
        lagged: messages that were left out since the last one that was taken.
    """

    def __init__(self, *, count_max: int = QUEUED_MAX, bytes_max: int = QUEUED_BYTES_MAX) -> None:
        self.lagged = 0
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._waiting: deque[tuple[int, ChannelMessage]] = deque()
        self._ready = asyncio.Event()

    def deliver_message(self, message: ChannelMessage) -> None:
        """Queues a message, or leaves it out when the listener is too far behind."""
        size = len(message.payload)
        if len(self._waiting) >= self._count_max or self._bytes + size > self._bytes_max:
            self.lagged += 1
            return
        self._bytes += size
        self._waiting.append((self.lagged, message))
        self.lagged = 0
        self._ready.set()

    async def next(self) -> tuple[int, ChannelMessage]:
        """The next message, and how many were left out before it; waits for one."""
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        lagged, message = self._waiting.popleft()
        self._bytes -= len(message.payload)
        return lagged, message


async def subscribe(engine: Engine, request: actors_pb2.SubscribeRequest, context: Context, *, system: str) -> None:
    """Serves one listener until it goes.

    The initial metadata leave when this node has announced on its disk that somebody listens here.

    Args:
        engine: of the node.
        request: what to listen to.
        context: of the listener.
        system: what is meant when the request names none.
    """
    subscription = Subscription()
    try:
        subscriber = engine.open_subscriber(subscription, Topic(request.system or system, request.topic))
    except RuntimeRefusal as error:
        await abort(context, error.code, str(error))
    try:
        await engine.committed()
        await context.send_initial_metadata(())
        while True:
            await context.write(_to_proto(*await subscription.next()))
    except CommitLost as error:
        await abort(context, ErrorCode.STORAGE_FAILED, str(error))
    finally:
        # gRPC cancels the call when its client goes.
        engine.close_subscriber(subscriber)


def _to_proto(lagged: int, message: ChannelMessage) -> actors_pb2.ChannelMessage:
    proto = actors_pb2.ChannelMessage(lagged=lagged)
    if message.type_url and message.type_url != NOOP_URL:
        proto.value.type_url, proto.value.value = message.type_url, message.payload
    if message.publisher is not None:
        proto.publisher.system, proto.publisher.name, proto.publisher.parent = message.publisher
    return proto
