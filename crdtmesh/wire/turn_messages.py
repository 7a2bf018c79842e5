"""A turn as Spawn's `ActorInvocation`, and an `ActorInvocationResponse` as what the turn did.

Used for hosts that get one message for each turn, with the whole state in it. Opaque states pass through unread. A
replicated state goes out as `crdtmesh.v1.Value` and comes back as `crdtmesh.v1.Mutations`.

What goes out is written by hand, as in `payloads`: it is a frame around bytes that are there already. A test holds it
against protobuf's own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from google.protobuf.message import DecodeError

from crdtmesh.crdts.errors import CrdtError, InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import NOOP_URL, STATE_VALUE, CallExtra, Operations, StateUpdate, TurnEffects
from crdtmesh.runtime.opaque import NO_STATE, OpaqueState
from crdtmesh.runtime.workflow import Broadcast, Route, RouteKind, Workflow
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from crdtmesh.wire.invocations import invocation_from, payload_from, templates_of
from crdtmesh.wire.payloads import field

STATE_MUTATIONS: Final = "type.googleapis.com/crdtmesh.v1.Mutations"
"""The type URL of what an answer does to a replicated state."""

# Each effect becomes a call of its own in a mailbox; a mailbox holds as many.
EFFECTS_MAX: Final = 1_024
# Names have 256 bytes at most: 4 MB at worst.
ADDRESSES_REMEMBERED_MAX: Final = 4_096

_NOOP: Final = field(5, b"", is_kept=True)


class BadAnswer(Exception):
    """What a host answered is no answer to its turn; nothing of it was used."""


def encode_turn(
    actor: ActorAddress,
    action: str,
    type_url: str,
    payload: bytes,
    *,
    extra: CallExtra | None,
    state: StateUpdate | None,
) -> bytes:
    """The bytes of an `ActorInvocation`.

    The state is left out when there is none: SDKs stumble over an Any without a type.

    Args:
        actor: whose turn.
        action: what is called.
        type_url: of the payload.
        payload: the caller's, unread.
        extra: metadata and calling actor, if any.
        state: the whole state.
    """
    who = _id_bytes(actor)
    context = field(3, who)
    parts = [field(1, who), field(2, action.encode())]
    if state is not None:
        context += _state_bytes(state)
    if extra is not None:
        if extra.caller is not None:
            caller = _id_bytes(extra.caller)
            context += field(2, caller)
            parts.append(field(6, caller))
        context += _entries(4, extra.metadata)
    parts.append(field(3, context))
    if type_url == NOOP_URL and not payload:
        parts.append(_NOOP)
    elif type_url or payload:
        parts.append(field(4, field(1, type_url.encode()) + field(2, payload)))
    return b"".join(parts)


def decode_answer(
    data: bytes, *, actor: ActorAddress, state: StateUpdate | None, wall_ms: int
) -> tuple[str, bytes, Operations]:
    """Reads an `ActorInvocationResponse`.

    Args:
        data: from a host.
        actor: whose turn it was.
        state: what went out with the turn.
        wall_ms: now, for effects that are scheduled by a delay.

    Returns:
        Type URL and bytes of the reply, and what the turn did.

    Raises:
        BadAnswer: it can't be read, is of another actor, or lacks `updated_context`, by which SDKs say that they have
            no such actor or action, or that the handler failed.
    """
    answer = protocol_pb2.ActorInvocationResponse()
    try:
        answer.ParseFromString(data)
    except DecodeError:
        raise BadAnswer(f"an ActorInvocationResponse expected, got {len(data)} bytes that are none") from None
    if (answer.actor_name, answer.actor_system) != (actor.name, actor.system):
        _check_sender(answer, actor)
    if not answer.HasField("updated_context"):
        raise BadAnswer(
            f"the answer has no updated_context, by which SDKs say that actor {actor.name[:64]!r} or its action is not "
            "theirs, or that the handler failed; see the host's log"
        )
    type_url, payload = payload_from(answer)
    asked = answer.workflow if answer.HasField("workflow") else None
    workflow = None if asked is None else workflow_from(asked, system=actor.system, wall_ms=wall_ms)
    context = answer.updated_context
    if state is not None and state.opaque is not None:
        later = _opaque(context)
        return type_url, payload, TurnEffects((), later, workflow, answer.checkpoint)
    did = _operations(context, actor, state)
    if workflow is not None or answer.checkpoint:
        return type_url, payload, TurnEffects(did, None, workflow, answer.checkpoint)
    return type_url, payload, did


def _check_sender(answer: protocol_pb2.ActorInvocationResponse, actor: ActorAddress) -> None:
    named = (answer.actor_system or actor.system, answer.actor_name or actor.name)
    if named != (actor.system, actor.name):
        raise BadAnswer(
            f"an answer of actor {actor.system[:64]!r}/{actor.name[:64]!r} expected, got one of "
            f"{named[0][:64]!r}/{named[1][:64]!r}"
        )


@functools.lru_cache(ADDRESSES_REMEMBERED_MAX)
def _id_bytes(address: ActorAddress) -> bytes:
    """An `ActorId`."""
    system, name, parent = address
    return field(1, name.encode()) + field(2, system.encode()) + field(3, parent.encode())


def _state_bytes(state: StateUpdate) -> bytes:
    """The fields of a `Context` that carry the state."""
    opaque = state.opaque
    if opaque is None:
        value = values.value_from_plain(state.type_name, state.value)
        return field(1, field(1, STATE_VALUE.encode()) + field(2, value.SerializeToString()))
    tags = _entries(5, opaque.tags)
    if not opaque.type_url:
        return tags
    return field(1, field(1, opaque.type_url.encode()) + field(2, opaque.data)) + tags


def _entries(number: int, entries: Mapping[str, str]) -> bytes:
    """A map of texts."""
    return b"".join(
        field(number, field(1, key.encode()) + field(2, value.encode()), is_kept=True) for key, value in entries.items()
    )


def _opaque(context: protocol_pb2.Context) -> OpaqueState:
    tags = context.tags
    if not context.HasField("state"):
        return OpaqueState(tags=dict(tags)) if tags else NO_STATE
    state = context.state
    return OpaqueState(state.type_url, state.value, dict(tags))


def _operations(
    context: protocol_pb2.Context, actor: ActorAddress, state: StateUpdate | None
) -> tuple[Operation, ...] | InvalidOperation:
    """What the answer does to a replicated state: mutations, or nothing when it sends the state back as it was."""
    type_url, data = context.state.type_url, context.state.value
    if not type_url or state is None:
        return ()
    if type_url == STATE_MUTATIONS:
        try:
            return values.mutations_from_bytes(data)
        except InvalidOperation as error:
            return error
        except CrdtError as error:
            return InvalidOperation(str(error))
    if type_url == STATE_VALUE and _is_value(data, state):
        return ()
    return InvalidOperation(
        f"actor {actor} has a {state.type_name} for its state: {STATE_MUTATIONS} expected in updated_context.state, or "
        f"no state, got {'another' if type_url == STATE_VALUE else 'a'} {type_url[:128]!r}"
    )


def _is_value(data: bytes, state: StateUpdate) -> bool:
    """Whether these bytes are the value that went out; another library may have written them in another order."""
    sent = values.value_from_plain(state.type_name, state.value)
    try:
        came = values_pb2.Value.FromString(data)
    except DecodeError:
        return False
    return came.SerializeToString(deterministic=True) == sent.SerializeToString(deterministic=True)


def workflow_from(workflow: protocol_pb2.Workflow, *, system: str, wall_ms: int) -> Workflow | None:
    """What is to be done next; None for an empty message, which most SDKs always send.

    Args:
        workflow: of an answer.
        system: of actors that name none.
        wall_ms: now, for effects that are scheduled by a delay.

    Raises:
        BadAnswer: it asks for too much.
    """
    if len(workflow.effects) > EFFECTS_MAX:
        raise BadAnswer(f"at most {EFFECTS_MAX} effects an answer expected, got {len(workflow.effects)}")
    effects = [invocation_from(effect.request, system=system, wall_ms=wall_ms) for effect in workflow.effects]
    sent = workflow.broadcast
    broadcast = Broadcast(sent.channel_group, sent.action_name, *payload_from(sent)) if sent.channel_group else None
    route = _route(workflow)
    if not effects and broadcast is None and route is None:
        return None
    return Workflow(effects, broadcast, route)


def _route(workflow: protocol_pb2.Workflow) -> Route | None:
    kind = workflow.WhichOneof("routing")
    if kind is None:
        return None
    to = workflow.pipe if kind == "pipe" else workflow.forward
    if not to.actor:
        return None
    route = RouteKind.PIPE if kind == "pipe" else RouteKind.FORWARD
    return Route(route, to.actor, to.action_name, templates_of(to.register_ref, ""))
