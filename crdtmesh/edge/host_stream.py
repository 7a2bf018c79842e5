"""One `ActorHost.Connect`: a host registers, gets turns in batches, and answers them in batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Final

import grpc

from crdtmesh.crdts.errors import CrdtError, InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.edge.columns import BoundNames, MalformedBatch, NameBinder, bound, column, cuts
from crdtmesh.edge.context import Context
from crdtmesh.edge.pump import Pump
from crdtmesh.edge.tasks import companion
from crdtmesh.engine import Engine, wall_clock_ms
from crdtmesh.runtime.errors import DefinitionConflict, ErrorCode, RegistrationRefused
from crdtmesh.runtime.messages import HostId, Operations, StateUpdate, TurnColumns, TurnEffects, TurnFailure
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2
from crdtmesh.wire.gen.spawn.actors import actor_pb2
from crdtmesh.wire.registration import accepted, definitions_from, refused
from crdtmesh.wire.turn_messages import BadAnswer, workflow_from

TURN_OVERHEAD_BYTES: Final = 200


class HostStream:
    """The node's side of one actor host."""

    def __init__(self, engine: Engine, context: Context) -> None:
        self._engine = engine
        self._context = context
        self._names = BoundNames()
        self._binder = NameBinder()
        self._notices: list[str] = []
        self._pump: Pump[TurnColumns] = Pump(context.write, self._batches)

    async def run(self, requests: AsyncIterator[actors_pb2.HostBatch]) -> None:
        """Serves the host until its stream ends; turns in flight then end as `host_lost`."""
        try:
            first = await anext(aiter(requests), None)
            if first is None:
                return
            host = await self._register(first)
        except MalformedBatch as error:
            await self._refuse(error)
            return
        except RegistrationRefused as error:
            is_conflict = isinstance(error, DefinitionConflict)
            await self._context.write(actors_pb2.TurnBatch(registered=refused(str(error)), is_conflict=is_conflict))
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return
        try:
            async with companion(self._pump.run()):
                self._take(host, first)
                async for batch in requests:
                    self._take(host, batch)
        except MalformedBatch as error:
            await self._refuse(error)
        finally:
            self._engine.close_host(host)

    def deliver_turns(self, columns: TurnColumns) -> None:
        """Queues turns for writing."""
        self._pump.put(columns, sum(map(len, columns.payloads)) + len(columns.turns) * TURN_OVERHEAD_BYTES)

    def deliver_notice(self, message: str) -> None:
        """Queues words for the people behind the host."""
        self._notices.append(message)
        self._pump.put(TurnColumns(), len(message))

    async def _refuse(self, error: MalformedBatch) -> None:
        self._engine.client_rejected("malformed_batch", str(error))
        await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def _register(self, first: actors_pb2.HostBatch) -> HostId:
        if not first.HasField("register"):
            raise RegistrationRefused("the first message of a host must carry `register`")
        definitions = definitions_from(first.register)
        host = self._engine.open_host(self, definitions)
        await self._context.write(actors_pb2.TurnBatch(registered=accepted()))
        return host

    def _take(self, host: HostId, batch: actors_pb2.HostBatch) -> None:
        if batch.bindings:
            self._names.bind(batch.bindings)
        turns = list(batch.turn)
        count = len(turns)
        answers = zip(
            turns,
            column(bound(self._names.type_urls, batch.type_url, "type_url"), count, "", "type_url"),
            column(batch.payload, count, b"", "payload"),
            _done(batch, column(batch.mutations, count, b"", "mutations")),
            strict=False,
        )
        self._engine.host_answered(host, answers, [_failure(failed) for failed in batch.failures])

    def _batches(self, items: list[TurnColumns]) -> Iterator[actors_pb2.TurnBatch]:
        if self._notices:
            notices, self._notices = self._notices, []
            yield actors_pb2.TurnBatch(notices=notices)
        for columns in _merged(items):
            released = [self._binder.actor(actor) for actor in columns.released]
            states = [_state_update(update, self._binder.actor(update.actor)) for update in columns.states]
            extras, cancelled = dict(columns.extras), columns.cancelled
            for cut in cuts(columns.payloads):
                binder = self._binder
                actors = [binder.actor(actor) for actor in columns.actors[cut]]
                actions = [binder.action(action) for action in columns.actions[cut]]
                type_urls = [binder.type_url(url) for url in columns.type_urls[cut]]
                yield actors_pb2.TurnBatch(
                    bindings=binder.take_new(),
                    released=released,
                    states=states,
                    turn=columns.turns[cut],
                    actor=actors,
                    action=actions,
                    type_url=type_urls,
                    payload=columns.payloads[cut],
                    timeout_ms=columns.timeouts_ms[cut],
                    extras=[_extra(turn, extras[turn]) for turn in columns.turns[cut] if turn in extras]
                    if extras
                    else (),
                    cancelled=cancelled,
                )
                states, released, cancelled = [], [], []


def _merged(items: list[TurnColumns]) -> Iterator[TurnColumns]:
    """Joins what gathered, as far as the order within a batch allows: releases, then states, then turns."""
    whole = items[0]
    for more in items[1:]:
        if (more.states and whole.turns) or (more.released and (whole.turns or whole.states)):
            yield whole
            whole = more
            continue
        whole.states += more.states
        whole.turns += more.turns
        whole.actors += more.actors
        whole.actions += more.actions
        whole.type_urls += more.type_urls
        whole.payloads += more.payloads
        whole.timeouts_ms += more.timeouts_ms
        whole.extras += more.extras
        whole.cancelled += more.cancelled
        whole.released += more.released
    yield whole


def _done(batch: actors_pb2.HostBatch, mutations: Iterable[bytes]) -> Iterator[Operations]:
    """What each turn of a batch did."""
    if not batch.effects:
        return map(_operations, mutations)
    effects = {effect.turn: effect for effect in batch.effects}
    return (
        _with_effects(_operations(data), effects[turn]) if turn in effects else _operations(data)
        for turn, data in zip(batch.turn, mutations, strict=False)
    )


def _with_effects(operations: Sequence[Operation] | InvalidOperation, effects: actors_pb2.TurnEffects) -> TurnEffects:
    state = effects.state
    opaque = OpaqueState(state.state.type_url, state.state.value, dict(state.tags))
    try:
        workflow = workflow_from(effects.workflow, system="", wall_ms=wall_clock_ms())
    except BadAnswer as error:
        raise MalformedBatch(str(error)) from None
    return TurnEffects(operations, opaque if effects.HasField("state") else None, workflow)


def _failure(failed: actors_pb2.TurnFailure) -> TurnFailure:
    code = ErrorCode.UNKNOWN_ACTION if failed.unknown_action else ErrorCode.HANDLER_ERROR
    return TurnFailure(failed.turn, failed.message, code)


def _operations(mutations: bytes) -> tuple[Operation, ...] | InvalidOperation:
    """The operations of an answer, or why they can't be read: that turn ends, and the host is put right."""
    try:
        return values.mutations_from_bytes(mutations)
    except InvalidOperation as error:
        return error
    except CrdtError as error:
        return InvalidOperation(str(error))


def _state_update(update: StateUpdate, actor: int) -> actors_pb2.StateUpdate:
    if update.opaque is not None:
        message = actors_pb2.StateUpdate(actor=actor)
        type_url, data, tags = update.opaque
        message.opaque.tags.update(tags)
        if type_url:
            message.opaque.state.type_url, message.opaque.state.value = type_url, data
        else:
            message.opaque.SetInParent()
        return message
    if update.is_whole:
        return actors_pb2.StateUpdate(actor=actor, value=values.value_from_plain(update.type_name, update.value))
    return actors_pb2.StateUpdate(
        actor=actor,
        set=actors_pb2.SetChange(
            added=[values.data_from_plain(element) for element in update.added],
            removed=[values.data_from_plain(element) for element in update.removed],
        ),
    )


def _extra(turn: int, extra: Any) -> actors_pb2.TurnExtra:
    message = actors_pb2.TurnExtra(turn=turn, metadata=extra.metadata)
    if extra.caller is not None:
        system, name, parent = extra.caller
        message.caller.CopyFrom(actor_pb2.ActorId(system=system, name=name, parent=parent))
    return message
