"""Spawn's registration messages to actor definitions, and definitions back to answers."""

from __future__ import annotations

from typing import Final

import crdtmesh
from crdtmesh.runtime.definition import DEACTIVATION_TIMEOUT_MS, ActorAddress, ActorDefinition, Kind
from crdtmesh.runtime.errors import RegistrationRefused
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2

# SDKs recognise success by this word.
ACCEPTED: Final = "Accepted"
# Released SDKs can't send `state_type`; a tag says the same.
TYPE_TAG: Final = "crdtmesh.type"

# One host declares what its code holds, one entry per actor name. 10,000 definitions of a kilobyte are 10 MB, the same
# order as the largest message that the endpoint takes.
DEFINITIONS_MAX: Final = 10_000


def definitions_from(request: protocol_pb2.RegistrationRequest) -> list[ActorDefinition]:
    """Reads the definitions of a registration.

    Raises:
        RegistrationRefused: there are too many, or one has a kind that doesn't exist.
    """
    system = request.actor_system.name
    actors = request.actor_system.registry.actors
    if len(actors) > DEFINITIONS_MAX:
        raise RegistrationRefused(f"at most {DEFINITIONS_MAX} actors a registration expected, got {len(actors)}")
    return [_definition(system, name, actor) for name, actor in sorted(actors.items())]


def accepted() -> protocol_pb2.RegistrationResponse:
    """The answer to a registration that was taken."""
    major, minor = crdtmesh.__version__.split(".")[:2]
    return protocol_pb2.RegistrationResponse(
        status=protocol_pb2.RequestStatus(status=protocol_pb2.OK, message=ACCEPTED),
        proxy_info=protocol_pb2.ProxyInfo(
            protocol_major_version=int(major),
            protocol_minor_version=int(minor),
            proxy_name="crdtmesh",
            proxy_version=crdtmesh.__version__,
        ),
    )


def refused(message: str) -> protocol_pb2.RegistrationResponse:
    """The answer to a registration that was not taken."""
    return protocol_pb2.RegistrationResponse(
        status=protocol_pb2.RequestStatus(status=protocol_pb2.ERROR, message=message)
    )


def _definition(system: str, name: str, actor: actor_pb2.Actor) -> ActorDefinition:
    settings = actor.settings
    declared = settings.state_type or actor.metadata.tags.get(TYPE_TAG) or actor.state.tags.get(TYPE_TAG) or None
    timeout_ms = settings.deactivation_strategy.timeout.timeout
    actions = frozenset(action.name for action in actor.actions)
    return ActorDefinition(
        address=ActorAddress(actor.id.system or system, actor.id.name or name),
        kind=_kind(name, settings.kind),
        is_stateful=settings.stateful,
        state_type=declared,
        actions=actions,
        deactivation_timeout_ms=timeout_ms if timeout_ms > 0 else DEACTIVATION_TIMEOUT_MS,
    )


def _kind(name: str, number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise RegistrationRefused(f"actor {name!r:.64}: kind {number} doesn't exist") from None
