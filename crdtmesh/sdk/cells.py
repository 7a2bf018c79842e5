"""What the host keeps for each actor on a stream, and the turns that can't end at once."""

from __future__ import annotations

import contextvars
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Final, NamedTuple

from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.actors import ActionSpec, ActorSpec
from crdtmesh.sdk.binding import MISSING
from crdtmesh.sdk.context import ActorRef, Context
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.opaque import OpaqueType
from crdtmesh.sdk.opaque_copy import OpaqueCopy
from crdtmesh.wire import payloads
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.spawn.actors import actor_pb2

__all__ = ["Cell", "OpaqueChange", "Route", "StateChange", "Turn", "Waiting", "resume"]

_ARGUMENTS_MAX: Final = 1_024
_ARGUMENTS_SIZE_BYTES_MAX: Final = 128
"""Remembered arguments of one action of one actor: those that are immutable, by their bytes. About 400 KiB at most."""

_SCALARS: Final = frozenset({str, int, bool, float, bytes, type(None)})


class Cell:
    """One actor on this stream: its object, the host's copy of its state, and what waits for it.

    Attributes:
        spec: its declaration; of an instance that of its template.
        ref: who it is.
        user: the object of its class; None until its first turn.
        state: the copy of a replicated state; None if it has none.
        opaque: the copy of an opaque state; None if it has none.
        is_busy: a turn waits for something.
        queue: what came behind that turn.
    """

    __slots__ = ("is_busy", "opaque", "queue", "ref", "spec", "state", "user")

    def __init__(self, spec: ActorSpec, ref: ActorRef, user: object | None) -> None:
        self.spec = spec
        self.ref = ref
        self.user = user
        self.state: LiveState | None = None
        self.opaque: OpaqueCopy | None = None
        self.is_busy = False
        # Bounded by the node, which bounds each actor's mailbox and what a host may hold.
        self.queue: deque[Turn | StateChange | OpaqueChange] = deque()
        self.forget()

    def apply(self, change: StateChange | OpaqueChange) -> None:
        """Brings the copy of the state up to date.

        Raises:
            ValueError, CrdtError: the change is none of the state's type.
        """
        if isinstance(change, OpaqueChange):
            assert self.opaque is not None, "only an actor with an opaque state gets one"
            self.opaque.load(change.state)
            return
        assert self.state is not None, "only an actor with a state gets state changes"
        if change.is_whole:
            self.state.load_value(change.value)
        else:
            self.state.apply_change(change.added, change.removed)

    def forget(self) -> None:
        """Drops the copy of the state, which comes whole before the next turn; of an idle actor only."""
        if self.is_busy:
            return
        kind = self.spec.state
        if isinstance(kind, OpaqueType):
            self.opaque = OpaqueCopy(kind, self.spec.initial)
        elif kind is not None:
            self.state = kind()


class Route:
    """One action of one actor, as a pair of handles names it."""

    __slots__ = ("action", "arguments", "cell")

    def __init__(self, cell: Cell, action: ActionSpec) -> None:
        self.cell = cell
        self.action = action
        self.arguments: dict[bytes, tuple[Any, ...]] = {}

    def bind(self, type_url: str, payload: bytes) -> tuple[Any, ...]:
        """The arguments of a call, remembered where the next call may share them.

        Raises:
            PayloadError: the payload can't be read.
            BindingError: it doesn't fit the action.
        """
        is_json = type_url == payloads.JSON_TYPE_URL
        if is_json and (known := self.arguments.get(payload)) is not None:
            return known
        signature = self.action.signature
        arguments = signature.bind(MISSING if payloads.is_nothing(type_url) else payloads.decode(type_url, payload))
        if (
            is_json
            and len(payload) <= _ARGUMENTS_SIZE_BYTES_MAX
            and all(type(argument) in _SCALARS for argument in arguments)
        ):
            if len(self.arguments) >= _ARGUMENTS_MAX:
                self.arguments.clear()
            self.arguments[payload] = arguments
        return arguments


class Turn(NamedTuple):
    """A turn that can't start yet."""

    route: Route
    turn: int
    type_url: str
    payload: bytes
    deadline: float | None
    extra: pb.TurnExtra | None


class StateChange(NamedTuple):
    """An update of a copy, in its place among the turns."""

    is_whole: bool
    value: PlainValue
    added: Sequence[PlainValue]
    removed: Sequence[PlainValue]


class OpaqueChange(NamedTuple):
    """A whole opaque state, in its place among the turns."""

    state: actor_pb2.ActorState


class Waiting(NamedTuple):
    """A turn whose handler waits for something."""

    cell: Cell
    turn: int
    context: Context[Any]
    coroutine: Coroutine[Any, Any, Any]
    waits_for: Any
    variables: contextvars.Context


@types.coroutine
def resume(waiting: Waiting) -> Generator[Any, Any, Any]:
    """Goes on with a coroutine that was already stepped: what it waits for is handed to the task that awaits this."""
    coroutine, variables, waits_for = waiting.coroutine, waiting.variables, waiting.waits_for
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:  # a cancellation: the coroutine decides what becomes of it
            step: Callable[[Any], Any] = coroutine.throw
            sent = error
        else:
            step = coroutine.send
        try:
            waits_for = variables.run(step, sent)
        except StopIteration as stop:
            return stop.value
