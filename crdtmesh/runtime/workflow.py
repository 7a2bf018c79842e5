"""What an answer asks to be done next, in Spawn's order: side effects, then a broadcast, then a route.

The values only, as the wire adapters read them from an answer; `flows` does what they say.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crdtmesh.runtime.definition import ActorAddress

__all__ = ["Broadcast", "Invocation", "Route", "RouteKind", "Workflow"]


class Invocation(NamedTuple):
    """A call as Spawn's `InvocationRequest` describes it.

    Attributes:
        actor: whom to call.
        action: what to call.
        type_url, payload: the parts of an Any; an empty type URL is no payload.
        is_async: nobody waits for the reply.
        caller: the calling actor, if any.
        metadata: passed on to the handler.
        scheduled_ms: when to run, in Unix milliseconds; 0 for now.
        templates: UNNAMED actors that this one may have to be spawned from first; the first that is registered counts.
        is_pooled: any instance of a pool will do.
    """

    actor: ActorAddress
    action: str
    type_url: str
    payload: bytes
    is_async: bool
    caller: ActorAddress | None
    metadata: Mapping[str, str]
    scheduled_ms: int
    templates: tuple[str, ...]
    is_pooled: bool


class Broadcast(NamedTuple):
    """A message to all subscribers of a channel; `action` overrules theirs when it is not empty."""

    channel: str
    action: str
    type_url: str
    payload: bytes


class RouteKind(enum.Enum):
    """What the next actor gets."""

    PIPE = enum.auto()
    """What this one answered."""
    FORWARD = enum.auto()
    """What this one was asked."""


class Route(NamedTuple):
    """The actor whose answer the caller gets instead; `templates` as in `Invocation`."""

    kind: RouteKind
    actor: str
    action: str
    templates: tuple[str, ...]


class Workflow(NamedTuple):
    """All that an answer asks for; one that asks for nothing is None in its place."""

    effects: Sequence[Invocation]
    broadcast: Broadcast | None
    route: Route | None
