"""Spawn's invoke over HTTP against a bare aiohttp POST echo.

The subject is `crdtmesh up` with production defaults; calls are Spawn's messages, spread over 256 stateless actors, and
each reply is verified. `http_host`: the actors are on a user function that the node calls by HTTP, so a call is two
requests, four messages and three processes; the base is one request and two. `grpc_host`: they are on the Python SDK's
host, over its stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from benchmarks.actors import ECHOES, SYSTEM_NAME
from benchmarks.floors import base_side
from benchmarks.harness import Options, Side, compare_sides
from benchmarks.load import ACTORS, Job, drive, payload, run_client, verify
from benchmarks.measures import Line, Sample
from benchmarks.nodes import start_node
from benchmarks.processes import Children
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import (
    OK,
    InvocationRequest,
    InvocationResponse,
    RegistrationRequest,
)
from crdtmesh.wire.payloads import encode

CASES: Final = ("http_host", "grpc_host")
CONCURRENCIES: Final = (1, 64)
HTTP_ECHO: Final = "bare aiohttp echo"

_OCTETS: Final = {"Content-Type": "application/octet-stream"}
# From a ready node to the registration of the host that it starts: a Python process that imports gRPC.
_HOST_TIMEOUT_S: Final = 20.0


def run(children: Children, options: Options) -> Iterator[Line]:
    """Both cases, each against its own node."""
    base = base_side(children, "http_echo", "serve")
    for case in CASES:
        if not options.wants(case):
            continue
        if case == "http_host":
            function = children.server("user_function", ("benchmarks.user_function",))
            port = function.address.rpartition(":")[2]
            node = start_node(children, "http-host", arguments=("--user-function-port", port))
            servers = [node, function]
        else:
            node = start_node(children, "grpc-host", actors="benchmarks.actors:system")
            servers = [node]
        side = Side(
            command=("benchmarks.spawn_http", "client"), servers=servers, address=str(node.ready["http"]), case=case
        )
        for concurrency in CONCURRENCIES:
            yield from compare_sides(
                children,
                options,
                bench="spawn_http",
                case=case,
                bases={HTTP_ECHO: base},
                subject=("crdtmesh", side),
                concurrency=concurrency,
            )


async def client(job: Job) -> Sample:
    """One POST for every operation, on as many connections as there are operations in flight, as the base's."""
    import aiohttp  # only the client's process needs it

    names = ECHOES[: job.actors]
    urls = [f"http://{job.address}/api/v1/system/{SYSTEM_NAME}/actors/{name}/invoke" for name in names]
    connector = aiohttp.TCPConnector(limit=job.concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=_OCTETS) as session:

        async def call(number: int) -> None:
            sent = payload(number)
            request = _request(number % job.actors, sent)
            async with session.post(urls[number % job.actors], data=request) as response:
                reply = InvocationResponse.FromString(await response.read())
            verify(OK, reply.status.status)
            verify(encode(sent.decode()), (reply.value.type_url, reply.value.value))

        if job.case == "http_host":
            async with session.post(f"http://{job.address}/api/v1/system", data=_registration()) as response:
                verify(200, response.status)
        else:
            await _host_ready(call)
        return await drive(call, job)


def _request(actor: int, sent: bytes) -> bytes:
    request = InvocationRequest(action_name="echo")
    request.system.name = request.actor.id.system = SYSTEM_NAME
    request.actor.id.name = ECHOES[actor]
    request.value.type_url, request.value.value = encode(sent.decode())
    return request.SerializeToString()


def _registration() -> bytes:
    request = RegistrationRequest()
    request.actor_system.name = SYSTEM_NAME
    for name in ECHOES[:ACTORS]:
        actor = request.actor_system.registry.actors[name]
        actor.id.name, actor.id.system = name, SYSTEM_NAME
        actor.actions.add(name="echo")
    return request.SerializeToString()


async def _host_ready(call: object) -> None:
    """Waits until the node has the host that it starts."""
    assert callable(call)
    async with asyncio.timeout(_HOST_TIMEOUT_S):
        while True:
            try:
                await call(0)
            except AssertionError:
                await asyncio.sleep(0.05)
            else:
                return


if __name__ == "__main__":
    run_client(client)
