"""A state that nobody here can read: the two parts of an Any, and the tags beside it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["NO_STATE", "OpaqueState"]


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
