"""The errors of the SDK.

    SdkError
    ├── DefinitionError        an actor system is declared wrongly, or can't be loaded; raised before anything runs
    ├── RegistrationRefused    the node didn't take the host's actors
    └── CallError              a call failed; `code` says why, `outcome` what became of its effect
        ├── UnknownActor, UnknownAction, NoHost, HandlerError, MailboxFull, CallTimeout, HostLost, PeerLost,
        │   StorageFailed, InvalidOperation, NodeDraining, InvalidRequest, LimitReached, Forbidden
        │                      one for each code of the wire
        ├── NotConnected       none of the addresses could be reached in time; the call was never sent
        └── ConnectionLost     the stream broke with the call in flight

`outcome` is "not_applied" (nothing was changed, a retry is safe) or "unknown" (the call may have had its effect, or
still get it).
"""

from typing import ClassVar, Final, Literal

__all__ = [
    "CallError",
    "CallTimeout",
    "ConnectionLost",
    "DefinitionError",
    "Forbidden",
    "HandlerError",
    "HostLost",
    "InvalidOperation",
    "InvalidRequest",
    "LimitReached",
    "MailboxFull",
    "NoHost",
    "NodeDraining",
    "NotConnected",
    "Outcome",
    "PeerLost",
    "RegistrationRefused",
    "SdkError",
    "StorageFailed",
    "UnknownAction",
    "UnknownActor",
    "error_for",
]

Outcome = Literal["not_applied", "unknown"]


class SdkError(Exception):
    """Base of the errors that the SDK raises to its users."""


class DefinitionError(SdkError):
    """An actor system is declared wrongly, or can't be loaded; nothing runs."""


class RegistrationRefused(SdkError):
    """The node didn't take the host's actors; the host runs no turn."""


class CallError(SdkError):
    """A call failed.

    Attributes:
        code: why: the wire's code in lower case, "not_connected" or "connection_lost"; a code that this version doesn't
            know is "unspecified".
        outcome: what became of the effect: "not_applied" or "unknown".
    """

    code: ClassVar[str] = "unspecified"

    def __init__(self, message: str, *, outcome: Outcome = "unknown") -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome


class UnknownActor(CallError):
    """No live node offers an actor of this name."""

    code = "unknown_actor"


class UnknownAction(CallError):
    """The actor is known and has no such action."""

    code = "unknown_action"


class NoHost(CallError):
    """The actor is known and no host that can run it is connected anywhere."""

    code = "no_host"


class HandlerError(CallError):
    """The handler raised; its turn left nothing. The message is the handler's own."""

    code = "handler_error"


class MailboxFull(CallError):
    """The actor's queue, or its host's, is at its bound; try again later."""

    code = "mailbox_full"


class CallTimeout(CallError, TimeoutError):
    """The deadline passed; as a rule the outcome is unknown."""

    code = "timeout"


class HostLost(CallError):
    """The host went away with the call."""

    code = "host_lost"


class PeerLost(CallError):
    """The node that was running the call went out of reach."""

    code = "peer_lost"


class StorageFailed(CallError):
    """The node can't write to its disk."""

    code = "storage_failed"


class InvalidOperation(CallError):
    """The operation doesn't exist for the type, or its arguments don't fit."""

    code = "invalid_operation"


class NodeDraining(CallError):
    """The node is shutting down; another one may take the call."""

    code = "draining"


class InvalidRequest(CallError):
    """The request is malformed, or asks for what the node's version doesn't do."""

    code = "invalid_request"


class LimitReached(CallError):
    """The node is at a bound of its own; ask for less, or later, or another node."""

    code = "limit_reached"


class Forbidden(CallError):
    """The node doesn't let this client do that: no token or certificate, its role, or a policy."""

    code = "forbidden"


class NotConnected(CallError, ConnectionError):
    """None of the addresses could be reached in time; the call was never sent."""

    code = "not_connected"


class ConnectionLost(CallError, ConnectionError):
    """The connection to the node broke with the call in flight."""

    code = "connection_lost"


_CLASSES: Final[dict[str, type[CallError]]] = {
    error.code: error
    for error in (
        UnknownActor, UnknownAction, NoHost, HandlerError, MailboxFull, CallTimeout, HostLost, PeerLost, StorageFailed,
        InvalidOperation, NodeDraining, InvalidRequest, LimitReached, Forbidden,
    )
}  # fmt: skip


def error_for(code: str, message: str, outcome: Outcome) -> CallError:
    """The exception for a failure that a node reported.

    Args:
        code: an `ErrorCode` name in lower case; one of a newer version gives a plain `CallError`.
        message: shown as it is.
        outcome: what the node says about the call's effect.
    """
    return _CLASSES.get(code, CallError)(message, outcome=outcome)
