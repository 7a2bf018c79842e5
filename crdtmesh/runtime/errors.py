"""What can go wrong with a call: a closed set of codes, each with what it says about the call's effect.

    RuntimeRefusal (exception; for the caller of a command, nothing was changed)
    ├── RegistrationRefused   a definition that this version doesn't run, or a name that can't be one
    │   └── DefinitionConflict   another host declares the actor as something else; it stays until it leaves
    ├── SpawnRefused          an instance of a template that nobody knows
    └── SubscriptionRefused   one listener more than a node takes

Calls don't raise: their failures are values, `CallFailure(id, code, outcome, message)`. The codes and outcomes carry
the numbers of `crdtmesh.v1.ErrorCode` and `crdtmesh.v1.Outcome`, so that the edge passes them on as they are.

| code | when | outcome |
|---|---|---|
| unknown_actor | no live node offers an actor of this name | not_applied |
| unknown_action | the actor is known and has no such action | not_applied |
| no_host | known, and no host that can run it is connected anywhere | not_applied |
| handler_error | the handler raised; its turn left nothing | not_applied |
| mailbox_full | the actor's queue, or the way to its node, is at its bound | not_applied |
| timeout | the deadline passed: in the mailbox / after dispatch | not_applied / unknown |
| host_lost | the host went away with the turn | unknown |
| peer_lost | the node that was running the call went out of reach | unknown |
| storage_failed | the node is read-only / a commit failed under the reply | not_applied / unknown |
| invalid_operation | the answer's operation doesn't fit the state's type | not_applied |
| draining | the node is shutting down | not_applied |
| invalid_request | malformed, or asks for what this version doesn't do | not_applied |
| limit_reached | the node is at a bound: too many watches, or they hold too much; too many busy actors | not_applied |
| forbidden | the caller's role or a policy doesn't allow it | not_applied |
"""

import enum
from typing import TYPE_CHECKING

from crdtmesh.errors import MeshError

if TYPE_CHECKING:
    from crdtmesh.runtime.definition import ActorAddress

__all__ = [
    "DefinitionConflict",
    "ErrorCode",
    "Outcome",
    "RegistrationRefused",
    "RuntimeRefusal",
    "SpawnRefused",
    "SubscriptionRefused",
]


class ErrorCode(enum.IntEnum):
    """Why a call failed; the numbers of `crdtmesh.v1.ErrorCode`."""

    UNKNOWN_ACTOR = 1
    UNKNOWN_ACTION = 2
    NO_HOST = 3
    HANDLER_ERROR = 4
    MAILBOX_FULL = 5
    TIMEOUT = 6
    HOST_LOST = 7
    PEER_LOST = 8
    STORAGE_FAILED = 9
    INVALID_OPERATION = 10
    DRAINING = 11
    INVALID_REQUEST = 12
    LIMIT_REACHED = 13
    FORBIDDEN = 14


class Outcome(enum.IntEnum):
    """What a failure says about the call's effect; the numbers of `crdtmesh.v1.Outcome`."""

    NOT_APPLIED = 1
    """Nothing was changed; a retry is safe."""
    UNKNOWN = 2
    """The call may have had its effect, or still get it."""


class RuntimeRefusal(MeshError):
    """A command was refused; nothing was changed.

    Attributes:
        code: the error code to answer with.
        outcome: always `Outcome.NOT_APPLIED`.
    """

    code = ErrorCode.INVALID_REQUEST
    outcome = Outcome.NOT_APPLIED


class RegistrationRefused(RuntimeRefusal):
    """A definition can't be registered; no definition of the same request was."""


class DefinitionConflict(RegistrationRefused):
    """Another host, here or on another node, declares an actor as something else. Try again when it has left.

    Attributes:
        actor: which.
        nodes: the other nodes that offer it; empty when it is a host of this node.
    """

    def __init__(self, message: str, *, actor: "ActorAddress", nodes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.actor = actor
        self.nodes = nodes


class SpawnRefused(RuntimeRefusal):
    """Instances can't be spawned; none of the same request was."""


class SubscriptionRefused(RuntimeRefusal):
    """A client can't listen to a channel at this node."""

    code = ErrorCode.LIMIT_REACHED
