"""What a turn asks to be done next, in Spawn's messages; `Context` says what each means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crdtmesh.sdk.times import scheduled_ms
from crdtmesh.wire import payloads
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2

if TYPE_CHECKING:
    from crdtmesh.sdk.context import ActorRef

__all__ = ["Asks", "invocation"]


class Asks:
    """Effects, a broadcast, and a pipe or a forward.

    Attributes:
        workflow: all of it.
    """

    __slots__ = ("workflow",)

    def __init__(self) -> None:
        self.workflow = protocol_pb2.Workflow()

    def effect(
        self,
        target: ActorRef,
        action: str,
        payload: Any,
        *,
        at: datetime | None,
        delay: float | None,
        metadata: Mapping[str, str] | None,
    ) -> None:
        """See `Context.effect`."""
        request = invocation(target, action, payload, at=at, delay=delay, metadata=metadata)
        self.workflow.effects.add().request.CopyFrom(request)

    def broadcast(self, topic: str, payload: Any, action: str) -> None:
        """See `Context.broadcast`."""
        if not topic or self.workflow.HasField("broadcast"):
            raise ValueError(f"expected one broadcast a turn, with a topic, got {topic!r:.64}; use an effect beside it")
        message = protocol_pb2.Broadcast(channel_group=topic, action_name=action)
        _set_payload(message, payload)
        self.workflow.broadcast.CopyFrom(message)

    def pipe(self, actor: str, action: str, parent: str) -> None:
        """See `Context.pipe`; takes the place of an earlier forward."""
        self.workflow.pipe.CopyFrom(protocol_pb2.Pipe(actor=actor, action_name=action, register_ref=parent))

    def forward(self, actor: str, action: str, parent: str) -> None:
        """See `Context.forward`; takes the place of an earlier pipe."""
        self.workflow.forward.CopyFrom(protocol_pb2.Forward(actor=actor, action_name=action, register_ref=parent))


def invocation(
    target: ActorRef,
    action: str,
    payload: Any,
    *,
    at: datetime | None,
    delay: float | None,
    metadata: Mapping[str, str] | None,
) -> protocol_pb2.InvocationRequest:
    """A call whose answer nobody waits for, now or later.

    Raises:
        PayloadError: the payload can't travel.
        ValueError: the time is none.
    """
    system, name, parent = target
    request = protocol_pb2.InvocationRequest(
        system=actor_pb2.ActorSystem(name=system),
        actor=actor_pb2.Actor(id=actor_pb2.ActorId(name=name, system=system, parent=parent)),
        action_name=action,
        metadata=metadata,
        scheduled_to=scheduled_ms(at, delay),
    )
    setattr(request, "async", True)
    _set_payload(request, payload)
    return request


def _set_payload(message: protocol_pb2.InvocationRequest | protocol_pb2.Broadcast, payload: Any) -> None:
    type_url, data = payloads.encode(payload)
    if type_url:
        message.value.type_url, message.value.value = type_url, data
