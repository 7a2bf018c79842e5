"""Calls and state through the three doors of a node: the command line, the batched stream, unary gRPC."""

import asyncio
import re
import stat
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError, CallTimeout, HandlerError, UnknownAction, UnknownActor
from crdtmesh.wire import payloads
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2_grpc
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Trio
from tests.e2e.watch import digests, value

NOT_APPLIED = "not_applied"
SERVICES = {"crdtmesh.v1.Actors", "crdtmesh.v1.ActorHost", "crdtmesh.v1.State", "crdtmesh.v1.Cluster"}


# --- what goes wrong says what, and the nearest known name


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("invoke", "test/ecko", "echo"), "unknown_actor", "did you mean 'echo'?"),
        (("invoke", "test/echo", "ecko"), "unknown_action", "did you mean 'echo'?"),
        (("state", "update", "test/new", "incremant", "1", "--type", "PNCounter"), "invalid_operation", "'increment'"),
        (("state", "update", "test/new", "increment", "1", "--type", "PNCountr"), "invalid_request", "'PNCounter'"),
        (("state", "update", "test/new", "increment", "-1", "--type", "PNCounter"), "invalid_operation", "decrement"),
        (("state", "update", "test/new", "increment", "1"), "invalid_request", "name one"),
        (("invoke", "test/count", "add", '"many"'), "handler_error", "expected an integer"),
        (("invoke", "test/count", "add"), "handler_error", "missing argument 'amount'"),
        (("invoke", "test/echo", "fail", '"on purpose"'), "handler_error", "on purpose"),
    ],
)
async def test_a_call_that_can_not_be_names_the_reason_and_applies_nothing(
    trio: Trio, arguments: tuple[str, ...], code: str, hint: str
) -> None:
    ran = await crdtmesh(*arguments, "--format", "json", endpoint=trio.a.grpc)

    error = ran.error()
    assert (1, code, NOT_APPLIED) == (ran.code, error["code"], error["outcome"])
    assert hint in error["error"]
    assert await value(trio.a, "new") is None


@pytest.mark.parametrize(
    ("actor", "action", "argument", "error", "hint"),
    [
        ("ecko", "echo", "x", UnknownActor, "did you mean 'echo'?"),
        ("echo", "ecko", "x", UnknownAction, "did you mean 'echo'?"),
        ("count", "add", "many", HandlerError, "expected an integer"),
        ("echo", "fail", "on purpose", HandlerError, "on purpose"),
    ],
)
async def test_a_routed_call_fails_in_the_same_words(
    trio: Trio, actor: str, action: str, argument: str, error: type[CallError], hint: str
) -> None:
    async with Client(trio.b.grpc) as client:
        with pytest.raises(error, match=re.escape(hint)) as failed:
            await client.invoke("test", actor, action, argument)

    assert NOT_APPLIED == failed.value.outcome


async def test_a_missing_key_names_the_nearest(trio: Trio) -> None:
    update = ("state", "update", "test/apples", "increment", "--type", "PNCounter")
    assert 0 == (await crdtmesh(*update, endpoint=trio.a.grpc)).code

    ran = await crdtmesh("state", "get", "test/aples", endpoint=trio.a.grpc)

    assert 1 == ran.code
    assert "did you mean 'apples'?" in ran.err


async def test_a_handler_that_fails_leaves_nothing_of_its_turn(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client:
        before = await client.invoke("test", "count", "value")
        ran = await crdtmesh("invoke", "test/count", "add_and_fail", "7", endpoint=trio.a.grpc)

        assert before == await client.invoke("test", "count", "value")
    assert "outcome: not_applied" in ran.err


@pytest.mark.parametrize("with_host", [True, False], ids=["hosted", "routed"])
async def test_a_timeout_is_unknown(trio: Trio, with_host: bool) -> None:
    async with Client((trio.a if with_host else trio.b).grpc) as client:
        with pytest.raises(CallTimeout) as failed:
            await client.invoke("test", "echo", "wait", 5, timeout=0.3)

    assert "unknown" == failed.value.outcome


async def test_no_node_at_the_address_is_said_before_the_deadline(trio: Trio) -> None:
    ran = await crdtmesh("status", "--endpoint", "127.0.0.1:1", "--timeout", "1", "--format", "json")

    assert ("not_connected", NOT_APPLIED) == (ran.error()["code"], ran.error()["outcome"])


# --- what goes right


async def test_a_negative_number_is_an_argument_not_an_option(trio: Trio) -> None:
    ran = await crdtmesh("invoke", "test/price", "set", "-5", endpoint=trio.a.grpc)

    assert (0, "-5\n") == (ran.code, ran.out)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("members",), {"members"}),
        (("status",), {"name", "state", "start_id", "listeners", "peers", "systems", "warnings", "counters"}),
        (("actors", "list", "test"), {"actors"}),
        (("invoke", "test/echo", "echo", '"x"'), {"answer"}),
        (("invoke", "test/echo", "echo", '"x"', "--async"), {"queued"}),
        (("state", "update", "test/form", "add", '"milk"', "--type", "ORSet"), {"changed", "value"}),
        (("state", "get", "test/form"), {"system", "key", "type", "value"}),
        (("state", "list", "test/"), {"entries"}),
        (("config", "show"), {"name", "cluster", "data_dir"}),
    ],
)
async def test_every_command_speaks_json_and_text(trio: Trio, arguments: tuple[str, ...], keys: set[str]) -> None:
    if arguments[:2] == ("state", "get"):
        update = ("state", "update", "test/form", "add", '"milk"', "--type", "ORSet")
        assert 0 == (await crdtmesh(*update, endpoint=trio.b.grpc)).code
    endpoint = "" if arguments[0] == "config" else trio.b.grpc

    text, ran = await asyncio.gather(
        crdtmesh(*arguments, endpoint=endpoint), crdtmesh(*arguments, "--format", "json", endpoint=endpoint)
    )

    assert keys <= ran.json().keys()
    assert 0 == text.code
    assert text.out.strip()
    assert not text.out.startswith("{")


async def test_a_node_without_a_host_routes_calls_to_one_that_has_it(trio: Trio) -> None:
    async with Client(trio.b.grpc) as client:
        assert "hello" == await client.invoke("test", "echo", "echo", "hello")
        after = await client.invoke("test", "count", "add", 3)

    async def arrived() -> bool:
        return bool(await value(trio.b, "count") == after)

    assert await eventually(arrived)


async def test_stream_and_unary_calls_give_the_same_answers(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client, grpc.aio.insecure_channel(trio.a.grpc) as channel:
        streamed = await client.invoke("test", "echo", "echo", "both ways")
        response = await actors_pb2_grpc.ActorsStub(channel).Invoke(_request("echo", "echo", "both ways"))
        refused = await actors_pb2_grpc.ActorsStub(channel).Invoke(_request("ecko", "echo", "x"))

    assert streamed == payloads.decode(response.value.type_url, response.value.value)
    assert protocol_pb2.OK == response.status.status
    assert protocol_pb2.ACTOR_NOT_FOUND == refused.status.status


async def test_concurrent_clients_on_all_nodes_end_at_the_exact_sum(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client:
        before = await client.invoke("test", "count", "value")

    async def add(address: str, times: int) -> None:
        async with Client(address) as client:
            await asyncio.gather(*(client.invoke("test", "count", "add", 1) for _ in range(times)))

    await asyncio.gather(*(add(node.grpc, 200) for node in trio.all for _ in range(2)))

    async def exact() -> bool:
        return [before + 1_200] * 3 == [await value(node, "count") for node in trio.all]

    assert await eventually(exact)

    async def equal() -> bool:
        return len(await digests(trio.all)) == 1

    assert await eventually(equal)


# --- doors


async def test_the_unix_socket_serves_its_owner_only(trio: Trio) -> None:
    path = Path(trio.a.socket)
    async with Client(f"unix:{path}") as client:
        assert "x" == await client.invoke("test", "echo", "echo", "x")
    ran = await crdtmesh("status", "--format", "json", endpoint=f"unix:{path}")

    assert "a" == ran.json()["name"]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


async def test_health_says_serving_for_each_service(trio: Trio) -> None:
    async with grpc.aio.insecure_channel(trio.a.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answers = {
            name: (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in ("", *SERVICES)
        }

    assert {health_pb2.HealthCheckResponse.SERVING} == set(answers.values())


async def test_reflection_names_the_services_and_gives_their_descriptors(trio: Trio) -> None:
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="crdtmesh.v1.State"),
    ]
    async with grpc.aio.insecure_channel(trio.a.grpc) as channel:
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(asked))
        names, files = [answer async for answer in stream]

    assert {service.name for service in names.list_services_response.service} >= SERVICES
    descriptors = [
        FileDescriptorProto.FromString(data) for data in files.file_descriptor_response.file_descriptor_proto
    ]
    assert "crdtmesh/v1/state.proto" in {descriptor.name for descriptor in descriptors}


def _request(actor: str, action: str, argument: str) -> protocol_pb2.InvocationRequest:
    type_url, data = payloads.encode(argument)
    request = protocol_pb2.InvocationRequest(
        system=actor_pb2.ActorSystem(name="test"),
        actor=actor_pb2.Actor(id=actor_pb2.ActorId(name=actor, system="test")),
        action_name=action,
    )
    request.value.type_url, request.value.value = type_url, data
    return request
