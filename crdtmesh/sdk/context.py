"""What a handler is told about its turn, besides its arguments, and what it may ask to be done next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple

if TYPE_CHECKING:
    # With a default, `ctx: Context` is complete; `ctx: Context[ORSet[str]]` says what the state is. The standard
    # library has this from Python 3.13 on.
    from typing_extensions import TypeVar

    from crdtmesh.sdk.asks import Asks

    StateT = TypeVar("StateT", default=Any)
else:
    from typing import TypeVar

    StateT = TypeVar("StateT")

T = TypeVar("T")

__all__ = ["ActorRef", "Context", "StateT"]

_NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})


class ActorRef(NamedTuple):
    """Which actor: its system and name, and the template that it is an instance of, if any."""

    system: str
    name: str
    parent: str = ""

    def __str__(self) -> str:
        return f"{self.system}/{self.name}"


_NOBODY: Final = ActorRef("", "")


class Context(Generic[StateT]):
    """The turn that a handler runs in.

    Attributes:
        state: the actor's state as it was at the start of the turn; None for a stateless actor. A replicated one is a
            live object, an opaque one an object of the declared class, which may be changed or replaced by assignment.
            It is valid until the handler returns. What is done to it is one event when the handler returns, and nothing
            when it raises.
        tags: texts that are kept beside an opaque state, and change with it; empty for other actors.
        ref: the actor that runs; one class may be several.
        action: name of the action.
        metadata: what the caller sent along.
        caller: the calling actor; None if it was none.
        asks: what was asked to be done next, for the host; None for nothing.
    """

    __slots__ = ("action", "asks", "caller", "metadata", "ref", "state", "tags")

    def __init__(
        self,
        state: StateT,
        *,
        ref: ActorRef = _NOBODY,
        action: str = "",
        metadata: Mapping[str, str] = _NO_METADATA,
        caller: ActorRef | None = None,
        tags: Mapping[str, str] = _NO_METADATA,
    ) -> None:
        self.state = state
        self.ref = ref
        self.action = action
        self.metadata = metadata
        self.caller = caller
        self.tags: dict[str, str] = dict(tags) if tags else {}
        self.asks: Asks | None = None

    @property
    def system(self) -> str:
        """Name of the actor system."""
        return self.ref.system

    @property
    def actor(self) -> str:
        """Name of the actor."""
        return self.ref.name

    def effect(
        self,
        actor: str,
        action: str,
        payload: Any = None,
        *,
        parent: str = "",
        at: datetime | None = None,
        delay: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Calls another actor of the system when this turn has had its effect; nobody waits for the answer.

        Args:
            actor: its name; that of this actor is allowed.
            action: of it.
            payload: a plain value, a dataclass or a protobuf message; None is no argument.
            parent: the template that it is an instance of; it is spawned if need be.
            at: when, with a time zone; None for at once. The call then outlives its node.
            delay: in seconds, instead of a time.
            metadata: passed on to the handler.

        Raises:
            PayloadError: the payload can't travel.
            ValueError: the time is none.
        """
        target = ActorRef(self.system, actor, parent)
        self._asked().effect(target, action, payload, at=at, delay=delay, metadata=metadata)

    def broadcast(self, topic: str, payload: Any = None, *, action: str = "") -> None:
        """Sends a message to all that listen to a topic, when this turn has had its effect; one for each turn.

        Args:
            topic: of the channel, in this actor's system.
            payload: as in `effect`.
            action: what it runs, whatever the listeners declare; empty to let them.

        Raises:
            PayloadError: the payload can't travel.
            ValueError: the topic is empty, or this turn has a broadcast already.
        """
        self._asked().broadcast(topic, payload, action)

    def pipe(self, actor: str, action: str, result: T, *, parent: str = "") -> T:
        """Hands this action's result to another actor, whose answer the caller gets: `return ctx.pipe(...)`.

        Args:
            actor: of this system.
            action: of it.
            result: what this action returns, and the other gets as its argument.
            parent: the template that the other is an instance of; it is spawned if need be.

        Returns:
            The result.
        """
        self._asked().pipe(actor, action, parent)
        return result

    def forward(self, actor: str, action: str, *, parent: str = "") -> Any:
        """Hands this call, with its argument as it came, to another actor: `return ctx.forward(...)`.

        Args:
            actor: of this system; the caller gets its answer.
            action: of it.
            parent: the template that the other is an instance of; it is spawned if need be.
        """
        self._asked().forward(actor, action, parent)

    def _asked(self) -> Asks:
        if self.asks is None:
            # Declaring actors loads no protobuf; a turn that asks for something does.
            from crdtmesh.sdk.asks import Asks

            self.asks = Asks()
        return self.asks

    def __repr__(self) -> str:
        return f"<Context {self.ref} {self.action}>"
