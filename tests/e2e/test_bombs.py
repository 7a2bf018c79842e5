"""Messages that are small on the wire and large or deep inside, at the endpoints of a real node."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2

from crdtmesh.edge.server import MESSAGE_SIZE_BYTES_MAX
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2_grpc, state_pb2, state_pb2_grpc
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes, hosted
from tests.e2e.watch import status

# What a node may grow by while it refuses: the largest message twice, and what the allocator keeps.
GROWTH_BYTES_MAX = 5 * MESSAGE_SIZE_BYTES_MAX


def _resident_bytes(pid: int) -> int:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def test_a_compressed_message_is_no_way_around_the_limit(nodes: Nodes) -> None:
    node = await nodes.start("a")
    before = _resident_bytes(node.pid)
    key = state_pb2.StateKey(system="shop", key="list", type="ORSet")
    request = state_pb2.UpdateStateRequest(key=key, operation_id=bytes(256 << 20).decode())
    async with grpc.aio.insecure_channel(
        node.grpc, compression=grpc.Compression.Gzip, options=[("grpc.max_send_message_length", -1)]
    ) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await state_pb2_grpc.StateStub(channel).Update(request)
    assert refused.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)

    assert _resident_bytes(node.pid) - before < GROWTH_BYTES_MAX
    assert "ready" == (await status(node)).state


async def test_an_any_nested_ten_thousand_deep_is_carried_unread(nodes: Nodes) -> None:
    node = await nodes.start("a", actors=True)
    assert await eventually(lambda: hosted([node]))
    url = "type.googleapis.com/google.protobuf.Any"
    data = b""
    for _ in range(10_000):
        data = any_pb2.Any(type_url=url, value=data).SerializeToString()
    request = protocol_pb2.InvocationRequest(action_name="echo", value=any_pb2.Any(type_url=url, value=data))
    request.system.name = "test"
    request.actor.id.name = "echo"
    async with grpc.aio.insecure_channel(node.grpc) as channel:
        response = await actors_pb2_grpc.ActorsStub(channel).Invoke(request)

    # The actor expects a text: its host says so, and everybody lives.
    assert protocol_pb2.OK != response.status.status or response.value.value
    after = await status(node)
    assert ("ready", 1) == (after.state, after.hosts)
