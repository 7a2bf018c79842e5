"""From a write on one idle node until it is on all others: of three real nodes and of nine, WRITES times each.

The clock starts before the write is sent and stops when watches on all other nodes have shown the new value, so it
holds the write's commit, the way to each peer, its join and the way to the reader. Then a read at each node has to show
the value too. Writes come at random distances, so that they do not fall in step with any timer of the nodes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import grpc

from benchmarks.harness import Options, progress
from benchmarks.load import CpuMeter, run_loop, verify
from benchmarks.measures import Line, percentile
from benchmarks.nodes import start_node
from benchmarks.processes import ChildFailed, Children, Server
from crdtmesh.wire.gen.crdtmesh.v1.cluster_pb2 import StatusRequest
from crdtmesh.wire.gen.crdtmesh.v1.cluster_pb2_grpc import ClusterStub
from crdtmesh.wire.gen.crdtmesh.v1.state_pb2 import (
    GetStateRequest,
    StateKey,
    UpdateStateRequest,
    WatchStateRequest,
)
from crdtmesh.wire.gen.crdtmesh.v1.state_pb2_grpc import StateStub
from crdtmesh.wire.gen.crdtmesh.v1.values_pb2 import Data, Mutations, Operation

NODES: Final = {"three": 3, "nine": 9}
CASES: Final = tuple(NODES)

WRITES: Final = 50
PAUSE_S: Final = (0.1, 0.4)

_KEY: Final = StateKey(system="benchmarks", key="register", type="LWWRegister")
_LINKED_TIMEOUT_S: Final = 60.0
_SEEN_TIMEOUT_S: Final = 30.0


def run(children: Children, options: Options) -> Iterator[Line]:
    """A line for each number of nodes; there is nothing to compare with, so the ratio and the rates are null."""
    for case, count in NODES.items():
        if options.wants(case):
            yield _line(children, case, count)
            children.stop_all()


def _line(children: Children, case: str, count: int) -> Line:
    first = start_node(children, f"{case}-1")
    others = [
        start_node(children, f"{case}-{number}", join=[str(first.ready["gossip"])]) for number in range(2, count + 1)
    ]
    times_ms, cpu = run_loop(measure([first, *others]))
    times_ms.sort()
    return Line(
        bench="convergence",
        case=case,
        base=None,
        subject=f"{case} nodes",
        concurrency=1,
        ratio=None,
        base_rate=None,
        subject_rate=None,
        server_cpu=cpu,
        p50_ms=percentile(times_ms, 0.5),
        p99_ms=percentile(times_ms, 0.99),
    )


async def measure(nodes: Sequence[Server]) -> tuple[list[float], float | None]:
    """The times of WRITES writes at the first node in ms, and the CPU of all meanwhile in percent of one core."""
    rng = random.Random()
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(node.ready["grpc"])) for node in nodes]
        await asyncio.gather(*(_linked(channel, len(nodes) - 1) for channel in channels))
        await _write(channels[0], "warm-up")
        watches = [_watch(channel) for channel in channels[1:]]
        await asyncio.gather(*(_seen(watch, "warm-up") for watch in watches))
        meter = CpuMeter([node.pid for node in nodes])
        meter.start()
        times_ms = []
        for number in range(WRITES):
            await asyncio.sleep(rng.uniform(*PAUSE_S))
            times_ms.append(await _once(channels, watches, f"value {number}"))
            progress(f"convergence: {len(nodes)} nodes, write {number + 1}/{WRITES}: {times_ms[-1]:.1f} ms")
        return times_ms, meter.stop()


async def _once(channels: Sequence[grpc.aio.Channel], watches: Sequence[Any], text: str) -> float:
    began_s = time.perf_counter()
    await _write(channels[0], text)
    await asyncio.gather(*(_seen(watch, text) for watch in watches))
    took_ms = 1e3 * (time.perf_counter() - began_s)
    for channel in channels:
        reply = await StateStub(channel).Get(GetStateRequest(key=_KEY))
        verify(text, reply.value.data.text)
    return took_ms


async def _write(channel: grpc.aio.Channel, text: str) -> None:
    write = Operation(name="set", arguments=[Data(text=text)])
    await StateStub(channel).Update(UpdateStateRequest(key=_KEY, mutations=Mutations(operations=[write])))


def _watch(channel: grpc.aio.Channel) -> Any:
    """A call that says each change of the key at once."""
    request = WatchStateRequest(system=_KEY.system, key=_KEY.key, type=_KEY.type, interval_ms=0)
    return StateStub(channel).Watch(request)


async def _seen(watch: Any, text: str) -> None:
    try:
        async with asyncio.timeout(_SEEN_TIMEOUT_S):
            while all(change.value.data.text != text for change in (await watch.read()).changes):
                pass
    except TimeoutError:
        raise ChildFailed(f"{text!r} was not shown everywhere within {_SEEN_TIMEOUT_S:.0f} s") from None


async def _linked(channel: grpc.aio.Channel, count: int) -> None:
    """Waits until a node has links to all others."""
    until_s = time.monotonic() + _LINKED_TIMEOUT_S
    while time.monotonic() < until_s:
        reply = await ClusterStub(channel).Status(StatusRequest())
        if all(peer.linked for peer in reply.peers) and len(reply.peers) == count:
            return
        await asyncio.sleep(0.05)
    linked = [peer.name for peer in reply.peers if peer.linked]
    raise ChildFailed(f"{reply.name} is linked to {linked} after {_LINKED_TIMEOUT_S:.0f} s, {count} peers expected")
