"""Messages of channels, for a client that is no actor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from crdtmesh.sdk.context import ActorRef
from crdtmesh.sdk.unary import streamed
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, actors_pb2_grpc

__all__ = ["ChannelMessage", "subscribed"]


class ChannelMessage(NamedTuple):
    """What an actor has broadcast.

    Attributes:
        value: what it sent; None for a message without payload.
        publisher: the actor.
        lagged: so many messages before this one were missed, since the reader was too slow.
    """

    value: Any
    publisher: ActorRef
    lagged: int


async def subscribed(channel: Any, system: str, topic: str) -> AsyncGenerator[tuple[int, str, bytes, ActorRef], None]:
    """The messages of a channel: how many were missed before, type URL, bytes, and who sent it.

    Raises:
        CallError: the subscription ended.
    """
    call = actors_pb2_grpc.ActorsStub(channel).Subscribe(actors_pb2.SubscribeRequest(system=system, topic=topic))
    async for message in streamed(call, "subscription"):
        publisher = message.publisher
        sender = ActorRef(publisher.system, publisher.name, publisher.parent)
        yield message.lagged, message.value.type_url, message.value.value, sender
