"""A host that is called by HTTP: turns become requests to a user function, its answers become what the turns did.

The runtime gives such a host one turn of an actor at a time, with the whole state. What can't be sent is tried again
for a few seconds, since SDKs register before they listen; what was sent is never sent twice.

A user function that can't be reached for that long is *away*: its actors are offered no more, and it is looked after
until it is back, because an SDK that lost its node does not register again.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from crdtmesh.crdts.errors import CrdtError
from crdtmesh.edge.callbacks import Target
from crdtmesh.edge.http_answer import Answer, MalformedAnswer
from crdtmesh.edge.http_client import PATH, NoAnswer, Unreachable, UserFunction
from crdtmesh.engine import Engine
from crdtmesh.observability import logs
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.errors import DefinitionConflict, ErrorCode, RegistrationRefused
from crdtmesh.runtime.messages import CallExtra, HostId, StateUpdate, TurnColumns
from crdtmesh.wire.turn_messages import BadAnswer, decode_answer, encode_turn

_LOG: Final = logging.getLogger(__name__)

# From registration to listening: a second for a compiled SDK, a few for a Python or Java one on a busy machine.
REACHABLE_WITHIN_S: Final = 5.0
_RETRY_FIRST_S: Final = 0.05
_RETRY_MAX_S: Final = 0.5
# How often an absent user function is looked for.
_PROBE_FIRST_S: Final = 0.5
_PROBE_MAX_S: Final = 10.0
# A timer for each turn would cost a tenth of it. One for all of them finds what nobody waits for.
SWEEP_INTERVAL_S: Final = 1.0
# The runtime rounds a deadline down to milliseconds, and says that it has passed when its own clock says so.
CLOCK_GRAIN_S: Final = 0.005
# What a user function says in its error is for people; a page of HTML is cut here.
_WORDS_MAX: Final = 200

# (outcome, seconds): one call to a user function has ended. Outcomes are `ok`, `cancelled` and names of error codes.
OnCallback = Callable[[str, float], None]


class _Turn(NamedTuple):
    number: int
    actor: ActorAddress
    action: str
    type_url: str
    payload: bytes
    timeout_ms: int
    extra: CallExtra | None
    state: StateUpdate | None


class _Failed(Exception):
    """A turn that has no answer."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class HttpHost:
    """One user function and the actors that it offers.

    Args:
        engine: of this node.
        target: where the user function is.
        on_callback: hears of each call.
    """

    def __init__(self, engine: Engine, target: Target, *, on_callback: OnCallback) -> None:
        self._engine = engine
        self._target = target
        self._on_callback = on_callback
        self._loop = asyncio.get_running_loop()
        self._function = UserFunction(target)
        self._definitions: dict[ActorAddress, ActorDefinition] = {}
        self._id: HostId | None = None
        # Turns on their way: the task, and when it is too late.
        self._turns: dict[int, tuple[asyncio.Task[None], float]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._is_away = False
        self._looking: asyncio.Task[None] | None = None

    # --- registration

    def offer(self, target: Target, definitions: Sequence[ActorDefinition]) -> None:
        """The user function has registered these actors; those of earlier registrations stay.

        Args:
            target: where it is now.
            definitions: what it offers.

        Raises:
            RegistrationRefused: one of them can't be used; nothing was changed.
        """
        self._open(definitions)
        self._definitions.update((definition.address, definition) for definition in definitions)
        self._target = target
        self._function.move(target)

    def expect(self, definitions: Sequence[ActorDefinition]) -> None:
        """The user function registered these in an earlier run of the node: it is looked for, and then offers them."""
        self._definitions.update((definition.address, definition) for definition in definitions)
        self._looking = self._loop.create_task(self._look(0.0))

    def _open(self, definitions: Iterable[ActorDefinition]) -> None:
        if self._id is not None:
            self._engine.extend_host(self._id, list(definitions))
            self._is_away = False
            return
        offered = {**self._definitions, **{definition.address: definition for definition in definitions}}
        self._id = self._engine.open_host(self, list(offered.values()), keeps_state=False)
        self._is_away = False
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def close(self) -> None:
        """Ends everything; turns in flight end as `host_lost`."""
        for task, _ in self._turns.values():
            task.cancel()
        if self._looking is not None:
            self._looking.cancel()
        if self._sweep is not None:
            self._sweep.cancel()
        self._is_away = False
        self._leave()
        self._function.close()

    def _leave(self) -> None:
        if self._id is not None:
            host, self._id = self._id, None
            self._engine.close_host(host)

    # --- turns

    def deliver_turns(self, columns: TurnColumns) -> None:
        """Starts to work on turns, and closes the connections of those that nobody waits for any more.

        That is the one way to tell a user function; what its answer would have done is not done.
        """
        host = self._id
        if host is None:
            return
        for number in columns.cancelled:
            if number in self._turns:
                self._turns[number][0].cancel()
        states = {update.actor: update for update in columns.states}
        extras = dict(columns.extras)
        turns = zip(
            columns.turns,
            columns.actors,
            columns.actions,
            columns.type_urls,
            columns.payloads,
            columns.timeouts_ms,
            strict=True,
        )
        for number, actor, action, type_url, payload, timeout_ms in turns:
            turn = _Turn(number, actor, action, type_url, payload, timeout_ms, extras.get(number), states.get(actor))
            task = self._loop.create_task(self._run(host, turn))
            self._turns[number] = (task, self._loop.time() + timeout_ms / 1000)
            task.add_done_callback(functools.partial(self._ended, host, turn))
        if self._sweep is None and self._turns:
            self._sweep = self._loop.call_later(SWEEP_INTERVAL_S, self._sweep_late)

    def deliver_notice(self, message: str) -> None:
        """Spawn's protocol has no way to tell a user function; the log of the node does."""
        logs.event(_LOG, logging.WARNING, "host.notice", host=self._target.authority, detail=message)

    def _sweep_late(self) -> None:
        """Ends what is too late and nobody waits for; of the others the runtime speaks in time."""
        now_s = self._loop.time()
        for task, deadline_s in self._turns.values():
            if deadline_s <= now_s + CLOCK_GRAIN_S:
                task.cancel()
        self._sweep = self._loop.call_later(SWEEP_INTERVAL_S, self._sweep_late) if self._turns else None

    async def _run(self, host: HostId, turn: _Turn) -> None:
        began_s = self._loop.time()
        outcome = "ok"
        try:
            answer = await self._call(turn)
            read = decode_answer(answer, actor=turn.actor, state=turn.state, wall_ms=time.time_ns() // 1_000_000)
            self._engine.host_answered(host, ((turn.number, *read),), ())
        except BadAnswer as error:
            outcome = self._fail(host, turn, ErrorCode.HANDLER_ERROR, str(error))
        except _Failed as error:
            outcome = self._fail(host, turn, error.code, str(error))
            self._is_away = self._is_away or error.code is ErrorCode.NO_HOST
        except CrdtError as error:
            outcome = self._fail(host, turn, ErrorCode.INVALID_OPERATION, f"the state can't be sent: {error}")
        except Exception:
            # The outermost edge of a turn's task: its actor must not wait for ever for a turn that we lost.
            logs.event(_LOG, logging.ERROR, "callback.failed", host=self._target.authority, exc_info=True)
            outcome = self._fail(host, turn, ErrorCode.HOST_LOST, "the node failed in the call; its log says how")
        self._on_callback(outcome, self._loop.time() - began_s)

    def _ended(self, host: HostId, turn: _Turn, task: asyncio.Task[None]) -> None:
        _, deadline_s = self._turns.pop(turn.number)
        if task.cancelled():
            took_s = turn.timeout_ms / 1000 - (deadline_s - self._loop.time())
            where = f"the user function at {self._target.authority}"
            if deadline_s <= self._loop.time() + CLOCK_GRAIN_S:
                message = f"{where} did not answer within {turn.timeout_ms} ms"
                outcome = self._fail(host, turn, ErrorCode.TIMEOUT, message)
            else:
                self._fail(host, turn, ErrorCode.HOST_LOST, f"{where} was told that the caller went away")
                outcome = "cancelled"
            self._on_callback(outcome, took_s)
        if self._is_away and not self._turns:
            self._go_away()

    def _fail(self, host: HostId, turn: _Turn, code: ErrorCode, message: str) -> str:
        self._engine.host_answered(host, (), ((turn.number, message, code),))
        return code.name.lower()

    async def _call(self, turn: _Turn) -> bytes:
        """The body of a good answer.

        Raises:
            _Failed: there is none.
        """
        where = f"the user function at {self._target.authority}"
        body = encode_turn(turn.actor, turn.action, turn.type_url, turn.payload, extra=turn.extra, state=turn.state)
        try:
            answer = await self._post(body, timeout_s=turn.timeout_ms / 1000)
        except Unreachable as error:
            raise _Failed(
                ErrorCode.NO_HOST, f"{where} can't be reached: {error}; is it running and listening there?"
            ) from None
        except NoAnswer as error:
            raise _Failed(
                ErrorCode.HOST_LOST, f"{where} closed the connection without an answer ({error}); see its log"
            ) from None
        except MalformedAnswer as error:
            raise _Failed(ErrorCode.HANDLER_ERROR, f"{where} answered with no HTTP that can be used: {error}") from None
        if 300 <= answer.status < 400:
            words = f"answered with a redirect (HTTP {answer.status}), which is not followed; serve {PATH} there itself"
            raise _Failed(ErrorCode.HANDLER_ERROR, f"{where} {words}")
        if answer.status != 200 or not answer.body:
            raise _Failed(ErrorCode.HANDLER_ERROR, f"{where} answered {_described(answer)}; see its log")
        return answer.body

    async def _post(self, body: bytes, *, timeout_s: float) -> Answer:
        """Posts once; connects as long as it may take a user function to begin to listen."""
        # Well before the deadline: what never left is to be told as that.
        until_s = self._loop.time() + min(REACHABLE_WITHIN_S, 0.8 * timeout_s)
        pause_s = _RETRY_FIRST_S
        while True:
            try:
                return await self._function.post(body)
            except Unreachable:
                if self._is_away or self._loop.time() + pause_s > until_s:
                    raise
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
            pause_s = min(2 * pause_s, _RETRY_MAX_S)

    # --- away

    def _go_away(self) -> None:
        """Withdraws the actors until the user function is back; all turns have ended by then."""
        self._leave()
        logs.event(_LOG, logging.WARNING, "host.away", host=self._target.authority, actors=len(self._definitions))
        self._looking = self._loop.create_task(self._look(_PROBE_FIRST_S))

    async def _look(self, pause_s: float) -> None:
        while True:
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311
            pause_s = min(max(2 * pause_s, _PROBE_FIRST_S), _PROBE_MAX_S)
            try:
                await self._function.probe()
                self._take_back()
            except (Unreachable, DefinitionConflict):
                # Who declares its actors as something else meanwhile stays until it leaves.
                continue
            except RegistrationRefused as error:
                logs.event(_LOG, logging.ERROR, "host.refused", host=self._target.authority, reason=str(error))
            return

    def _take_back(self) -> None:
        """The user function is there again.

        Raises:
            RegistrationRefused: its actors can't be used.
        """
        looking, self._looking = self._looking, None
        try:
            self._open(())
        except RegistrationRefused:
            self._looking = looking
            raise
        logs.event(_LOG, logging.INFO, "host.back", host=self._target.authority, actors=len(self._definitions))


def _described(answer: Answer) -> str:
    """Status and, where it is text, the beginning of the body."""
    if not answer.body:
        return f"HTTP {answer.status} with an empty body"
    words = " ".join(answer.body[: 4 * _WORDS_MAX].decode(errors="replace").split())[:_WORDS_MAX]
    return f"HTTP {answer.status}: {words!r}"
