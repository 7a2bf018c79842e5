"""What a handler is told about its turn, besides its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic

if TYPE_CHECKING:
    # With a default, `ctx: Context` is complete; `ctx: Context[ORSet[str]]` says what the state is. The standard
    # library has this from Python 3.13 on.
    from typing_extensions import TypeVar

    StateT = TypeVar("StateT", default=Any)
else:
    from typing import TypeVar

    StateT = TypeVar("StateT")

__all__ = ["Context", "StateT"]

_NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})


class Context(Generic[StateT]):
    """The turn that a handler runs in.

    Attributes:
        state: the actor's state as a live object, as it was at the start of the turn; None for a stateless actor. It is
            valid until the handler returns. What is done to it becomes one event when the handler returns, and nothing
            when it raises.
        system: name of the actor system.
        actor: name of the actor; one class may run several.
        action: name of the action.
        metadata: what the caller sent along.
        caller: name of the calling actor, if it was one.
    """

    __slots__ = ("action", "actor", "caller", "metadata", "state", "system")

    def __init__(
        self,
        state: StateT,
        *,
        system: str = "",
        actor: str = "",
        action: str = "",
        metadata: Mapping[str, str] = _NO_METADATA,
        caller: str | None = None,
    ) -> None:
        self.state = state
        self.system = system
        self.actor = actor
        self.action = action
        self.metadata = metadata
        self.caller = caller

    def __repr__(self) -> str:
        return f"<Context {self.system}/{self.actor} {self.action}>"
