"""Spawn's registration messages to actor definitions, and definitions back to answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError

import crdtmesh
from crdtmesh.levels import LevelInvalid
from crdtmesh.replication.levels import Level, parse_level
from crdtmesh.runtime.definition import DEACTIVATION_TIMEOUT_MS, ActorAddress, ActorDefinition, Channel, Kind
from crdtmesh.runtime.errors import RegistrationRefused
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2
from crdtmesh.wire.tags import PLACEMENT_TAG, REVISIONS_MAX, REVISIONS_TAG, TYPE_TAG, WRITE_TAG

# SDKs recognise success by this word.
ACCEPTED: Final = "Accepted"
_PLACEMENTS: Final = ("owner", "available")

# One host declares what its code holds, one entry per actor name. 10,000 definitions of a kilobyte are 10 MB, the same
# order as the largest message that the endpoint takes.
DEFINITIONS_MAX: Final = 10_000

# The version of Spawn's protocol that is spoken here, and the name that its proxy has in it.
PROTOCOL_MAJOR: Final = 1
PROTOCOL_MINOR: Final = 2
PROXY_NAME: Final = "spawn"

# A Channel opens with the tag of its first or second field. No topic begins with these control characters.
_CHANNEL_TAGS: Final = (0x0A, 0x12)


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
    return protocol_pb2.RegistrationResponse(
        status=protocol_pb2.RequestStatus(status=protocol_pb2.OK, message=ACCEPTED),
        proxy_info=protocol_pb2.ProxyInfo(
            protocol_major_version=PROTOCOL_MAJOR,
            protocol_minor_version=PROTOCOL_MINOR,
            proxy_name=PROXY_NAME,
            proxy_version=crdtmesh.__version__,
        ),
    )


def refused(message: str) -> protocol_pb2.RegistrationResponse:
    """The answer to a registration that was not taken."""
    return protocol_pb2.RegistrationResponse(
        status=protocol_pb2.RequestStatus(status=protocol_pb2.ERROR, message=message)
    )


def channels_from(groups: Iterable[bytes]) -> tuple[Channel, ...]:
    """Topics and their actions, from either of the two encodings that SDKs have for them.

    Newer SDKs send `Channel` messages, older ones the plain topic, under the same number and wire type.

    Raises:
        RegistrationRefused: an element is neither.
    """
    channels = []
    for group in groups:
        if not group:
            continue
        try:
            if group[0] in _CHANNEL_TAGS:
                channel = actor_pb2.Channel.FromString(group)
                channels.append(Channel(channel.topic, channel.action))
            else:
                channels.append(Channel(group.decode()))
        except (DecodeError, UnicodeDecodeError):
            raise RegistrationRefused(
                f"channel_group: a Channel or the name of a topic expected, got {group[:32]!r}"
            ) from None
    return tuple(channels)


def _definition(system: str, name: str, actor: actor_pb2.Actor) -> ActorDefinition:
    settings = actor.settings
    tags = {**actor.state.tags, **actor.metadata.tags}
    declared = settings.state_type or tags.get(TYPE_TAG) or None
    timeout_ms = settings.deactivation_strategy.timeout.timeout
    # The field is called seconds, and holds milliseconds. What a timer runs can be called by its name too.
    actions = {action.name for action in actor.actions} | {timer.action.name for timer in actor.timer_actions}
    state = actor.state
    # An id's parent says nothing at registration: one SDK puts a template's own name there.
    return ActorDefinition(
        address=ActorAddress(actor.id.system or system, actor.id.name or name),
        kind=_kind(name, settings.kind),
        is_stateful=settings.stateful,
        state_type=declared,
        actions=frozenset(actions),
        deactivation_timeout_ms=timeout_ms if timeout_ms > 0 else DEACTIVATION_TIMEOUT_MS,
        initial=OpaqueState(state.state.type_url, state.state.value, dict(state.tags)),
        write_level=_write_level(name, tags.get(WRITE_TAG, "")),
        channels=channels_from(actor.metadata.channel_group),
        timers=tuple((timer.action.name, timer.seconds) for timer in actor.timer_actions),
        is_eager=actor.HasField("metadata"),
        is_available=_is_available(name, tags.get(PLACEMENT_TAG, _PLACEMENTS[0])),
        revisions_max=_revisions_max(name, tags.get(REVISIONS_TAG, "0")),
        snapshot_interval_ms=settings.snapshot_strategy.timeout.timeout,
    )


def _revisions_max(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= REVISIONS_MAX):
        raise RegistrationRefused(
            f"actor {name!r:.64}: tag {REVISIONS_TAG} of 0 to {REVISIONS_MAX} expected, got {text!r:.64}"
        )
    return int(text)


def _is_available(name: str, placement: str) -> bool:
    if placement not in _PLACEMENTS:
        raise RegistrationRefused(
            f"actor {name!r:.64}: tag {PLACEMENT_TAG} of {' or '.join(_PLACEMENTS)} expected, got {placement!r:.64}"
        )
    return placement == "available"


def _write_level(name: str, text: str) -> Level | None:
    try:
        return parse_level(text) if text else None
    except LevelInvalid as error:
        raise RegistrationRefused(f"actor {name!r:.64}: {error}") from None


def _kind(name: str, number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise RegistrationRefused(f"actor {name!r:.64}: kind {number} doesn't exist") from None
