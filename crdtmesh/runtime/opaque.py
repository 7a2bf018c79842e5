"""A state that nobody here can read: the two parts of an Any, and the tags beside it; and how it is kept.

It is kept as the value of a register whose concurrent values stay until a write has seen them all (`LWWRegister`).
They come about only when two nodes ran the actor at once: while their views of the members differed, or in a split. The
value with the greatest hybrid time is the state; the others are *losers*, which the next write supersedes. Before it
does, they are put aside under the same key, in a map from their stamp to what they were, for people to look at.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from crdtmesh.crdts import values
from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.register_lww import RegisterStore
from crdtmesh.crdts.values import PlainValue

__all__ = ["LOSERS_TYPE", "NO_STATE", "OpaqueState", "from_plain", "losers", "set_aside", "to_plain"]

LOSERS_TYPE: Final = "LWWMap"
"""The data type of the entry that keeps losers, under the key of the state."""


class OpaqueState(NamedTuple):
    """The parts of a `google.protobuf.Any`, passed on as they came, and Spawn's tags.

    Attributes:
        type_url: never rewritten, since SDKs find their class by it; empty when there is no state.
        data: the bytes that belong to it.
        tags: Spawn's, replaced as a whole.
    """

    type_url: str = ""
    data: bytes = b""
    tags: Mapping[str, str] = MappingProxyType({})

    def followed_by(self, later: "OpaqueState") -> "OpaqueState":
        """What holds after an answer: a state that it leaves out stays, its tags always replace."""
        return later if later.type_url else later._replace(type_url=self.type_url, data=self.data)


NO_STATE: Final = OpaqueState()
"""No state and no tags."""


def to_plain(state: OpaqueState) -> PlainValue:
    """The value that stands in the register."""
    return [state.type_url, state.data, dict(state.tags)]


def from_plain(value: Any) -> OpaqueState:
    """The state that a register's value stands for; no state for a value that is none of ours.

    Somebody may have set the register directly (`State.Update`); the actor begins anew, and its next write mends it.
    """
    match value:
        case [str(type_url), bytes(data), Mapping() as tags]:
            return OpaqueState(type_url, data, {str(name): str(text) for name, text in tags.items()})
    return NO_STATE


def losers(store: RegisterStore) -> list[tuple[str, OpaqueState]]:
    """The values that were written concurrently and are not the state: (stamp, value), the latest first."""
    if len(store) < 2:
        return []
    cells = sorted(store.values(), reverse=True)[1:]
    return [(f"{time:016x}-{replica_id.hex()}", _decoded(data)) for time, replica_id, data in cells]


def set_aside(stamp: str, loser: OpaqueState) -> Operation:
    """The operation by which a loser is kept; the same one on every node that does it."""
    return Operation("put", (stamp, to_plain(loser)))


def _decoded(data: bytes) -> OpaqueState:
    try:
        return from_plain(values.decode(data))
    except CodecError:
        return NO_STATE
