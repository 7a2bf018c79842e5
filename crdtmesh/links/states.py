"""The states of a session, what moves it, and what it reports.

Transitions (a test compares this drawing with the table)
---------------------------------------------------------
```
greeting  --hello_answer--> up
greeting  --hello_request--> admitting
greeting  --goodbye--> closed
greeting  --close--> closed
greeting  --fault--> closed
admitting --admit--> up
admitting --goodbye--> closed
admitting --close--> closed
admitting --fault--> closed
up        --traffic--> up
up        --close--> draining
up        --goodbye--> closed
up        --fault--> closed
draining  --traffic--> draining
draining  --close--> draining
draining  --drained--> closed
draining  --goodbye--> closed
draining  --fault--> closed
```
"""

import enum
from dataclasses import dataclass
from typing import Final

from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import Channel
from crdtmesh.links.options import Identity

__all__ = [
    "TRANSITIONS",
    "Closed",
    "Established",
    "Event",
    "HelloReceived",
    "MessagesReceived",
    "Signal",
    "State",
]


class State(enum.Enum):
    """Where a session stands."""

    GREETING = "greeting"  # hello sent (dialler) or awaited (acceptor)
    ADMITTING = "admitting"  # acceptor only: the hello is good, the owner has not decided
    UP = "up"
    DRAINING = "draining"  # our side says goodbye when its queues are empty
    CLOSED = "closed"


class Signal(enum.Enum):
    """What moves a session."""

    HELLO_ANSWER = "hello_answer"
    HELLO_REQUEST = "hello_request"
    ADMIT = "admit"
    TRAFFIC = "traffic"
    CLOSE = "close"
    DRAINED = "drained"
    GOODBYE = "goodbye"
    FAULT = "fault"  # violation, refusal, deadline, loss of the transport


TRANSITIONS: Final[dict[tuple[State, Signal], State]] = {
    (State.GREETING, Signal.HELLO_ANSWER): State.UP,
    (State.GREETING, Signal.HELLO_REQUEST): State.ADMITTING,
    (State.GREETING, Signal.GOODBYE): State.CLOSED,
    (State.GREETING, Signal.CLOSE): State.CLOSED,
    (State.GREETING, Signal.FAULT): State.CLOSED,
    (State.ADMITTING, Signal.ADMIT): State.UP,
    (State.ADMITTING, Signal.GOODBYE): State.CLOSED,
    (State.ADMITTING, Signal.CLOSE): State.CLOSED,
    (State.ADMITTING, Signal.FAULT): State.CLOSED,
    (State.UP, Signal.TRAFFIC): State.UP,
    (State.UP, Signal.CLOSE): State.DRAINING,
    (State.UP, Signal.GOODBYE): State.CLOSED,
    (State.UP, Signal.FAULT): State.CLOSED,
    (State.DRAINING, Signal.TRAFFIC): State.DRAINING,
    (State.DRAINING, Signal.CLOSE): State.DRAINING,
    (State.DRAINING, Signal.DRAINED): State.CLOSED,
    (State.DRAINING, Signal.GOODBYE): State.CLOSED,
    (State.DRAINING, Signal.FAULT): State.CLOSED,
}
"""Every permitted move. A frame whose signal is not here is a violation; a command is our caller's mistake."""


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """Acceptor only: a good hello came. Answer with `admit`, or with `close` to refuse."""

    peer: Identity


@dataclass(frozen=True, slots=True)
class Established:
    """The session is up; `send` works from here on."""

    peer: Identity


@dataclass(frozen=True, slots=True)
class MessagesReceived:
    """Messages of one channel, in order."""

    channel: Channel
    payloads: list[bytes]


@dataclass(frozen=True, slots=True)
class Closed:
    """Last event of every session.

    Attributes:
        reason: why; from a closed set.
        detail: what was expected and what came; safe to log.
        was_up: whether `Established` came before.
        by_peer: whether the peer ended it.
    """

    reason: CloseReason
    detail: str
    was_up: bool
    by_peer: bool


Event = HelloReceived | Established | MessagesReceived | Closed
