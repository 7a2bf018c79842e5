"""From a write on one idle node until it is readable on both others: three real nodes, WRITES times.

The clock starts before the write is sent and stops when both other nodes have answered a read with the new value, so it
holds the write's commit, the way to both peers, their joins, and up to one polling interval plus a read. Writes come at
random distances, so that they do not fall in step with any timer of the nodes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Final

import grpc

from benchmarks.harness import Options, progress
from benchmarks.load import CpuMeter, run_loop, verify
from benchmarks.measures import Line, percentile
from benchmarks.nodes import start_node
from benchmarks.processes import ChildFailed, Children, Server
from crdtmesh.wire.gen.crdtmesh.v1.cluster_pb2 import StatusRequest
from crdtmesh.wire.gen.crdtmesh.v1.cluster_pb2_grpc import ClusterStub
from crdtmesh.wire.gen.crdtmesh.v1.state_pb2 import GetStateRequest, StateKey, UpdateStateRequest
from crdtmesh.wire.gen.crdtmesh.v1.state_pb2_grpc import StateStub
from crdtmesh.wire.gen.crdtmesh.v1.values_pb2 import Data, Mutations, Operation

CASES: Final = ("write",)

NODES: Final = 3
WRITES: Final = 50
POLL_S: Final = 0.001
PAUSE_S: Final = (0.1, 0.4)

_KEY: Final = StateKey(system="benchmarks", key="register", type="LWWRegister")
_LINKED_TIMEOUT_S: Final = 20.0
_SEEN_TIMEOUT_S: Final = 30.0


def run(children: Children, options: Options) -> Iterator[Line]:
    """One line; there is nothing to compare with, so the ratio and the rates are null."""
    if not options.wants("write"):
        return
    first = start_node(children, "a")
    others = [start_node(children, name, join=[str(first.ready["gossip"])]) for name in ("b", "c")]
    times_ms, cpu = run_loop(measure([first, *others]))
    times_ms.sort()
    yield Line(
        bench="convergence",
        case="write",
        base=None,
        subject="three nodes",
        concurrency=1,
        ratio=None,
        base_rate=None,
        subject_rate=None,
        server_cpu=cpu,
        p50_ms=percentile(times_ms, 0.5),
        p99_ms=percentile(times_ms, 0.99),
    )


async def measure(nodes: Sequence[Server]) -> tuple[list[float], float | None]:
    """The times of WRITES writes in ms, and the CPU of all nodes meanwhile in percent of one core."""
    rng = random.Random()
    async with (
        grpc.aio.insecure_channel(nodes[0].ready["grpc"]) as writer,
        grpc.aio.insecure_channel(nodes[1].ready["grpc"]) as one,
        grpc.aio.insecure_channel(nodes[2].ready["grpc"]) as other,
    ):
        await asyncio.gather(*(_linked(channel) for channel in (writer, one, other)))
        await _once(writer, (one, other), "warm-up")
        meter = CpuMeter([node.pid for node in nodes])
        meter.start()
        times_ms = []
        for number in range(WRITES):
            await asyncio.sleep(rng.uniform(*PAUSE_S))
            times_ms.append(await _once(writer, (one, other), f"value {number}"))
            progress(f"convergence: write {number + 1}/{WRITES}: {times_ms[-1]:.1f} ms")
        return times_ms, meter.stop()


async def _once(writer: grpc.aio.Channel, readers: Sequence[grpc.aio.Channel], text: str) -> float:
    write = Operation(name="set", arguments=[Data(text=text)])
    began_s = time.perf_counter()
    reply = await StateStub(writer).Update(UpdateStateRequest(key=_KEY, mutations=Mutations(operations=[write])))
    await asyncio.gather(*(_seen(reader, text) for reader in readers))
    took_ms = 1e3 * (time.perf_counter() - began_s)
    verify(text, reply.value.data.text)
    return took_ms


async def _seen(reader: grpc.aio.Channel, text: str) -> None:
    get, request = StateStub(reader).Get, GetStateRequest(key=_KEY)
    until_s = time.monotonic() + _SEEN_TIMEOUT_S
    while time.monotonic() < until_s:
        reply = await get(request)
        if reply.found and reply.value.data.text == text:
            return
        await asyncio.sleep(POLL_S)
    raise ChildFailed(f"{text!r} was not readable everywhere within {_SEEN_TIMEOUT_S:.0f} s")


async def _linked(channel: grpc.aio.Channel) -> None:
    """Waits until a node has links to both others."""
    until_s = time.monotonic() + _LINKED_TIMEOUT_S
    while time.monotonic() < until_s:
        reply = await ClusterStub(channel).Status(StatusRequest())
        if all(peer.linked for peer in reply.peers) and len(reply.peers) == NODES - 1:
            return
        await asyncio.sleep(0.05)
    linked = [peer.name for peer in reply.peers if peer.linked]
    raise ChildFailed(f"{reply.name} is linked to {linked} after {_LINKED_TIMEOUT_S:.0f} s, {NODES - 1} peers expected")
