"""Receiving gossip packets: decoding, state machine and reply, against a drained raw UDP echo.

A client keeps WINDOW pings in flight to one node and checks every answer. `ping` is the plain probe, `ping_sealed` the
same with encryption on.
The base echoes the very same packets. The node runs with its defaults: its own timers, counters and logs are on.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from benchmarks.harness import Options, Side, compare_sides
from benchmarks.load import CpuMeter, Job, announce, run_client, run_loop, verify
from benchmarks.measures import Line, Sample
from benchmarks.processes import Children
from gossip.agent import Agent
from gossip.agent_config import AgentConfig
from gossip.codec import encode
from gossip.config import LAN
from gossip.identity import Endpoint, NodeName, address_of
from gossip.messages import Ack, Ping
from gossip.packets import PacketLayers
from gossip.security import Keyring

CASES: Final = ("ping", "ping_sealed")

WINDOW: Final = 64
"""Packets in flight: as many as one wake-up of the node reads."""

PACKETS: Final = 4_096
"""Different packets, made beforehand and sent round robin; a power of two."""

KEY: Final = bytes(range(32))
SILENCE_S: Final = 5.0


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases; one echo serves as base of each."""
    echo = children.server("udp-echo", ("benchmarks.bases.udp_echo",))
    for case in CASES:
        if not options.wants(case):
            continue
        node = children.server("gossip-node", ("benchmarks.gossip_receive", "node", case))
        command = ("benchmarks.gossip_receive", "client")
        yield from compare_sides(
            children,
            options,
            bench="gossip_receive",
            case=case,
            bases={"drained raw UDP echo": Side(command=(*command, "echo"), servers=(echo,), case=case)},
            subject=("gossip.Agent", Side(command=(*command, "ack"), servers=(node,), case=case)),
            concurrency=WINDOW,
        )


async def node(case: str) -> None:
    """Serves until the process is ended."""
    swim = replace(LAN, keyring=Keyring([KEY])) if case == "ping_sealed" else LAN
    async with Agent(AgentConfig(name="node", bind=Endpoint("127.0.0.1", 0), swim=swim)) as agent:
        announce(address=str(agent.local.endpoint))
        await asyncio.Event().wait()


def packets(layers: PacketLayers, host: str, port: int) -> list[bytes]:
    """PACKETS pings with the sequence numbers from 0 on, each from a sender at that address."""
    sender = address_of(host), port, NodeName("client")
    return [layers.seal([encode(Ping(number, NodeName("node"), *sender))], crc=False) for number in range(PACKETS)]


async def client(job: Job) -> Sample:
    """Keeps the window full, and checks the answers when the time is up."""
    # Blocking calls on purpose: a loop of the client's own would be what is measured.
    host, _, port = job.address.rpartition(":")
    keyring = Keyring([KEY]) if job.case == "ping_sealed" else None
    layers = PacketLayers(keyring=keyring, entropy=secrets.token_bytes)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.bind(("127.0.0.1", 0))
        plain.settimeout(SILENCE_S)
        plain.connect((host, int(port)))
        sent = packets(layers, *plain.getsockname())
        _exchange(plain, sent, seconds=job.seconds / 5)
        meter = CpuMeter(job.server_pids)
        meter.start()
        began_s = time.perf_counter()
        answers = _exchange(plain, sent, seconds=job.seconds)
        took_s = time.perf_counter() - began_s
        cpu = meter.stop()
    _verify(answers, sent, None if sys.argv[2] == "echo" else layers)
    return Sample(rate=len(answers) / took_s, server_cpu=cpu)


def _exchange(plain: socket.socket, sent: Sequence[bytes], *, seconds: float) -> list[bytes]:
    """Answers in order of arrival; nothing is in flight any more when it returns."""
    until_s = time.perf_counter() + seconds
    answers: list[bytes] = []
    number = 0
    while number < WINDOW:
        plain.send(sent[number])
        number += 1
    while time.perf_counter() < until_s:
        for _ in range(WINDOW):
            answers.append(plain.recv(2_048))
            plain.send(sent[number % PACKETS])
            number += 1
    answers.extend(plain.recv(2_048) for _ in range(WINDOW))
    return answers


def _verify(answers: Sequence[bytes], sent: Sequence[bytes], layers: PacketLayers | None) -> None:
    """The echo returns each packet as it was; the node one ack for each ping, with its number and nothing else."""
    for number, answer in enumerate(answers):
        if layers is None:
            verify(sent[number % PACKETS], answer)
        else:
            verify(Ack(number % PACKETS), layers.open(answer).messages[0])


if __name__ == "__main__":
    if sys.argv[1] == "node":
        run_loop(node(sys.argv[2]))
    else:
        run_client(client)
