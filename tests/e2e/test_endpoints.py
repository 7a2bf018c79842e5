"""Endpoints beyond loopback: TLS, tokens, certificates, roles and policies, with real nodes.

The address that stands for beyond is one of this machine's own: 0.0.0.0 reaches loopback, and counts as exposed.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path

import pytest

from crdtmesh.local_node import LocalNode
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from tests.e2e.cli import Ran, crdtmesh, eventually
from tests.e2e.conftest import Nodes, hosted
from tests.e2e.watch import status


class Guarded:
    """One node with TLS on its endpoints, and clients with what they show."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.folder = nodes.folder / "identity"
        self.node: LocalNode

    async def admin(self, *arguments: str) -> Ran:
        ran = await crdtmesh(
            *arguments, "--identity-dir", str(self.folder), "--cluster", self.nodes.cluster, "--format", "json"
        )
        assert 0 == ran.code, ran.err
        return ran

    async def start(self, *arguments: str) -> None:
        await self.admin("certs", "init")
        await self.admin("certs", "issue", "a")
        self.node = await self.nodes.start(
            "a", "--identity-dir", str(self.folder), "--api-bind", "0.0.0.0", *arguments, actors=True
        )

    @property
    def endpoint(self) -> str:
        return f"tls:127.0.0.1:{self.node.grpc.rpartition(':')[2]}"

    async def client(self, *arguments: str, token: str = "", certificate: Path | None = None) -> Ran:
        """A command of somebody who knows the authority, and shows what is given."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CRDTMESH_")}
        environment |= {"CRDTMESH_ENDPOINT": self.endpoint, "CRDTMESH_AUTHORITY": str(self.folder / "authority.pem")}
        if token:
            environment["CRDTMESH_TOKEN"] = token
        if certificate is not None:
            environment["CRDTMESH_CLIENT_CERTIFICATE"] = str(certificate)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "crdtmesh.cli", *arguments, "--format", "json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    async def http(self, path: str, *, token: str = "", plain: bool = False) -> str:
        """The status line of a GET."""
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        port = int(self.node.http.rpartition(":")[2])
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=None if plain else context,
            server_hostname=None if plain else "node.crdtmesh.internal",
        )
        header = f"Authorization: Bearer {token}\r\n" if token else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}Connection: close\r\n\r\n".encode())
        line = (await reader.readline()).decode().strip()
        writer.close()
        return line


@pytest.fixture
def guarded(nodes: Nodes) -> Guarded:
    return Guarded(nodes)


async def test_beyond_loopback_endpoints_need_a_certificate(tmp_path: Path) -> None:
    ran = await crdtmesh(
        *("up", "--name", "a", "--api-bind", "0.0.0.0", "--data-dir", str(tmp_path / "a"), "--discovery", "none"),
        *("--identity-dir", str(tmp_path / "identity")),
    )

    assert 2 == ran.code
    assert "certs init" in ran.err
    assert "tokens issue" in ran.err


async def test_a_token_lets_in_and_its_role_decides(guarded: Guarded) -> None:
    await guarded.start()
    node = guarded.node
    tokens = {
        role: (await guarded.admin("tokens", "issue", f"the-{role}", "--role", role)).json()["token"]
        for role in ("reader", "client")
    }

    async def known() -> bool:
        return 0 == (await guarded.client("status", token=tokens["reader"])).code

    assert await eventually(known)  # the node reads the tokens by itself
    for token in ("", "crdtmesh-token-1.x"):
        refused = await guarded.client("status", token=token)
        assert "forbidden" == refused.error()["code"], refused.err
    update = ("state", "update", "shop/list", "add", '"milk"', "--type", "ORSet")
    assert "forbidden" == (await guarded.client(*update, token=tokens["reader"])).error()["code"]
    assert 0 == (await guarded.client(*update, token=tokens["client"])).code
    assert "forbidden" == (await guarded.client("leave", token=tokens["client"])).error()["code"]

    assert "HTTP/1.1 401 Unauthorized" == await guarded.http("/metrics")
    assert "HTTP/1.1 200 OK" == await guarded.http("/metrics", token=tokens["reader"])
    assert "HTTP/1.1 200 OK" == await guarded.http("/health/live")
    assert "HTTP/1.1 200 OK" != await guarded.http("/health/live", plain=True)

    # Nothing on this machine's own socket has changed: its host connected, and status needs nothing.
    local = (await crdtmesh("status", "--format", "json", endpoint=f"unix:{node.socket}")).json()
    assert 1 == local["hosts"]
    assert 1 <= local["counters"]["access.refused.unauthenticated"]
    assert 1 <= local["counters"]["access.refused.role"]
    assert "access.refused" in node.log_path.read_text()

    await guarded.admin("tokens", "revoke", "the-reader")

    async def revoked() -> bool:
        return 0 != (await guarded.client("status", token=tokens["reader"])).code

    assert await eventually(revoked)


async def test_a_client_certificate_lets_in_and_one_of_another_authority_does_not(
    guarded: Guarded, tmp_path: Path
) -> None:
    await guarded.start("--api-auth", "certificate")
    alice = Path((await guarded.admin("certs", "issue", "alice", "--role", "operator")).json()["certificate"])
    other = Guarded(Nodes(tmp_path / "other"))
    other.nodes.cluster = guarded.nodes.cluster
    await other.admin("certs", "init")
    thief = Path((await other.admin("certs", "issue", "alice", "--role", "operator")).json()["certificate"])

    assert 0 == (await guarded.client("status", certificate=alice)).code
    for certificate in (None, thief, guarded.folder / "nodes" / "a.pem"):
        assert 0 != (await guarded.client("status", "--timeout", "3", certificate=certificate)).code


async def test_plain_text_gets_nothing(guarded: Guarded) -> None:
    await guarded.start()
    plain = await crdtmesh("status", "--timeout", "3", endpoint=guarded.endpoint.removeprefix("tls:"))

    assert 1 == plain.code


async def test_policies_limit_calls_and_are_read_again(nodes: Nodes) -> None:
    folder = nodes.folder / "identity" / "policies"
    folder.mkdir(parents=True)
    (folder / "one.policy").write_text("type: deny\nactions: e*\n")
    node = await nodes.start("a", "--identity-dir", str(folder.parent), actors=True)
    assert await eventually(lambda: hosted([node]))
    call = ("invoke", "test/echo", "echo", '"milk"', "--format", "json")

    refused = (await crdtmesh(*call, endpoint=node.grpc)).error()
    assert ("forbidden", "not_applied") == (refused["code"], refused["outcome"])
    assert 1 == (await status(node)).counters["access.refused.policy"]
    # Through Spawn's HTTP the same call is forbidden as Spawn means it.
    request = protocol_pb2.InvocationRequest(action_name="echo")
    request.system.name, request.actor.id.name = "test", "echo"
    body = request.SerializeToString()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(node.http.rpartition(":")[2]))
    writer.write(
        b"POST /api/v1/system/test/actors/echo/invoke HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    assert b"HTTP/1.1 403 Forbidden" == (await reader.readline()).strip()
    writer.close()

    (folder / "one.policy").write_text("type: deny\nactions: remove\n")

    async def let() -> bool:
        return 0 == (await crdtmesh(*call, endpoint=node.grpc)).code

    assert await eventually(let)
    (folder / "one.policy").write_text("type: maybe\n")
    await asyncio.sleep(3)
    assert await let()  # a policy that is none changes nothing
    assert "identity.not_reloaded" in node.log_path.read_text()
    assert json.loads((await crdtmesh("status", "--format", "json", endpoint=node.grpc)).out)["state"] == "ready"
