"""How a Python user declares actors: a `System`, classes in it, methods marked as actions.

    system = System("shops")

    @system.actor("shopping-list", state=ORSet)
    class ShoppingList:
        @action
        async def add(self, ctx: Context, item: str) -> list[str]:
            ctx.state.add(item)
            return sorted(ctx.state)

Decides what a valid declaration is, and says so when it is made. Leaves out running it (`host`). One object of the
class is made for each actor name in each host process; what it keeps on `self` is neither replicated nor kept: state
is `ctx.state`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_origin, overload

from crdtmesh.sdk.binding import Signature
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.live.registry import live_type

__all__ = ["ActionSpec", "ActorSpec", "System", "action"]

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_MARK: Final = "__crdtmesh_action__"
_NAME: Final = re.compile(r"[^\s/\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """One action of an actor class.

    Attributes:
        name: what callers ask for.
        signature: its parameters.
        call: takes the object, the context and the bound arguments in the signature's order.
        is_async: whether `call` gives a coroutine.
    """

    name: str
    signature: Signature
    call: Callable[..., Any]
    is_async: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSpec:
    """One declared actor; several may share a class.

    Attributes:
        name: unique in its system.
        actor_class: made once per host process, without arguments.
        state: the class of its live state; None for a stateless actor.
        actions: by name.
    """

    name: str
    actor_class: type
    state: type[LiveState] | None
    actions: Mapping[str, ActionSpec]


@overload
def action(function: F, /) -> F: ...
@overload
def action(*, name: str) -> Callable[[F], F]: ...
def action(function: F | None = None, /, *, name: str | None = None) -> F | Callable[[F], F]:
    """Marks a method `(self, ctx, ...)` as an action; plain or `async`.

    A plain one runs where the host reads its turns, so it must not block. What it returns goes to the caller.

    Args:
        function: the method.
        name: what callers ask for, if not the method's name.
    """

    def mark(method: F) -> F:
        setattr(method, _MARK, name or method.__name__)
        return method

    return mark if function is None else mark(function)


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

    def actor(self, *names: str, state: type | str | None = None) -> Callable[[C], C]:
        """Declares a class as one actor for each name.

        Args:
            names: the actors' names; 1 to 255 characters each, no slash.
            state: the class of the replicated state (`ORSet`) or its name ("ORSet"); None for a stateless actor.

        Raises:
            DefinitionError: a name is taken or malformed, the state is no known type, or the class has no valid action.
        """
        if not names:
            raise DefinitionError(f"system {self.name!r}: expected at least one actor name")
        for index, name in enumerate(names):
            _checked_name("actor", name)
            if name in self._actors or name in names[:index]:
                raise DefinitionError(f"system {self.name!r}: the actor {name!r} is declared twice")
        state_class = None if state is None else _state_class(state)

        def declare(actor_class: C) -> C:
            actions = _actions_of(actor_class)
            for name in names:
                self._actors[name] = ActorSpec(name=name, actor_class=actor_class, state=state_class, actions=actions)
            return actor_class

        return declare

    def __repr__(self) -> str:
        return f"System({self.name!r})"


def _checked_name(what: str, name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"{what}: expected a name of 1 to 255 characters without slash, got {name!r:.64}")
    return name


def _state_class(state: type | str) -> type[LiveState]:
    if isinstance(state, str):
        return live_type(state)
    state = get_origin(state) or state
    if isinstance(state, type) and issubclass(state, LiveState) and not inspect.isabstract(state):
        return state
    raise DefinitionError(f"state: expected a replicated type such as ORSet, got {state!r:.64}")


def _actions_of(actor_class: type) -> Mapping[str, ActionSpec]:
    found: dict[str, ActionSpec] = {}
    for attribute in dir(actor_class):
        method = inspect.getattr_static(actor_class, attribute)
        name = getattr(getattr(method, "__func__", method), _MARK, None)
        if name is None:
            continue
        if not inspect.isfunction(method):
            raise DefinitionError(f"action {name!r}: expected a method, got {method!r:.64}")
        if name in found:
            raise DefinitionError(f"{actor_class.__name__}: the action {name!r} is declared twice")
        found[_checked_name("action", name)] = _action_spec(name, method)
    if not found:
        raise DefinitionError(f"{actor_class.__name__}: no action; mark its methods with @action")
    return MappingProxyType(found)


def _action_spec(name: str, method: Callable[..., Any]) -> ActionSpec:
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        raise DefinitionError(f"action {name!r}: expected a plain or async method, got a generator")
    signature = Signature.of(method, name)
    return ActionSpec(
        name=name,
        signature=signature,
        call=_positional(method, signature),
        is_async=inspect.iscoroutinefunction(method),
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
