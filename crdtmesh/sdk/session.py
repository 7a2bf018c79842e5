"""One `ActorHost.Connect` stream: registration, reading, writing, the end.

Glue: what a turn is and does stands in `turns`. One task at a time reads (the leader, see there), one writes. What has
gathered since the last write goes out as one message.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from typing import Any, Final

import grpc.aio

from crdtmesh import __version__
from crdtmesh.sdk.actors import ActorSpec, System
from crdtmesh.sdk.errors import RegistrationRefused
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.opaque import OpaqueType
from crdtmesh.sdk.turns import StreamError, Turns
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2_grpc
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2

__all__ = ["Session", "registration"]

TURNS_OPEN_MAX: Final = 16_384
"""Turns taken and not yet answered, beyond which the stream is not read. Each holds a payload and a coroutine, 2 to 4
KiB as a rule: 64 MiB. A node sends fewer; this stops one that doesn't."""


log = logging.getLogger("crdtmesh.sdk.host")


class Session:
    """A host's stream to a node, from its registration to its end.

    Args:
        channel: connected; stays the caller's.
        system: what is offered.
        users: the objects of the actor classes, by actor name.
    """

    def __init__(self, channel: Any, system: System, users: dict[str, object]) -> None:
        self._channel = channel
        self._system = system
        self._turns = Turns(system, users, answered=self._wake)
        self._call: Any = None
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_draining = False
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_registered = False

    async def run(self) -> None:
        """Serves turns until the stream ends.

        Raises:
            RegistrationRefused: the node doesn't take the actors.
            StreamError: the node broke the rules of the stream.
            grpc.RpcError: the stream broke.
        """
        self._call = actors_pb2_grpc.ActorHostStub(self._channel).Connect()
        writer = None
        try:
            await self._register()
            writer = asyncio.create_task(self._write())
            self._turns.spawn(self._lead())
            await self._end
        finally:
            self._call.cancel()
            if writer is not None:
                writer.cancel()
                await asyncio.wait([writer])
            await self._turns.close()

    def drain(self) -> None:
        """Takes no more turns, finishes and answers those it has, then ends the stream."""
        self._is_draining = True
        self._wake()

    def abort(self) -> None:
        """Ends the stream at once."""
        self._finish(None)

    async def _register(self) -> None:
        await self._call.write(pb.HostBatch(register=registration(self._system)))
        first = await self._call.read()
        if first is grpc.aio.EOF or not first.HasField("registered"):
            raise StreamError("expected an answer to the registration, got none")
        status = first.registered.status
        if first.is_conflict:
            # The other host may leave: the host connects again.
            raise StreamError(status.message[:500])
        if status.status != protocol_pb2.OK:
            raise RegistrationRefused(f"the node refused the actors of {self._system.name!r}: {status.message:.500}")
        self.is_registered = True
        self._turns.accept(first)

    async def _lead(self) -> None:
        """Reads batches and starts their turns, until one of them waits: then this task is that turn's."""
        try:
            while True:
                waiting = self._turns.run()
                self._wake()
                if waiting is not None:
                    self._turns.spawn(self._lead())
                    break
                while self._turns.open_count > TURNS_OPEN_MAX:
                    self._has_room.clear()
                    await self._has_room.wait()
                batch = await self._call.read()
                if batch is grpc.aio.EOF:
                    self._finish(None)
                    return
                for notice in batch.notices:
                    log.warning("host.notice %s", notice)
                if not self._is_draining:
                    self._turns.accept(batch)
        except Exception as error:
            self._finish(error)
            return
        except asyncio.CancelledError:
            # Not only by us: a handler may have kept the task that it ran in, and cancelled it later.
            self._finish(StreamError("the reading task was cancelled"))
            raise
        await self._turns.finish(waiting)

    async def _write(self) -> None:
        """Sends what has gathered, as often as there is something."""
        turns = self._turns
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                if len(turns.answers):
                    for message in turns.answers.take_batches():
                        await self._call.write(message)
                self._has_room.set()
                if self._is_draining and not turns.open_count:
                    await self._call.done_writing()
                    return
        except Exception as error:
            self._finish(error)

    def _wake(self) -> None:
        self._has_work.set()
        self._has_room.set()

    def _finish(self, error: Exception | None) -> None:
        if self._end.done():
            return
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)


def registration(system: System) -> protocol_pb2.RegistrationRequest:
    """What a host says it offers, in Spawn's words."""
    actors = {name: _declared(spec, system.name) for name, spec in system.actors.items()}
    return protocol_pb2.RegistrationRequest(
        service_info=protocol_pb2.ServiceInfo(
            service_name=system.name,
            service_runtime=f"{platform.python_implementation()} {platform.python_version()}",
            support_library_name="crdtmesh.sdk",
            support_library_version=__version__,
            protocol_major_version=1,
        ),
        actor_system=actor_pb2.ActorSystem(name=system.name, registry=actor_pb2.Registry(actors=actors)),
    )


def _declared(spec: ActorSpec, system: str) -> actor_pb2.Actor:
    actor = actor_pb2.Actor(
        id=actor_pb2.ActorId(name=spec.name, system=system),
        settings=actor_pb2.ActorSettings(
            kind=actor_pb2.UNNAMED if spec.is_template else actor_pb2.NAMED,
            stateful=spec.state is not None,
            state_type=_state_type(spec.state),
        ),
        actions=[actor_pb2.Action(name=action) for action in sorted(spec.actions)],
        timer_actions=[
            actor_pb2.FixedTimerAction(seconds=item.timer_ms, action=actor_pb2.Action(name=item.name))
            for _, item in sorted(spec.actions.items())
            if item.timer_ms is not None
        ],
    )
    if spec.idle_timeout_ms:
        actor.settings.deactivation_strategy.timeout.timeout = spec.idle_timeout_ms
    if isinstance(spec.state, OpaqueType):
        actor.state.state.type_url, actor.state.state.value = spec.initial
        actor.state.tags.update(spec.tags)
    channels = [actor_pb2.Channel(topic=topic) for topic in spec.channels]
    channels += [
        actor_pb2.Channel(topic=topic, action=item.name)
        for _, item in sorted(spec.actions.items())
        for topic in item.topics
    ]
    if channels or actor.timer_actions or spec.settings:
        # With metadata an actor is active from its registration on, so that its timers run.
        actor.metadata.tags.update(spec.settings)
        actor.metadata.channel_group.extend(channel.SerializeToString() for channel in channels)
        actor.metadata.SetInParent()
    return actor


def _state_type(state: type[LiveState] | OpaqueType | None) -> str:
    if state is None:
        return ""
    return state.name if isinstance(state, OpaqueType) else f"crdtmesh.v1.{state.type_name}"
