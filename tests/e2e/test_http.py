"""The HTTP endpoint of a real node: where it calls, who may call it, and what it outlives."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdtmesh.local_node import LocalNode
from tests.conformance.dialects import NODE, ActorSpec
from tests.conformance.function import Answer, UserFunction
from tests.conformance.suite import ERROR, NOT_FOUND, OK, PAYLOAD, payload_of
from tests.conformance.wire import Request, Response, get, post, send
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked

SYSTEM = "shops"
CLERK = ActorSpec(name="clerk", actions=["say"])
BODY = NODE.invocation(SYSTEM, "clerk", "say", PAYLOAD)


class Function:
    """A user function that answers with its own name, and leaves it as state, when it may."""

    def __init__(self, name: str = "first") -> None:
        self.name = name
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.server = UserFunction(self._answer)

    async def _answer(self, request: Request) -> Answer:
        await self.may_answer.wait()
        invocation = NODE.schema.ActorInvocation.FromString(request.body)
        name = (PAYLOAD[0], self.name.encode())
        return NODE.answer(invocation, name, state=name)

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.server.port}"


@contextlib.asynccontextmanager
async def function(name: str = "first") -> AsyncIterator[Function]:
    made = Function(name)
    await made.server.start()
    try:
        yield made
    finally:
        made.may_answer.set()
        await made.server.stop()


async def register(
    address: str, *, callback: str = "", actor: ActorSpec = CLERK, headers: dict[str, str] | None = None
) -> Response:
    path = f"/api/v1/system{'?callback=' + callback if callback else ''}"
    return await send(address, post(path, NODE.registration(SYSTEM, actor), {**NODE.headers, **(headers or {})}))


async def invoke(address: str, body: bytes = BODY) -> Response:
    return await send(address, post("/api/v1/system/s/actors/a/invoke", body, dict(NODE.headers)))


async def status(address: str, body: bytes = BODY) -> int:
    message = NODE.schema.InvocationResponse.FromString((await invoke(address, body)).body)
    return int(message.status.status)


async def said_by(address: str) -> str:
    """Which user function answers; empty when none does."""
    payload = payload_of(NODE.schema.InvocationResponse.FromString((await invoke(address)).body))
    return payload[1].decode() if isinstance(payload, tuple) else ""


def words(response: Response) -> str:
    return str(NODE.schema.RegistrationResponse.FromString(response.body).status.message)


async def test_the_unix_socket_serves_the_same(nodes: Nodes) -> None:
    async with function() as here:
        node = await nodes.start("a", "--user-function-port", str(here.server.port))

        assert 200 == (await register(node.http_socket, headers={"Host": "spawn.sock"})).status
        assert OK == await status(node.http_socket)
        assert 0o600 == stat.S_IMODE(Path(node.http_socket).stat().st_mode)


async def test_several_user_functions_stand_beside_one_node(nodes: Nodes) -> None:
    async with function("first") as first, function("second") as second:
        node = await nodes.start("a", "--user-function-port", str(first.server.port))
        assert 200 == (await register(node.http)).status
        assert "first" == await said_by(node.http)

        porter = ActorSpec(name="porter", actions=["carry"])
        assert 200 == (await register(node.http, callback=second.where, actor=porter)).status
        body = NODE.invocation(SYSTEM, "porter", "carry", PAYLOAD)
        response = NODE.schema.InvocationResponse.FromString((await invoke(node.http, body)).body)

        assert b"second" == response.value.value
        assert "first" == await said_by(node.http)


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        ("169.254.169.254:80", "metadata"),
        ("[::ffff:169.254.169.254]:80", "metadata"),
        ("[fd00:ec2::254]:80", "metadata"),
        ("10.0.0.1:8090", "--callback-allow"),
        ("[::ffff:10.0.0.1]:8090", "--callback-allow"),
        ("0.0.0.0:8090", "no address"),
        ("[::]:8090", "no address"),
        ("2130706433:8090", "127.0.0.1"),
        ("0x7f.1:8090", "127.0.0.1"),
        ("0177.0.0.1:8090", "127.0.0.1"),
        ("nowhere.invalid:8090", "resolved"),
        ("127.0.0.1", "HOST:PORT"),
        ("127.0.0.1:0", "1 to 65535"),
        ("127.0.0.1:99999", "1 to 65535"),
        ("127.0.0.1:http", "HOST:PORT"),
        ("http://127.0.0.1:8090", "IP address or a name"),
        ("user@127.0.0.1:8090", "IP address or a name"),
    ],
)
async def test_a_hostile_callback_is_refused_and_registers_nothing(lone: LocalNode, callback: str, reason: str) -> None:
    response = await register(lone.http, callback=callback)

    assert 500 == response.status
    assert reason in words(response)
    assert NOT_FOUND == await status(lone.http)


async def test_the_nodes_own_ports_are_never_called(lone: LocalNode) -> None:
    for address in (lone.gossip, lone.links, lone.grpc, lone.http):
        response = await register(lone.http, callback=f"127.0.0.1:{address.rpartition(':')[2]}")

        assert 500 == response.status
        assert "this node's own" in words(response)


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:9001"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
async def test_a_web_page_of_another_site_is_kept_out(lone: LocalNode, headers: dict[str, str]) -> None:
    response = await register(lone.http, headers=headers)

    assert 403 == response.status
    assert NOT_FOUND == await status(lone.http)


@pytest.fixture(scope="module")
async def lone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalNode]:
    """A node that nothing is registered with."""
    made = Nodes(tmp_path_factory.mktemp("lone"))
    try:
        yield await made.start("a")
    finally:
        await made.kill()


async def test_a_user_function_that_is_away_is_told_withdrawn_and_found_again(nodes: Nodes) -> None:
    async with function() as here:
        a = await nodes.start("a", "--user-function-port", str(here.server.port))
        b = await nodes.start("b", join=a)
        assert await eventually(lambda: linked([a, b]))
        assert 200 == (await register(a.http)).status
        assert await eventually(lambda: _is(b, "first"))

        await here.server.stop()
        body = NODE.invocation(SYSTEM, "clerk", "say", metadata={"request-timeout": "600"})
        response = NODE.schema.InvocationResponse.FromString((await invoke(a.http, body)).body)
        assert ERROR == response.status.status
        assert "can't be reached" in response.status.message
        assert await eventually(lambda: _is_listed(b, False))

        await here.server.start()
        assert await eventually(lambda: _is(b, "first"))
        assert await _is_listed(b, True)


async def _is(node: LocalNode, name: str) -> bool:
    return await said_by(node.http) == name


async def _is_listed(node: LocalNode, expected: bool) -> bool:
    return ("shops/clerk" in (await crdtmesh("actors", "list", endpoint=node.grpc)).out) is expected


async def test_a_node_that_was_killed_finds_its_user_function_again(nodes: Nodes) -> None:
    async with function() as here:
        node = await nodes.start("a", "--user-function-port", str(here.server.port))
        assert 200 == (await register(node.http)).status
        await node.kill()
        await node.start()

        assert await eventually(lambda: _is(node, "first"))


async def test_an_opaque_state_is_there_again_after_a_power_cut(nodes: Nodes) -> None:
    async with function() as here:
        node = await nodes.start("a", "--user-function-port", str(here.server.port))
        till = ActorSpec(name="till", actions=["say"], is_stateful=True)
        assert 200 == (await register(node.http, actor=till)).status
        assert OK == await status(node.http, NODE.invocation(SYSTEM, "till", "say"))
        await node.kill()
        await node.start()
        read = NODE.invocation(SYSTEM, "till", "getState")

        async def is_back() -> bool:
            return await status(node.http, read) == OK

        assert await eventually(is_back)
        response = NODE.schema.InvocationResponse.FromString((await invoke(node.http, read)).body)
        assert (PAYLOAD[0], b"first") == payload_of(response)


async def test_a_node_that_stops_ends_its_calls_and_takes_no_more(nodes: Nodes) -> None:
    async with function() as here:
        node = await nodes.start("a", "--user-function-port", str(here.server.port))
        assert 200 == (await register(node.http)).status
        here.may_answer.clear()
        call = asyncio.create_task(invoke(node.http))
        assert await eventually(lambda: _has_request(here))
        node.signal(signal.SIGTERM)

        async def is_draining() -> bool:
            return (await send(node.http, get("/health/readiness"))).status == 503

        assert await eventually(is_draining)
        assert 200 == (await send(node.http, get("/health/liveness"))).status
        refused = await register(node.http)
        assert (500, True) == (refused.status, words(refused).startswith("Error on create Actors"))
        assert 500 == (await invoke(node.http)).status

        here.may_answer.set()
        assert 200 == (await call).status
        assert 0 == await node.ended()


async def _has_request(here: Function) -> bool:
    return bool(here.server.requests)


async def test_turns_beyond_the_connections_wait_for_one(nodes: Nodes) -> None:
    async with function() as here:
        node = await nodes.start("a", "--user-function-port", str(here.server.port))
        names = [f"clerk-{number}" for number in range(200)]
        registration = NODE.registration(SYSTEM, *(ActorSpec(name=name, actions=["say"]) for name in names))
        assert 200 == (await send(node.http, post("/api/v1/system", registration, dict(NODE.headers)))).status
        here.may_answer.clear()
        calls = [
            asyncio.create_task(invoke(node.http, NODE.invocation(SYSTEM, name, "say", PAYLOAD))) for name in names
        ]

        async def is_full() -> bool:
            return len(here.server.requests) >= 128

        assert await eventually(is_full)
        assert 128 == len(here.server.requests)
        here.may_answer.set()
        assert {200} == {(await call).status for call in calls}
        assert len(names) == len(here.server.requests)
