"""Runs the turns of one host stream.

Decides: the order (one actor's turns one after the other, different actors at once), what a turn may see, and what
becomes of it. Leaves out the stream itself and the connection (`session`).

A turn costs no task unless its handler really waits. Turns run inside the task that reads the stream, the *leader*. A
handler is called, and a coroutine is stepped once, right there; nearly all end with that. A coroutine that waits for
something keeps the task it started in, so that `asyncio.timeout`, `TaskGroup` and everything else that asks for the
current task find a real one: the old leader becomes that turn's task, and a new leader takes over the reading. Each
turn has its own copy of the context variables.

While an actor's turn waits, its further turns and state updates queue behind it, in the order in which they came.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
import types
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final

from crdtmesh.crdts.errors import CrdtError
from crdtmesh.sdk.actors import System
from crdtmesh.sdk.answers import ANSWER_SIZE_BYTES_MAX, Answers
from crdtmesh.sdk.binding import BindingError
from crdtmesh.sdk.cells import Cell, OpaqueChange, Route, StateChange, Turn, Waiting, resume
from crdtmesh.sdk.context import ActorRef, Context
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.names import nearest
from crdtmesh.wire import payloads, values
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb

__all__ = ["StreamError", "Turns"]

log = logging.getLogger("crdtmesh.sdk.host")

_LOG_PERIOD_S: Final = 1.0  # callers can make handlers raise as often as they like

_CLOSE_TIMEOUT_S: Final = 5.0

# The node tells us when a caller's deadline has passed, and the caller that the outcome is unknown. Our own timer is
# for a node that does not; were it as early, what it makes of the turn could come first and be taken for a failure.
_DEADLINE_GRACE_S: Final = 0.25


class StreamError(Exception):
    """The node broke the rules of the stream; the session ends and a new one starts."""


class Turns:
    """The turns of one stream.

    Args:
        system: what is declared.
        users: the objects of the actor classes, by actor name; kept from one stream to the next.
        answered: called after answers were added to `answers`.
    """

    def __init__(self, system: System, users: Mapping[str, object], *, answered: Callable[[], None]) -> None:
        self.answers = Answers()
        self._system = system
        self._users = users
        self._answered = answered
        self._cells: dict[ActorRef, Cell] = {}
        self._routes: dict[int, Route] = {}
        # A name in the place of a cell: the actor has none here, or was released.
        self._actors: dict[int, Cell | ActorRef] = {}
        self._actions: dict[int, str] = {}
        self._type_urls: dict[int, str] = {0: ""}
        self._columns: Iterator[tuple[int, int, int, int, bytes, int]] = iter(())
        self._extras: Mapping[int, pb.TurnExtra] = {}
        self._cancelled: set[int] = set()
        self._running: dict[int, asyncio.Task[None] | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._logged_at = -_LOG_PERIOD_S

    @property
    def open_count(self) -> int:
        """Turns that wait, are queued, or whose answer was not taken yet."""
        return len(self._running) + len(self.answers)

    def accept(self, batch: pb.TurnBatch) -> None:
        """Takes a batch over: bindings, releases, states, cancellations. Its turns are started by `run`.

        Raises:
            StreamError: the batch is malformed, or a state is none of its type.
        """
        if batch.bindings:
            self._bind(batch.bindings)
        for handle in batch.released:
            self._release(handle)
        for update in batch.states:
            self._take_state(update)
        turns = list(batch.turn)
        count = len(turns)
        self._extras = {extra.turn: extra for extra in batch.extras} if batch.extras else {}
        self._columns = zip(
            turns,
            _column(batch.actor, count, 0),
            _column(batch.action, count, 0),
            _column(batch.type_url, count, 0),
            _column(batch.payload, count, b""),
            _column(batch.timeout_ms, count, 0),
            strict=True,
        )
        if batch.cancelled:
            self._cancel(batch.cancelled)

    def run(self) -> Waiting | None:
        """Starts the turns of the batch, one after the other.

        Returns:
            A turn that waits: the caller's task is now that turn's, and goes on with `finish`; another one must call
            `run` again for the rest of the batch. None when the whole batch was started.
        """
        for turn, actor, action, type_handle, payload, timeout_ms in self._columns:
            route = self._routes.get(actor << 16 | action)
            if route is None:
                route = self._find_route(turn, actor, action)
                if route is None:
                    continue
            type_url = self._type_urls.get(type_handle)
            if type_url is None:
                raise StreamError(f"type URL handle {type_handle} is not bound")
            extra = self._extras.get(turn) if self._extras else None
            if route.cell.is_busy:
                deadline = asyncio.get_running_loop().time() + timeout_ms / 1_000 if timeout_ms else None
                route.cell.queue.append(Turn(route, turn, type_url, payload, deadline, extra))
                self._running[turn] = None
                continue
            waiting = self._begin(route, turn, type_url, payload, extra)
            if waiting is not None:
                self._arm(turn, timeout_ms / 1_000 if timeout_ms else None)
                return waiting
        return None

    async def finish(self, waiting: Waiting) -> None:
        """Drives a turn that waits to its end, in the current task, and lets the actor's queue go on."""
        cell, turn = waiting.cell, waiting.turn
        try:
            result = await resume(waiting)
        except Exception as error:
            self._fail(cell, turn, error)
        except asyncio.CancelledError as error:
            self._fail(cell, turn, error)
        else:
            self._answer(cell, turn, waiting.context, result)
        finally:
            self._running.pop(turn, None)
            self._answered()
        if cell.queue:
            # A new task: this one may still carry a cancellation that was meant for the turn.
            self.spawn(self._go_on(cell))
        else:
            cell.is_busy = False

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a task that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancels what still runs and waits for it; the stream is gone, so nothing is answered any more."""
        for cell in self._cells.values():
            cell.queue.clear()
        own = asyncio.current_task()
        tasks = {task for task in (*self._tasks, *self._running.values()) if task is not None and task is not own}
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT_S)
            if late:
                log.warning("turn.not_cancelled count=%d: handlers went on in spite of their cancellation", len(late))

    async def _go_on(self, cell: Cell) -> None:
        """Works an actor's queue off until it is empty or a turn waits; then that turn has this task."""
        while cell.queue:
            item = cell.queue.popleft()
            if isinstance(item, StateChange | OpaqueChange):
                cell.apply(item)
                continue
            self._running.pop(item.turn, None)
            left = None if item.deadline is None else item.deadline - asyncio.get_running_loop().time()
            if item.turn in self._cancelled or (left is not None and left <= 0):
                self._cancelled.discard(item.turn)
                self.answers.fail(item.turn, "the caller stopped waiting before the turn started")
                continue
            waiting = self._begin(item.route, item.turn, item.type_url, item.payload, item.extra)
            if waiting is not None:
                self._answered()
                self._arm(item.turn, left)
                await self.finish(waiting)
                return
        cell.is_busy = False
        self._answered()

    def _begin(
        self, route: Route, turn: int, type_url: str, payload: bytes, extra: pb.TurnExtra | None
    ) -> Waiting | None:
        """Calls a handler and steps it once; most are done then, and answered."""
        cell = route.cell
        try:
            arguments = route.bind(type_url, payload)
            state = cell.state
            if state is not None and state.pending:
                log.warning("turn.stray_operations actor=%s: state was changed outside of a turn", cell.spec.name)
                state.roll_back()
            context = Context(state, ref=cell.ref, action=route.action.name)
            if cell.opaque is not None:
                context.state, context.tags = cell.opaque.begin()
            if extra is not None:
                context.metadata = dict(extra.metadata)
                if extra.caller.name:
                    context.caller = ActorRef(extra.caller.system, extra.caller.name, extra.caller.parent)
            variables = contextvars.copy_context()
            result = variables.run(route.action.call, cell.user, context, *arguments)
            if type(result) is types.CoroutineType:
                try:
                    waits_for = variables.run(result.send, None)
                except StopIteration as stop:
                    result = stop.value
                else:
                    cell.is_busy = True
                    return Waiting(cell, turn, context, result, waits_for, variables)
            self._answer(cell, turn, context, result)
        except Exception as error:
            self._fail(cell, turn, error)
        except asyncio.CancelledError as error:
            self._fail(cell, turn, error)
        return None

    def _answer(self, cell: Cell, turn: int, context: Context[Any], result: Any) -> None:
        try:
            effects = _effects(cell, turn, context)
            type_url, payload, mutations = _encode(cell.state, result, effects)
            self.answers.add(turn, type_url, payload, mutations, effects)
        except Exception as error:
            self._fail(cell, turn, error)
        else:
            if mutations and cell.state is not None:
                cell.state.commit()
            if effects is not None and cell.opaque is not None:
                cell.opaque.commit()

    def _fail(self, cell: Cell, turn: int, error: BaseException) -> None:
        if cell.state is not None:
            cell.state.roll_back()
        if cell.opaque is not None:
            cell.opaque.roll_back()
        self.answers.fail(turn, _describe(error))
        now = asyncio.get_running_loop().time()
        if not isinstance(error, BindingError | payloads.PayloadError) and now - self._logged_at >= _LOG_PERIOD_S:
            # The caller gets the words; where it was raised stands here only.
            self._logged_at = now
            log.info("turn.failed actor=%s", cell.spec.name, exc_info=error)

    def _arm(self, turn: int, timeout_s: float | None) -> None:
        """Makes the current task that turn's, so that a cancellation or its deadline can reach it."""
        task = asyncio.current_task()
        self._running[turn] = task
        if task is None:
            return
        if turn in self._cancelled:
            self._cancelled.discard(turn)
            task.cancel("the caller stopped waiting")
        elif timeout_s is not None:
            timer = asyncio.get_running_loop().call_later(timeout_s + _DEADLINE_GRACE_S, self._expire, turn)
            task.add_done_callback(lambda _: timer.cancel())

    def _expire(self, turn: int) -> None:
        if task := self._running.get(turn):
            task.cancel("the deadline passed")

    def _cancel(self, turns: Sequence[int]) -> None:
        for turn in turns:
            if turn not in self._running:
                continue  # answered by now, or never here
            task = self._running[turn]
            if task is None:
                self._cancelled.add(turn)
            else:
                task.cancel("the caller stopped waiting")

    def _bind(self, bindings: Sequence[pb.Binding]) -> None:
        for binding in bindings:
            target = binding.WhichOneof("target")
            if target == "actor":
                actor = binding.actor
                self._actors[binding.handle] = ActorRef(actor.system, actor.name, actor.parent)
            elif target == "action":
                self._actions[binding.handle] = binding.action
            elif target == "type_url":
                self._type_urls[binding.handle] = binding.type_url
        self._routes.clear()

    def _cell(self, handle: int) -> Cell | ActorRef | None:
        """The actor behind a handle; its name if this host has no such actor, None if the handle is not bound."""
        ref = self._actors.get(handle)
        if not isinstance(ref, ActorRef):
            return ref
        cell = self._cells.get(ref)
        if cell is None:
            spec = self._system.actors.get(ref.parent or ref.name)
            if spec is None:
                return ref
            # The objects of named actors are kept from one stream to the next. Those of instances go with their cell.
            cell = self._cells[ref] = Cell(spec, ref, None if ref.parent else self._users[spec.name])
        self._actors[handle] = cell
        return cell

    def _release(self, handle: int) -> None:
        """Forgets an actor's state, which comes whole before its next turn; of an instance, all there is."""
        cell = self._actors.get(handle)
        if not isinstance(cell, Cell):
            return
        cell.forget()
        if cell.ref.parent and not cell.is_busy:
            self._cells.pop(cell.ref, None)
            self._actors[handle] = cell.ref
            for action in self._actions:
                self._routes.pop(handle << 16 | action, None)

    def _find_route(self, turn: int, actor: int, action: int) -> Route | None:
        cell, name = self._cell(actor), self._actions.get(action)
        if cell is None or name is None:
            raise StreamError(f"actor handle {actor} or action handle {action} is not bound")
        if isinstance(cell, ActorRef):
            self.answers.fail(turn, f"this host has no actor {cell.name!r:.64}", unknown_action=True)
            return None
        if cell.user is None:
            try:
                cell.user = cell.spec.actor_class()
            except Exception as error:
                self._fail(cell, turn, error)
                return None
        spec = cell.spec.actions.get(name)
        if spec is None:
            hint = nearest(name, cell.spec.actions)
            self.answers.fail(turn, f"{cell.spec.name} has no action {name!r:.64}; {hint}", unknown_action=True)
            return None
        route = self._routes[actor << 16 | action] = Route(cell, spec)
        return route

    def _take_state(self, update: pb.StateUpdate) -> None:
        cell = self._cell(update.actor)
        if isinstance(cell, Cell) and cell.opaque is not None and update.WhichOneof("update") == "opaque":
            self._apply(cell, OpaqueChange(update.opaque))
            return
        if not isinstance(cell, Cell) or cell.state is None:
            raise StreamError(f"a state came for actor handle {update.actor}, which has none of its kind here")
        try:
            if update.WhichOneof("update") == "value":
                type_name, value = values.plain_from_value(update.value)
                if type_name != cell.state.type_name:
                    raise StreamError(
                        f"expected a {cell.state.type_name} for {cell.spec.name}, got a {type_name!r:.64}"
                    )
                change = StateChange(True, value, (), ())
            else:
                added = [values.plain_from_data(data) for data in update.set.added]
                removed = [values.plain_from_data(data) for data in update.set.removed]
                change = StateChange(False, None, added, removed)
            self._apply(cell, change)
        except (ValueError, CrdtError) as error:
            raise StreamError(f"state of {cell.spec.name}: {error}") from None

    def _apply(self, cell: Cell, change: StateChange | OpaqueChange) -> None:
        if cell.is_busy:
            cell.queue.append(change)
        else:
            cell.apply(change)


def _effects(cell: Cell, turn: int, context: Context[Any]) -> pb.TurnEffects | None:
    """What the turn left as opaque state and asked to be done next; None for neither."""
    state = None if cell.opaque is None else cell.opaque.change(context.state, context.tags)
    workflow = None if context.asks is None else context.asks.workflow
    if state is None and workflow is None:
        return None
    return pb.TurnEffects(turn=turn, state=state, workflow=workflow)


def _encode(state: LiveState | None, result: Any, effects: pb.TurnEffects | None) -> tuple[str, bytes, bytes]:
    """Type URL and bytes of a result, and the bytes of what the turn did to a replicated state."""
    type_url, payload = payloads.encode(result)
    mutations = b"" if state is None else values.mutations_to_bytes(state.pending)
    size = len(payload) + len(mutations) + (0 if effects is None else effects.ByteSize())
    if size > ANSWER_SIZE_BYTES_MAX:
        raise payloads.PayloadError(f"answer of {size} bytes exceeds {ANSWER_SIZE_BYTES_MAX}; return less at a time")
    return type_url, payload, mutations


def _describe(error: BaseException) -> str:
    """What the caller is told: the handler's own words, with the class where the words alone say too little."""
    text = str(error)
    if isinstance(error, asyncio.CancelledError):
        return text or "the turn was cancelled"
    if isinstance(error, BindingError | payloads.PayloadError | CrdtError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _column(column: Sequence[Any], count: int, default: Any) -> Any:
    if len(column) == count:
        return column
    if not column:
        return itertools.repeat(default, count)
    raise StreamError(f"expected a column of {count} items, got {len(column)}")
