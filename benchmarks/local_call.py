"""A call through a node to an actor on its host, against a bare unary echo and the feature-less two-hop skeleton.

The subject is `crdtmesh up` with production defaults and its data on disk, a host that it starts, and the SDK's client
over one batched stream. `echo` is a stateless action; `counter_durable` increments a PN-counter and is answered when
the increment is on this node's disk; `opaque_durable` replaces an opaque state, which a majority, here this node, must
have on its disk. Calls go round over 256 actors; `..._one_actor` sends all to one, which is serial by its nature.
`unary_invoke` is the echo by Spawn's own messages, one unary call each.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from benchmarks.actors import COUNTERS, ECHOES, NOTES, SYSTEM_NAME
from benchmarks.floors import base_side
from benchmarks.harness import Options, Side, compare_sides
from benchmarks.load import ACTORS, Job, drive, payload, run_client, verify
from benchmarks.measures import Line, Sample
from benchmarks.nodes import start_node
from benchmarks.processes import Children
from crdtmesh.sdk.errors import NoHost, UnknownActor
from crdtmesh.wire.gen.crdtmesh.v1.actors_pb2_grpc import ActorsStub
from crdtmesh.wire.gen.spawn.actors.actor_pb2 import Actor, ActorId, ActorSystem
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import InvocationRequest
from crdtmesh.wire.payloads import decode, encode

if TYPE_CHECKING:
    from crdtmesh.sdk import Client

CASES: Final = (
    "echo",
    "counter_durable",
    "opaque_durable",
    "echo_one_actor",
    "counter_durable_one_actor",
    "unary_invoke",
)

SPREAD: Final = (1, 64, 256)
ONE_ACTOR: Final = (64,)
UNARY: Final = (1, 64)

UNARY_ECHO: Final = "bare unary echo"
TWO_HOP: Final = "two-hop skeleton"

COMMAND: Final = ("benchmarks.local_call", "client")
# From a ready node to its host's registration: the host is a Python process that imports gRPC.
_HOST_TIMEOUT_S: Final = 20.0


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases against one node; every case has the bare unary echo as a base, those over a stream both bases."""
    bases = {UNARY_ECHO: base_side(children, "unary_echo", "serve"), TWO_HOP: base_side(children, "two_hop", "node")}
    node = start_node(children, "local", actors="benchmarks.actors:system")
    for case in CASES:
        if not options.wants(case):
            continue
        is_one_actor, is_unary = case.endswith("_one_actor"), case == "unary_invoke"
        side = Side(
            command=COMMAND, servers=(node,), address=str(node.ready["grpc"]), case=case.removesuffix("_one_actor")
        )
        for concurrency in ONE_ACTOR if is_one_actor else UNARY if is_unary else SPREAD:
            yield from compare_sides(
                children,
                options,
                bench="local_call",
                case=case,
                bases={UNARY_ECHO: bases[UNARY_ECHO]} if is_unary else bases,
                subject=("crdtmesh, unary" if is_unary else "crdtmesh", side),
                concurrency=concurrency,
                actors=1 if is_one_actor else ACTORS,
            )


async def client(job: Job) -> Sample:
    """Does what `job.case` says."""
    from crdtmesh.sdk import Client  # only the client's process needs it

    async with Client(job.address) as mesh:
        await _host_ready(functools.partial(mesh.invoke, SYSTEM_NAME, ECHOES[0], "echo", "ready"))
        if job.case != "unary_invoke":
            cases = {"echo": _echoes, "counter_durable": _increments, "opaque_durable": _replacements}
            return await cases[job.case](job, mesh)
    return await _unary_invokes(job)


async def _echoes(job: Job, mesh: Client) -> Sample:
    async def call(number: int) -> None:
        sent = payload(number).decode()
        verify(sent, await mesh.invoke(SYSTEM_NAME, ECHOES[number % job.actors], "echo", sent))

    return await drive(call, job)


async def _increments(job: Job, mesh: Client) -> Sample:
    """Nobody else counts, so the replies of an actor are its successive counts, and it ends at their number."""
    names = COUNTERS[: job.actors]
    before = await asyncio.gather(*(mesh.invoke(SYSTEM_NAME, name, "read") for name in names))
    calls = [0] * len(names)
    sums = [0] * len(names)

    async def call(number: int) -> None:
        actor = number % job.actors
        count = await mesh.invoke(SYSTEM_NAME, names[actor], "increment", 1)
        calls[actor] += 1
        sums[actor] += count - before[actor]

    sample = await drive(call, job)
    after = await asyncio.gather(*(mesh.invoke(SYSTEM_NAME, name, "read") for name in names))
    verify([count * (count + 1) // 2 for count in calls], sums)
    verify([start + count for start, count in zip(before, calls, strict=True)], after)
    return sample


async def _replacements(job: Job, mesh: Client) -> Sample:
    """Nobody else writes, so each reply is what the call before it to the same actor sent."""
    names = NOTES[: job.actors]
    before = [await mesh.invoke(SYSTEM_NAME, name, "read") for name in names]
    gates = [asyncio.Lock() for _ in names]

    async def call(number: int) -> None:
        sent, actor = payload(number).decode(), number % job.actors
        # Calls of one actor that are in flight together come in some order.
        async with gates[actor]:
            verify(before[actor], await mesh.invoke(SYSTEM_NAME, names[actor], "write", sent))
            before[actor] = sent

    return await drive(call, job)


async def _unary_invokes(job: Job) -> Sample:
    system = ActorSystem(name=SYSTEM_NAME)
    actors = [Actor(id=ActorId(name=name, system=SYSTEM_NAME)) for name in ECHOES[: job.actors]]
    async with grpc.aio.insecure_channel(job.address) as channel:
        invoke = ActorsStub(channel).Invoke

        async def call(number: int) -> None:
            sent = payload(number).decode()
            type_url, content = encode(sent)
            request = InvocationRequest(
                system=system,
                actor=actors[number % job.actors],
                action_name="echo",
                value=AnyMessage(type_url=type_url, value=content),
            )
            reply = await invoke(request)
            verify(sent, decode(reply.value.type_url, reply.value.value))

        return await drive(call, job)


async def _host_ready(call: Callable[[], Awaitable[object]]) -> None:
    """Waits until the node has a host; a node is ready before the host that it starts."""
    async with asyncio.timeout(_HOST_TIMEOUT_S):
        while True:
            try:
                await call()
            except (NoHost, UnknownActor):
                await asyncio.sleep(0.05)
            else:
                return


if __name__ == "__main__":
    run_client(client)
