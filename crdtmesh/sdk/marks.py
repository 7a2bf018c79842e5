"""The decorators of methods: what makes one an action, and what calls it besides callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, overload

from crdtmesh.sdk.errors import DefinitionError

__all__ = ["Marks", "action", "listens", "marks_of", "timer"]

F = TypeVar("F", bound=Callable[..., Any])

_MARKS: Final = "__crdtmesh_marks__"

PERIOD_S_MAX: Final = 2_147_483.0  # the wire has 31 bits for milliseconds


@dataclass(slots=True)
class Marks:
    """What decorators say about one method.

    Attributes:
        name: of the action; None for the method's.
        timer_ms: how often the node calls it; None for not.
        topics: whose messages run it.
    """

    name: str | None = None
    timer_ms: int | None = None
    topics: tuple[str, ...] = ()


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
        _marks(method).name = name
        return method

    return mark if function is None else mark(function)


def timer(*, every: float) -> Callable[[F], F]:
    """Makes a method an action that the node calls again and again, without argument, once the actor is active.

    It goes on when the activation was put out, as the timer's next call makes a new one; a call is left out while the
    one before it is still under way.

    Args:
        every: the period in seconds, at least 0.001.

    Raises:
        DefinitionError: the period is too short or too long.
    """
    if not 0.001 <= every <= PERIOD_S_MAX:
        raise DefinitionError(f"timer: expected every=0.001 to {PERIOD_S_MAX:.0f} s, got {every}")

    def mark(method: F) -> F:
        _marks(method).timer_ms = round(every * 1_000)
        return method

    return mark


def listens(*topics: str) -> Callable[[F], F]:
    """Makes a method an action that the messages of these topics run; see `Context.broadcast`.

    Args:
        topics: of channels of the actor's system.

    Raises:
        DefinitionError: there is none, or an empty one.
    """
    if not topics or not all(topics):
        raise DefinitionError(f"listens: expected one or more topics, got {topics!r:.64}")

    def mark(method: F) -> F:
        marks = _marks(method)
        marks.topics = (*topics, *marks.topics)
        return method

    return mark


def marks_of(method: Any) -> Marks | None:
    """What decorators say about a method; None for one that is no action."""
    return getattr(method, _MARKS, None)


def _marks(method: Any) -> Marks:
    marks = marks_of(method)
    if marks is None:
        marks = Marks()
        setattr(method, _MARKS, marks)
    return marks
