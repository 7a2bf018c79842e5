"""Link managers over TLS on loopback: who gets a link, who does not, and who is told why."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from crdtmesh.identity.authority import Authority, new_request
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.names import Name, Role
from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import Channel
from crdtmesh.links.options import Identity, LinkOptions
from crdtmesh.links.session import Session
from crdtmesh.links.tls import TlsLinks
from tests.contract.test_links_tcp import PATIENCE_S, Node, eventually, hostile_streams, running

NOW = dt.datetime.now(dt.UTC)


class Office:
    """An authority and the files of those it signed for."""

    def __init__(self, folder: Path, *, cluster: str = "c") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.cluster = cluster
        self.authority = Authority.new(cluster, now=NOW)
        self.trusted = folder / "authority.pem"
        self.trusted.write_bytes(self.authority.certificate)

    def file(
        self, name: str, *, role: Role = "node", cluster: str = "", now: dt.datetime = NOW, days: int = 10
    ) -> Path:
        request = new_request(name)
        holder = Name(cluster or self.cluster, role, name)
        path = self.folder / f"{name}.pem"
        path.write_bytes(request.bundle(self.authority.sign(request.signing_request, holder, now=now, days=days)))
        return path

    def security(self, name: str) -> TlsLinks:
        return TlsLinks(Name(self.cluster, "node", name), authority=self.trusted, certificate=self.file(name))


class Impostor(TlsLinks):
    """Shows a certificate that is not its own, or none that names a node."""

    def _check_own(self, accepting: ssl.SSLContext, dialling: ssl.SSLContext) -> None:
        """Not this one."""


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "office")


async def test_two_nodes_of_one_authority_link_and_messages_arrive_in_order(office: Office) -> None:
    a, b = (Node(name, security=office.security(name)) for name in ("a", "b"))
    async with running(a, b):
        a.knows(a, b)
        b.knows(a, b)
        await a.linked()
        await b.linked()
        expected = [b"%0500d" % number for number in range(5_000)]
        for node, other in ((a, "b"), (b, "a")):
            for payload in expected:
                assert node.manager.send(other, Channel.REPLICATION, payload)
        for node in (a, b):
            await node.until(lambda node=node: len(node.messages) == 5_000)  # type: ignore[misc]
            assert expected == node.payloads(Channel.REPLICATION)
        large = bytes(5 << 20)
        assert a.manager.send("b", Channel.REPLICATION, large)
        await b.until(lambda: b.messages[-1][2] == large)


async def test_plain_bytes_never_cross_between_nodes(office: Office) -> None:
    seen = bytearray()
    a, b = (Node(name, security=office.security(name)) for name in ("a", "b"))
    async with running(a, b), asyncio.timeout(PATIENCE_S):

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65_536):
                seen.extend(data)
                writer.write(data)
            writer.close()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_connection(b.address.host, b.address.port)
            await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        a.manager.set_peers({"b": type(b.address)("127.0.0.1", port, b.address.start_id)})
        b.manager.set_peers({"a": type(a.address)("127.0.0.1", 1, a.address.start_id)})
        await a.linked()
        assert a.manager.send("b", Channel.REPLICATION, b"the secret of the cellar")
        await b.until(lambda: bool(b.messages))
        assert b.messages[0][2] == b"the secret of the cellar"
        await a.manager.aclose()
        server.close()
    assert len(seen) > 1_000
    for word in (b"the secret", b"crdtmesh-link", b"spiffe"):
        assert word not in seen


Refused = Callable[[Office, Path], "TlsLinks | None"]


def _impostor(office: Office, name: str, file: Path) -> TlsLinks:
    return Impostor(Name("c", "node", name), authority=office.trusted, certificate=file)


REFUSED: dict[str, tuple[Refused, str]] = {
    "another authority": (lambda office, other: _impostor(office, "b", Office(other).file("b")), "authority expected"),
    "another name": (lambda office, _: _impostor(office, "b", office.file("z")), "certificate of node 'b' expected"),
    "another cluster": (
        lambda office, _: _impostor(office, "b", office.file("b", cluster="d")),
        "node of cluster 'c' expected, got spiffe://d/node/b",
    ),
    "a client": (
        lambda office, _: _impostor(office, "b", office.file("b", role="operator")),
        "unsuitable certificate purpose|node of cluster 'c' expected",
    ),
    "expired": (
        lambda office, _: _impostor(office, "b", office.file("b", now=NOW - dt.timedelta(days=20))),
        "expired",
    ),
    "not yet": (
        lambda office, _: _impostor(office, "b", office.file("b", now=NOW + dt.timedelta(days=2))),
        "not yet valid",
    ),
    "no certificate": (lambda *_: None, "TLS 1.3 expected|connection closed|went away"),
}


@pytest.mark.parametrize("dials", [True, False])
@pytest.mark.parametrize("case", REFUSED)
async def test_who_is_no_node_of_the_cluster_gets_no_link_and_only_the_judge_knows_why(
    office: Office, tmp_path: Path, case: str, dials: bool, caplog: pytest.LogCaptureFixture
) -> None:
    make, words = REFUSED[case]
    judge = Node("a", security=office.security("a"))
    judged = Node("b", security=make(office, tmp_path / "other"))
    caplog.set_level(logging.DEBUG, logger="crdtmesh.links")
    async with running(judge, judged):
        # Only one side dials, so that both directions are tried one by one.
        (judged if dials else judge).knows(judge, judged)
        (judge if dials else judged).manager.set_peers({})
        if dials:
            judge.manager.set_peers({"b": type(judged.address)("127.0.0.1", 1, judged.address.start_id)})
        await eventually(lambda: judge.rejected(CloseReason.IDENTITY_UNPROVEN) >= 1)
        await eventually(lambda: sum(judged.manager.counters.closed.values()) >= 1)
        assert [] == judge.ups == judged.ups
        assert 0 == judged.rejected(CloseReason.IDENTITY_UNPROVEN) or case == "no certificate"
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert told
    texts = [str(record.__dict__) for record in told]
    assert any(re.search(words, text) for text in texts), texts


@pytest.mark.parametrize("number", range(len(hostile_streams())))
async def test_plain_text_of_a_stranger_is_cut_and_the_links_that_are_stay(office: Office, number: int) -> None:
    a, b = (Node(name, security=office.security(name)) for name in ("a", "b"))
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        await a.linked()
        await b.linked()
        reader, writer = await asyncio.open_connection(a.address.host, a.address.port)
        writer.write(hostile_streams()[number])
        answer = b""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while data := await reader.read(65_536):
                    answer += data
        except ConnectionResetError:
            pass
        writer.close()
        assert b"" == answer
        assert a.manager.send("b", Channel.CONTROL, b"still here")
        await b.until(lambda: bool(b.messages))


async def test_strangers_who_never_finish_their_handshake_are_bounded(office: Office) -> None:
    a = Node("a", security=office.security("a"), connections_pending_max=4)
    async with running(a):
        open_ones = [await asyncio.open_connection(a.address.host, a.address.port) for _ in range(12)]
        await eventually(lambda: a.manager.counters.connections_dropped >= 8)
        assert 4 >= len(a.manager._pending)
        for _, writer in open_ones:
            writer.close()


async def test_an_older_tls_is_refused(office: Office) -> None:
    a = Node("a", security=office.security("a"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(office.trusted)
    context.load_cert_chain(office.file("b"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with running(a), asyncio.timeout(PATIENCE_S):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(a.address.host, a.address.port, ssl=context)
        await eventually(lambda: a.rejected(CloseReason.IDENTITY_UNPROVEN) == 1)


async def test_a_renewed_certificate_is_used_without_a_restart_and_links_stay(office: Office) -> None:
    security = office.security("a")
    a, b = Node("a", security=security), Node("b", security=office.security("b"))
    async with running(a, b):
        a.knows(a, b)
        b.knows(a, b)
        await a.linked()
        await b.linked()
        old = security._contexts
        office.file("a")
        security.reload()
        assert old is not security._contexts
        assert a.manager.send("b", Channel.CONTROL, b"x")
        await b.until(lambda: bool(b.messages))
        c = Node("c", security=office.security("c"))
        async with running(c):
            a.knows(b, c)
            c.knows(a)
            await c.linked()
        assert 1 == len(b.ups)


async def test_an_authority_is_replaced_by_believing_two_for_a_while(office: Office, tmp_path: Path) -> None:
    new = Office(tmp_path / "new")
    both = office.authority.certificate + new.authority.certificate
    office.trusted.write_bytes(both)
    new.trusted.write_bytes(both)
    a, b = Node("a", security=office.security("a")), Node("b", security=new.security("b"))
    async with running(a, b):
        a.knows(a, b)
        b.knows(a, b)
        await a.linked()
        await b.linked()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda office: office.file("z").rename(office.folder / "a.pem"), "got spiffe://c/node/z"),
        (lambda office: office.file("a", role="reader"), "purpose"),
        (lambda office: office.file("a", now=NOW - dt.timedelta(days=20)), "expired"),
        (lambda office: (office.folder / "a.pem").write_bytes(b""), "can't be used"),
        (lambda office: (office.folder / "a.pem").unlink(), "can't be used"),
        (lambda office: office.trusted.write_bytes(Authority.new("c", now=NOW).certificate), "not one that peers"),
    ],
)
def test_files_that_no_peer_would_believe_are_refused_and_a_reload_keeps_the_old_ones(
    office: Office, spoil: Callable[[Office], object], words: str
) -> None:
    security = office.security("a")
    before = security._contexts
    spoil(office)
    with pytest.raises(IdentityError, match=words):
        security.reload()

    assert before is security._contexts


def test_an_idle_channel_holds_no_buffers_of_its_own(office: Office) -> None:
    session = Session(LinkOptions(), Identity(cluster="c", node="a", start_id=b"a"), dials=True, now_ns=0)
    channel = office.security("a").channel(dials=True)

    assert channel.take_outgoing()
    assert b"" == channel.take_outgoing()
    assert session.take_outgoing()
