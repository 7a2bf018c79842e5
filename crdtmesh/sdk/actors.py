"""How a Python user declares actors: a `System`, classes in it, methods marked as actions.

    system = System("shops")

    @system.actor("shopping-list", state=ORSet)
    class ShoppingList:
        @action
        async def add(self, ctx: Context, item: str) -> list[str]:
            ctx.state.add(item)
            return sorted(ctx.state)

Decides what a valid declaration is, and says so when it is made. Leaves out running it (`host`). One object of the
class is made for each actor name in each host process, and for each active instance of a template; what it keeps on
`self` is neither replicated nor kept: state is `ctx.state`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, get_origin

from crdtmesh.levels import LevelInvalid, parse_level
from crdtmesh.sdk.binding import MISSING, Signature
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.live.registry import live_type
from crdtmesh.sdk.marks import Marks, marks_of
from crdtmesh.sdk.opaque import OpaqueType
from crdtmesh.wire.tags import PLACEMENT_TAG, REVISIONS_MAX, REVISIONS_TAG, WRITE_TAG

__all__ = ["ActionSpec", "ActorSpec", "System"]

C = TypeVar("C", bound=type)

Placement: TypeAlias = Literal["owner", "available"]

_NAME: Final = re.compile(r"[^\s/\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """One action of an actor class.

    Attributes:
        name: what callers ask for.
        signature: its parameters.
        call: takes the object, the context and the bound arguments in the signature's order.
        is_async: whether `call` gives a coroutine.
        timer_ms: the node calls it so often while the actor is active; None for not.
        topics: whose messages run it.
    """

    name: str
    signature: Signature
    call: Callable[..., Any]
    is_async: bool
    timer_ms: int | None = None
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSpec:
    """One declared actor; several may share a class.

    Attributes:
        name: unique in its system.
        actor_class: made once per host process, without arguments.
        state: the class of its live state, or what its opaque state is; None for a stateless actor.
        actions: by name.
        is_template: instances are spawned from it.
        initial: what an opaque state begins with, as the two parts of an Any.
        tags: that stand beside an opaque state when it begins.
        settings: tags that tell the node how to run it.
        channels: topics whose messages run the action `receive`.
        idle_timeout_ms: after which an activation without calls is put out; 0 for the node's default.
    """

    name: str
    actor_class: type
    state: type[LiveState] | OpaqueType | None
    actions: Mapping[str, ActionSpec]
    is_template: bool = False
    initial: tuple[str, bytes] = ("", b"")
    tags: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    idle_timeout_ms: int = 0


class System:
    """A named set of actors that one host offers."""

    __slots__ = ("_actors", "name")

    def __init__(self, name: str) -> None:
        """Starts an empty system.

        Args:
            name: the actor system's name in the mesh; 1 to 255 characters.

        Raises:
            DefinitionError: the name can't be one.
        """
        self.name = _checked_name("system", name)
        self._actors: dict[str, ActorSpec] = {}

    @property
    def actors(self) -> Mapping[str, ActorSpec]:
        """What is declared so far, by name."""
        return MappingProxyType(self._actors)

    def actor(  # noqa: PLR0913 - options by name
        self,
        *names: str,
        state: Any = None,
        initial: Any = None,
        tags: Mapping[str, str] | None = None,
        write: str | None = None,
        placement: Placement = "owner",
        channels: Iterable[str] = (),
        idle_timeout: float | None = None,
        unnamed: bool = False,
        revisions: int = 0,
    ) -> Callable[[C], C]:
        """Declares a class as one actor for each name.

        Args:
            names: the actors' names; 1 to 255 characters each, no slash.
            state: the class of the replicated state (`ORSet`) or its name ("ORSet"): the actor runs on every node with
                a host at once. Or a dataclass, a protobuf message class, `dict` or `dict[str, X]`, which makes the
                state opaque: the actor then runs on one node at a time. None for a stateless actor.
            initial: the opaque state that the actor begins with; without it the class is called without arguments.
            tags: beside an opaque state when it begins; see `Context.tags`.
            write: how far a turn's changes must have got before it is answered: "local", "to(n)", "majority", "all".
                None: "majority" for an opaque state, "local" for others.
            placement: "available" lets another node serve an opaque state while its own is out of reach, at the price
                that both may write: the later write is kept, and the other one put aside.
            channels: topics whose messages run the action `receive`; see `listens`.
            idle_timeout: after so many seconds without calls an activation is put out; None for the node's default.
            unnamed: declares a template instead (Spawn's UNNAMED actors). Its instances are spawned by `Client.spawn`,
                or by a call that names the template as parent; each has a name and a state of its own.
            revisions: how many earlier opaque states are kept, at most one for every two seconds, 32 at most. An actor
                can be started from one again (`POST .../actors/spawn?revision=N`).

        Raises:
            DefinitionError: a name is taken or malformed, the state is no known type, an option doesn't fit it, or the
                class has no valid action.
        """
        options = _Options.checked(state, initial, tags, write, placement, channels, idle_timeout, revisions)
        return self._declare(names, options, is_template=unnamed)

    def _declare(self, names: tuple[str, ...], options: _Options, *, is_template: bool) -> Callable[[C], C]:
        if not names:
            raise DefinitionError(f"system {self.name!r}: expected at least one actor name")
        for index, name in enumerate(names):
            _checked_name("actor", name)
            if name in self._actors or name in names[:index]:
                raise DefinitionError(f"system {self.name!r}: the actor {name!r} is declared twice")

        def declare(actor_class: C) -> C:
            actions = _actions_of(actor_class)
            if options.channels and "receive" not in actions:
                raise DefinitionError(f"{actor_class.__name__}: channels need an action 'receive'; or use @listens")
            for name in names:
                self._actors[name] = ActorSpec(
                    name=name,
                    actor_class=actor_class,
                    state=options.state,
                    actions=actions,
                    is_template=is_template,
                    initial=options.initial,
                    tags=options.tags,
                    settings=options.settings,
                    channels=options.channels,
                    idle_timeout_ms=options.idle_timeout_ms,
                )
            return actor_class

        return declare

    def __repr__(self) -> str:
        return f"System({self.name!r})"


def _checked_name(what: str, name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"{what}: expected a name of 1 to 255 characters without slash, got {name!r:.64}")
    return name


class _Options(NamedTuple):
    """The checked options of one declaration; see `ActorSpec`."""

    state: type[LiveState] | OpaqueType | None
    initial: tuple[str, bytes]
    tags: Mapping[str, str]
    settings: Mapping[str, str]
    channels: tuple[str, ...]
    idle_timeout_ms: int

    @classmethod
    def checked(
        cls,
        state: Any,
        initial: Any,
        tags: Mapping[str, str] | None,
        write: str | None,
        placement: str,
        channels: Iterable[str],
        idle_timeout: float | None,
        revisions: int,
    ) -> _Options:
        kind = _state_class(state)
        is_opaque = isinstance(kind, OpaqueType)
        if not is_opaque and (initial is not None or tags or placement != "owner" or revisions):
            words = "initial, tags, placement and revisions are for opaque states: a dataclass, a message or dict"
            raise DefinitionError(words)
        if idle_timeout is not None and idle_timeout <= 0:
            raise DefinitionError(f"idle_timeout: expected more than 0 s, got {idle_timeout}")
        topics = (channels,) if isinstance(channels, str) else tuple(channels)
        return cls(
            kind,
            kind.initial(initial) if isinstance(kind, OpaqueType) else ("", b""),
            MappingProxyType(dict(tags or {})),
            MappingProxyType(_settings(write, placement, revisions)),
            topics,
            0 if idle_timeout is None else max(1, round(idle_timeout * 1_000)),
        )


def _settings(write: str | None, placement: str, revisions: int) -> dict[str, str]:
    if placement not in ("owner", "available"):
        raise DefinitionError(f"placement: expected 'owner' or 'available', got {placement!r:.64}")
    settings = {PLACEMENT_TAG: placement} if placement == "available" else {}
    if not 0 <= revisions <= REVISIONS_MAX:
        raise DefinitionError(f"revisions: expected 0 to {REVISIONS_MAX}, got {revisions}")
    if revisions:
        settings[REVISIONS_TAG] = str(revisions)
    if write is not None:
        try:
            parse_level(write)
        except LevelInvalid as error:
            raise DefinitionError(f"write: {error}") from None
        settings[WRITE_TAG] = write
    return settings


def _state_class(state: Any) -> type[LiveState] | OpaqueType | None:
    if state is None:
        return None
    if isinstance(state, str):
        return live_type(state)
    kind = get_origin(state) or state
    if isinstance(kind, type) and issubclass(kind, LiveState) and not inspect.isabstract(kind):
        return kind
    return OpaqueType(state)


def _actions_of(actor_class: type) -> Mapping[str, ActionSpec]:
    found: dict[str, ActionSpec] = {}
    for attribute in dir(actor_class):
        method = inspect.getattr_static(actor_class, attribute)
        marks = marks_of(getattr(method, "__func__", method))
        if marks is None:
            continue
        name = marks.name or attribute
        if not inspect.isfunction(method):
            raise DefinitionError(f"action {name!r}: expected a method, got {method!r:.64}")
        if name in found:
            raise DefinitionError(f"{actor_class.__name__}: the action {name!r} is declared twice")
        found[_checked_name("action", name)] = _action_spec(name, method, marks)
    if not found:
        raise DefinitionError(f"{actor_class.__name__}: no action; mark its methods with @action")
    return MappingProxyType(found)


def _action_spec(name: str, method: Callable[..., Any], marks: Marks) -> ActionSpec:
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        raise DefinitionError(f"action {name!r}: expected a plain or async method, got a generator")
    signature = Signature.of(method, name)
    if marks.timer_ms is not None and any(parameter.default is MISSING for parameter in signature.parameters):
        raise DefinitionError(f"action {name!r}: a timer passes no argument; give its parameters defaults")
    return ActionSpec(
        name=name,
        signature=signature,
        call=_positional(method, signature),
        is_async=inspect.iscoroutinefunction(method),
        timer_ms=marks.timer_ms,
        topics=marks.topics,
    )


def _positional(method: Callable[..., Any], signature: Signature) -> Callable[..., Any]:
    """The method, callable with all arguments by position."""
    keywords = [parameter.name for parameter in signature.parameters if parameter.is_keyword_only]
    if not keywords:
        return method
    count = 2 + len(signature.parameters) - len(keywords)

    def call(*arguments: Any) -> Any:
        return method(*arguments[:count], **dict(zip(keywords, arguments[count:], strict=True)))

    return call
