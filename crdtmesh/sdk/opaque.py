"""Opaque states: what nodes keep whole and unread, and handlers see as a dataclass, a protobuf message or a dict.

Decides how such a state travels (a message as itself, the others as JSON) and what an actor begins with. Leaves out the
host's copy of one (`opaque_copy`).
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Final

from crdtmesh.sdk.checks import Check, Mismatch, check_for
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.wire import payloads

__all__ = ["OpaqueType", "StateUnreadable"]

_UNSET: Final = object()


class StateUnreadable(ValueError):
    """A state that was written by other code than this doesn't fit the declared class; the turn left nothing."""


class OpaqueType:
    """A class whose objects are opaque states.

    Attributes:
        name: as `actors list` shows it.
    """

    __slots__ = ("_check", "_is_message", "_kind", "name")

    def __init__(self, annotation: Any) -> None:
        """Takes a dataclass, a protobuf message class, `dict` or `dict[str, X]`.

        Raises:
            DefinitionError: it is none of these, or a field has an annotation without check.
        """
        kind: Any = typing.get_origin(annotation) or annotation
        is_message = isinstance(kind, type) and hasattr(kind, "DESCRIPTOR")
        if not (kind is dict or is_message or (isinstance(kind, type) and dataclasses.is_dataclass(kind))):
            raise DefinitionError(
                "state: expected a replicated type such as ORSet, a dataclass, a protobuf message class or dict, "
                f"got {annotation!r:.64}"
            )
        self._kind = kind
        self._is_message = is_message
        self._check: Check = check_for(annotation)
        self.name: str = kind.DESCRIPTOR.full_name if is_message else kind.__name__

    def initial(self, value: Any = _UNSET) -> tuple[str, bytes]:
        """What an actor begins with, encoded: the given state, else an object made without arguments.

        Raises:
            DefinitionError: the state is none of this type, or the class needs arguments.
        """
        try:
            return self.encode(self._kind() if value is _UNSET or value is None else value)
        except (TypeError, payloads.PayloadError) as error:
            raise DefinitionError(f"initial: expected a state of {self.name}: {error}") from None

    def encode(self, value: Any) -> tuple[str, bytes]:
        """The two parts of an Any.

        Raises:
            PayloadError: the value is no state of this type.
        """
        if not isinstance(value, self._kind):
            raise payloads.PayloadError(f"ctx.state: expected {self.name}, got {type(value).__name__}")
        if self._is_message:
            return f"type.googleapis.com/{self.name}", value.SerializeToString(deterministic=True)
        return payloads.encode(value)

    def decode(self, type_url: str, data: bytes) -> Any:
        """The state as the handler sees it.

        Raises:
            StateUnreadable: the bytes are no state of this type.
        """
        try:
            return self._check(payloads.decode(type_url, data))
        except (Mismatch, payloads.PayloadError) as error:
            raise StateUnreadable(
                f"the state doesn't fit {self.name}: {error}; it was written by another version of the code"
            ) from None
