"""Spawn's `InvocationRequest` to a call, and payloads between its oneofs and the two parts of an Any.

Decides what an id or a time that was left out means, as far as the released SDKs differ in it. Leaves out what is
served (`crdtmesh.edge.spawn_api`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import NOOP_URL
from crdtmesh.runtime.workflow import Invocation
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2

RELATIVE_MS_MAX: Final = 10**11
"""A `scheduled_to` below this is a delay: as a time it would lie in March 1973, as a delay it is three years."""

_NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})

Payload: TypeAlias = (
    protocol_pb2.InvocationRequest
    | protocol_pb2.InvocationResponse
    | protocol_pb2.ActorInvocation
    | protocol_pb2.ActorInvocationResponse
    | protocol_pb2.Broadcast
)
"""The messages that have the oneof `payload { value, noop }`; the numbers differ."""


def payload_from(message: Payload) -> tuple[str, bytes]:
    """The parts of its payload; `("", b"")` when none is set."""
    kind = message.WhichOneof("payload")
    if kind == "value":
        value = message.value
        return value.type_url, value.value
    return ("", b"") if kind is None else (NOOP_URL, b"")


def set_payload(message: Payload, type_url: str, payload: bytes) -> None:
    """The other way."""
    if type_url == NOOP_URL and not payload:
        message.noop.SetInParent()
    elif type_url or payload:
        message.value.type_url, message.value.value = type_url, payload


def address_from(actor: actor_pb2.ActorId, system: str) -> ActorAddress:
    """The actor that an id names; SDKs leave out its system where another field has it."""
    return ActorAddress(actor.system or system, actor.name, actor.parent)


def invocation_from(request: protocol_pb2.InvocationRequest, *, system: str, wall_ms: int) -> Invocation:
    """Reads a call. SDKs leave out the system of an id where another field has it.

    Args:
        request: as it came.
        system: the actor system when the request names none.
        wall_ms: now, for a schedule that was given as a delay.
    """
    # Runs once for each call: looking at a submessage that is not there costs as much as at one that is.
    name = request.actor.id
    system = name.system or request.system.name or system
    parent, register_ref = name.parent, request.register_ref
    scheduled_ms = request.scheduled_to
    if 0 < scheduled_ms < RELATIVE_MS_MAX:
        scheduled_ms += wall_ms
    caller = request.caller if request.HasField("caller") else None
    metadata = request.metadata
    return Invocation(
        ActorAddress(system, name.name, parent),
        request.action_name,
        *payload_from(request),
        is_async=getattr(request, "async"),
        caller=ActorAddress(caller.system or system, caller.name, caller.parent) if caller and caller.name else None,
        metadata=dict(metadata) if metadata else _NO_METADATA,
        scheduled_ms=max(0, scheduled_ms),
        templates=templates_of(register_ref, parent) if parent or register_ref else (),
        is_pooled=request.pooled,
    )


def templates_of(register_ref: str, parent: str) -> tuple[str, ...]:
    """Names of templates to look for.

    One SDK puts the instance's own name into `register_ref`, and the template's into the id's parent.
    """
    return tuple(dict.fromkeys(name for name in (register_ref, parent) if name))
