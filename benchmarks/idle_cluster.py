"""CPU of a node among 50 in which nothing happens but membership.

All nodes share one process and one loop, on sockets of loopback, with the defaults of production. The figure is the CPU
of the process over the nodes in it, in percent of one core; there is nothing to compare it with.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Final

from benchmarks.harness import Options, progress
from benchmarks.load import CpuMeter, announce, run_loop, verify
from benchmarks.measures import Line, median_of
from benchmarks.processes import Children
from gossip.agent import Agent
from gossip.agent_config import AgentConfig
from gossip.identity import Endpoint

CASES: Final = ("membership",)

NODES: Final = 50
SETTLE_S: Final = 10.0
"""Joins are over, and the queues of news are empty."""


def run(children: Children, options: Options) -> Iterator[Line]:
    """One line; samples take five times `options.seconds`, for a node's work comes once a second."""
    if not options.wants("membership"):
        return
    server = children.server("idle-cluster", ("benchmarks.idle_cluster", str(NODES)))
    samples = []
    for number in range(options.pairs):
        samples.append(asyncio.run(_measure(server.pid, 5 * options.seconds)) / NODES)
        progress(f"idle_cluster: sample {number + 1}/{options.pairs}: {samples[-1]:.3f} % of a core per node")
    yield Line(
        bench="idle_cluster",
        case="membership",
        base=None,
        subject=f"gossip.Agent, one of {NODES}",
        concurrency=NODES,
        ratio=None,
        base_rate=None,
        subject_rate=None,
        server_cpu=median_of(samples),
        p50_ms=None,
        p99_ms=None,
    )


async def _measure(pid: int, seconds: float) -> float:
    meter = CpuMeter((pid,))
    meter.start()
    await asyncio.sleep(seconds)
    cpu = meter.stop()
    assert cpu is not None
    return cpu


async def cluster(nodes: int) -> None:
    """Runs that many agents until the process is ended; ready when each knows all and has settled."""
    loopback = Endpoint("127.0.0.1", 0)
    async with contextlib.AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(Agent(AgentConfig(name="n0", bind=loopback)))]
        for number in range(1, nodes):
            config = AgentConfig(name=f"n{number}", bind=loopback, join=(agents[0].local.endpoint,))
            agents.append(await stack.enter_async_context(Agent(config)))
        await asyncio.sleep(SETTLE_S)
        for agent in agents:
            verify(nodes, sum(member.is_present for member in agent.members()))
        announce(nodes=nodes)
        await asyncio.Event().wait()


if __name__ == "__main__":
    run_loop(cluster(int(sys.argv[1])))
