"""The host's copy of an opaque state: whether a turn changed it, and what the node is told then.

A handler may change `ctx.state` in place or assign a new one. A turn that changed it answers with the whole state, one
that did not with none.
"""

from __future__ import annotations

from typing import Any, Final

from crdtmesh.sdk.opaque import OpaqueType
from crdtmesh.wire.gen.spawn.actors import actor_pb2

__all__ = ["OpaqueCopy"]

_UNSET: Final = object()


class OpaqueCopy:
    """The host's copy of one opaque state, and the tags beside it.

    It is kept encoded, too: an object that a handler changed is compared with it, or restored from it.
    """

    __slots__ = ("_changed", "_data", "_initial", "_kept_tags", "_type", "_type_url", "_value")

    def __init__(self, kind: OpaqueType, initial: tuple[str, bytes]) -> None:
        self._type = kind
        self._initial = initial
        self._type_url, self._data = initial
        self._kept_tags: dict[str, str] = {}
        self._value: Any = _UNSET
        self._changed: tuple[str, bytes, Any, dict[str, str]] | None = None

    def load(self, state: actor_pb2.ActorState) -> None:
        """Takes the node's state over; without an Any it is the one that the actor begins with."""
        held = state.state
        self._type_url, self._data = (held.type_url, held.value) if held.type_url else self._initial
        self._kept_tags = dict(state.tags)
        self._value = _UNSET

    def begin(self) -> tuple[Any, dict[str, str]]:
        """The state and the tags for a turn, which may change both.

        Raises:
            StateUnreadable: the state is none of the declared class.
        """
        if self._value is _UNSET:
            self._value = self._type.decode(self._type_url, self._data)
            # Other code may have written the same state in other bytes; what a turn leaves is compared with ours.
            self._type_url, self._data = self._type.encode(self._value)
        return self._value, dict(self._kept_tags)

    def change(self, value: Any, tags: dict[str, str]) -> actor_pb2.ActorState | None:
        """What a turn did: state and tags as the node is told, None when it left both as they were.

        Complexity: O(state).

        Raises:
            PayloadError, StateUnreadable: what the handler left is no state of the declared class.
        """
        type_url, data = self._type.encode(value)
        tags = dict(tags)
        is_same = (type_url, data) == (self._type_url, self._data)
        if is_same and tags == self._kept_tags:
            self._value = value
            return None
        # Decoded anew: nobody could read back later what can't be now, and the handler may keep what it assigned.
        later = self._value if is_same else self._type.decode(type_url, data)
        self._changed = (type_url, data, later, tags)
        message = actor_pb2.ActorState(tags=tags)
        if not is_same:
            message.state.type_url, message.state.value = type_url, data
        return message

    def commit(self) -> None:
        """What the last `change` gave is the state now."""
        if self._changed is not None:
            self._type_url, self._data, self._value, self._kept_tags = self._changed
            self._changed = None

    def roll_back(self) -> None:
        """What the handler did to the state is undone."""
        self._changed = None
        self._value = _UNSET
