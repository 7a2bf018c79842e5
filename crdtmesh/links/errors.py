"""Errors of the peer links, and the closed set of reasons for which a link ends.

```
LinkError
├── LocalProtocolError     our own caller broke a rule; nothing was changed
│   └── MessageTooLargeError
├── TlsFailed              the channel can't be secured; stays inside `links`
└── RemoteProtocolError    the peer broke a rule; stays inside `links`, where it becomes a close reason
```

What a peer does never raises out of a session: it becomes a `CloseReason`, which is also the metric attribute.
"""

import enum
from typing import Final, Literal

__all__ = [
    "CloseReason",
    "LinkError",
    "LocalProtocolError",
    "MessageTooLargeError",
    "RemoteProtocolError",
    "TlsFailed",
    "bounded",
]

_TEXT_CHARS_MAX: Final = 64  # what a log line or an error may quote from a peer


def bounded(value: object) -> str:
    """A `repr` of something from outside, safe for a log line: escaped, and at most 64 characters."""
    # The cut comes before `repr` as well: the repr of a megabyte is a megabyte.
    text = repr(value[:_TEXT_CHARS_MAX] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _TEXT_CHARS_MAX else text[: _TEXT_CHARS_MAX - 3] + "..."


class CloseReason(enum.StrEnum):
    """Why a link ended. A closed set: the value goes into metrics and into the goodbye frame."""

    GOODBYE = "goodbye"  # asked for by the owner of this side
    SHUTDOWN = "shutdown"  # the whole node goes
    NOT_A_PEER = "not_a_peer"  # membership does not know, or no longer knows, this node or this start of it
    DUPLICATE = "duplicate"  # another connection to the same peer is kept
    REPLACED = "replaced"  # the peer dialled anew, so this connection is of no use to it
    PROTOCOL_VERSION = "protocol_version"
    CLUSTER = "cluster"
    SELF_CONNECTION = "self_connection"
    NAME_CONFLICT = "name_conflict"  # another node with our own name
    UNEXPECTED_PEER = "unexpected_peer"  # the dialled address answered with another name or start id
    IDENTITY_UNPROVEN = "identity_unproven"  # the channel's credentials do not prove the name in the hello
    MALFORMED = "malformed"
    FRAME_TOO_LARGE = "frame_too_large"
    CREDIT_EXCEEDED = "credit_exceeded"
    OUT_OF_TURN = "out_of_turn"  # a frame that the state of the session does not allow
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    DRAIN_TIMEOUT = "drain_timeout"
    OVERLOADED = "overloaded"  # too many connections without an admitted peer
    LOST = "lost"  # the transport ended without a goodbye


class LinkError(Exception):
    """Any error of the peer links."""

    outcome: Literal["not_applied"] = "not_applied"


class TlsFailed(LinkError):
    """The bytes that came are no TLS of a peer that may talk to us. The channel is of no further use."""


class LocalProtocolError(LinkError):
    """Our own caller used a session in a way its state does not allow. The session is unchanged."""


class MessageTooLargeError(LocalProtocolError):
    """A message that no frame may carry. Nothing was queued; sending it again cannot help."""


class RemoteProtocolError(LinkError):
    """The peer broke the protocol. Raised and caught inside `links`; the session closes with `reason`."""

    def __init__(self, reason: CloseReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
