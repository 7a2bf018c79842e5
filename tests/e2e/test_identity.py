"""Nodes with certificates and keys: who joins, who does not, and what changes while they run."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from pathlib import Path

import pytest

from crdtmesh.errors import StartError
from crdtmesh.local_node import LocalNode
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked
from tests.e2e.watch import status


class Identities:
    """Folders of identities of one test."""

    def __init__(self, nodes: Nodes, folder: Path) -> None:
        self.nodes = nodes
        self.folder = folder

    def path(self, of: str) -> Path:
        return self.folder / f"identity-{of}"

    async def run(self, of: str, *arguments: str, cluster: str = "") -> None:
        ran = await crdtmesh(
            *arguments, "--identity-dir", str(self.path(of)), "--cluster", cluster or self.nodes.cluster
        )
        assert 0 == ran.code, ran.err

    async def authority(self, of: str, *names: str, cluster: str = "") -> None:
        await self.run(of, "certs", "init", cluster=cluster)
        for name in names:
            await self.run(of, "certs", "issue", name, cluster=cluster)

    def flags(self, of: str) -> tuple[str, ...]:
        return ("--identity-dir", str(self.path(of)))


@pytest.fixture
async def identities(nodes: Nodes, tmp_path: Path) -> Identities:
    return Identities(nodes, tmp_path)


async def test_beyond_loopback_a_node_without_identity_is_refused_with_two_commands(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    ran = await crdtmesh(
        *("up", "--name", "kitchen", "--bind", "0.0.0.0", "--data-dir", str(tmp_path / "a"), "--discovery", "none"),
        *("--identity-dir", str(folder)),
    )

    assert 2 == ran.code
    commands = re.findall(r"^  crdtmesh (.*)$", ran.err, re.MULTILINE)
    assert [f"certs init --identity-dir {folder}", f"certs issue kitchen --identity-dir {folder}"] == commands
    assert "--insecure" in ran.err
    assert not (tmp_path / "a").exists()


async def test_nodes_of_one_authority_link_by_tls_and_state_crosses(nodes: Nodes, identities: Identities) -> None:
    await identities.authority("c", "a", "b")
    a = await nodes.start("a", *identities.flags("c"), actors=True)
    b = await nodes.start("b", *identities.flags("c"), join=a)

    assert await eventually(lambda: linked([a, b]))
    for node in (a, b):
        security = (await status(node)).security
        assert security.are_links_encrypted
        assert security.is_gossip_encrypted
        assert f"spiffe://{nodes.cluster}/node/{node.name}" == security.certificate
    shown = (await crdtmesh("status", endpoint=a.grpc)).out
    assert "links TLS 1.3, gossip sealed" in shown
    added = await crdtmesh("state", "update", "shop/list", "add", '"milk"', "--type", "ORSet", endpoint=a.grpc)
    assert 0 == added.code, added.err

    async def arrived() -> bool:
        return "milk" in (await crdtmesh("state", "get", "shop/list", endpoint=b.grpc)).out

    assert await eventually(arrived)


async def _stays_out(insider: LocalNode, outsider: LocalNode) -> None:
    for _ in range(20):
        for node in (insider, outsider):
            assert [] == [peer.name for peer in (await status(node)).peers if peer.is_linked]
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("wrong", ["authority", "gossip key", "secret", "no identity"])
async def test_a_node_with_something_wrong_never_joins(nodes: Nodes, identities: Identities, wrong: str) -> None:
    await identities.authority("good", "a", "b")
    await identities.authority("other", "b")
    shutil.copytree(identities.path("good"), identities.path("bad"))
    if wrong == "authority":
        for file in ("authority.pem", "nodes/b.pem"):
            shutil.copy2(identities.path("other") / file, identities.path("bad") / file)
    elif wrong == "gossip key":
        shutil.copy2(identities.path("other") / "gossip.keys", identities.path("bad") / "gossip.keys")
    elif wrong == "secret":
        shutil.copy2(identities.path("other") / "cluster.secret", identities.path("bad") / "cluster.secret")
    else:
        shutil.rmtree(identities.path("bad"))
    a = await nodes.start("a", *identities.flags("good"))
    b = await nodes.start("b", *identities.flags("bad"), join=a)

    await _stays_out(a, b)
    if wrong == "authority":
        assert "certificate of this cluster's authority expected" in a.log_path.read_text() + b.log_path.read_text()
    if wrong in ("gossip key", "no identity"):
        counters = (await status(a)).counters
        assert 1 <= sum(count for name, count in counters.items() if name.startswith("gossip.rejected."))


async def test_a_certificate_of_another_node_or_cluster_starts_no_node(nodes: Nodes, identities: Identities) -> None:
    await identities.authority("c", "a")
    certificate = str(identities.path("c") / "nodes" / "a.pem")

    with pytest.raises(StartError, match="certificate of spiffe"):
        await nodes.start("b", *identities.flags("c"), "--certificate", certificate)


async def test_certificates_and_keys_are_renewed_while_nodes_run_and_links_stay(
    nodes: Nodes, identities: Identities
) -> None:
    await identities.authority("c", "a", "b")
    await identities.run("c", "certs", "issue", "a", "--renew", "--days", "5")
    a = await nodes.start("a", *identities.flags("c"))
    b = await nodes.start("b", *identities.flags("c"), join=a)
    assert await eventually(lambda: linked([a, b]))
    before = await status(a)
    assert any("certs issue a --renew" in warning for warning in before.warnings)

    await identities.run("c", "certs", "issue", "a", "--renew")
    for step in ("add", "use", "remove"):
        await identities.run("c", "keys", "rotate", step)
        for node in (a, b):
            node.signal(signal.SIGHUP)

    async def renewed() -> bool:
        return not (await status(a)).warnings

    assert await eventually(renewed)
    after = await status(a)
    assert before.security.certificate_ends_s < after.security.certificate_ends_s
    await identities.run("c", "certs", "issue", "c")
    c = await nodes.start("c", *identities.flags("c"), join=a)
    assert await eventually(lambda: linked([a, b, c]))
    assert 0 == sum(count for name, count in (await status(b)).counters.items() if name == "link.closed.lost")


async def test_a_node_is_shut_out_by_replacing_the_authority_and_the_others_stay_linked(
    nodes: Nodes, identities: Identities
) -> None:
    await identities.authority("old", "a", "b", "c")
    for name in ("a", "b", "c"):
        shutil.copytree(identities.path("old"), identities.path(name))
    a = await nodes.start("a", *identities.flags("a"))
    b, c = [await nodes.start(name, *identities.flags(name), join=a) for name in ("b", "c")]
    assert await eventually(lambda: linked([a, b, c]))

    await identities.authority("new", "a", "b")
    for name in ("a", "b"):
        for file in (f"nodes/{name}.pem", "authority.pem"):
            shutil.copy2(identities.path("new") / file, identities.path(name) / f"{file}.new")
        for file in (f"nodes/{name}.pem", "authority.pem"):
            (identities.path(name) / f"{file}.new").rename(identities.path(name) / file)

    async def only_each_other() -> bool:
        found = [{peer.name for peer in (await status(node)).peers if peer.is_linked} for node in (a, b, c)]
        return found == [{"b"}, {"a"}, set()]

    assert await eventually(only_each_other)
    await asyncio.sleep(1)
    assert await only_each_other()
