"""Invitations redeemed over real TLS: what comes back, and who is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from crdtmesh.identity import joining
from crdtmesh.identity.authority import Authority, fingerprint, new_request
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import IdentityFolder, write_secret
from crdtmesh.identity.invitations import TRIES_MAX, InvitationBook, Token
from crdtmesh.identity.joining import CONNECTIONS_MAX, FAILURES_MAX, JoinServer, note_issued, redeem
from crdtmesh.identity.names import Name
from crdtmesh.links.tls import TlsLinks

NOW = dt.datetime.now(dt.UTC)


class Host:
    """A machine with an authority, and its server."""

    def __init__(self, path: Path, *, cluster: str = "home") -> None:
        self.folder = IdentityFolder(path)
        self.cluster = cluster
        self.members: set[str] = {"kitchen"}
        authority = Authority.new(cluster, now=NOW)
        name, request = Name(cluster, "node", "kitchen"), new_request("kitchen")
        certificate = authority.sign(request.signing_request, name, now=NOW)
        for file, data in (
            (self.folder.authority, authority.certificate),
            (self.folder.authority_key, authority.key),
            (self.folder.gossip_keys, b"keys"),
            (self.folder.cluster_secret, b"secret"),
            (self.folder.certificate("kitchen"), request.bundle(certificate)),
        ):
            write_secret(file, data)
        note_issued(self.folder, name, certificate)
        self.server = JoinServer(
            self.folder,
            certificate=self.folder.certificate("kitchen"),
            certificate_key=None,
            cluster=cluster,
            gossip="192.0.2.1:7946",
            is_member=self.members.__contains__,
        )
        self.port = 0

    def invite(self, *, uses: int = 1, name: str = "", seconds: int = 60) -> Token:
        number, secret, now_s = secrets.token_bytes(8), secrets.token_bytes(16), time.time()
        end_s = int(now_s) + seconds
        InvitationBook(self.folder.invitations).add(
            number=number, secret=secret, uses=uses, expires_s=end_s, name=name, now_s=now_s
        )
        return Token(
            address=f"127.0.0.1:{self.port}",
            fingerprint=fingerprint(self.folder.authority.read_bytes()),
            cluster=self.cluster,
            id=number.hex(),
            secret=secret.hex(),
            expires_s=end_s,
        )


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path / "kitchen")
    made.port = await made.server.start("127.0.0.1", 0)
    yield made
    await made.server.aclose()


async def test_a_new_machine_gets_a_certificate_that_links_and_all_keys(host: Host, tmp_path: Path) -> None:
    request = new_request("hall")
    granted = await redeem(host.invite(), "hall", request)

    assert (b"keys", b"secret", "home") == (granted.gossip_keys, granted.cluster_secret, granted.cluster)
    assert ("192.0.2.1:7946", "127.0.0.1") == (granted.gossip, granted.local_host)
    (tmp_path / "hall.pem").write_bytes(request.bundle(granted.certificate))
    (tmp_path / "authority.pem").write_bytes(granted.authority)
    TlsLinks(Name("home", "node", "hall"), authority=tmp_path / "authority.pem", certificate=tmp_path / "hall.pem")
    assert "spiffe://home/node/hall" in host.folder.issued.read_text()
    assert {"invitation.redeemed": 1, "invitation.refused": 0} == host.server.counters()


async def test_a_token_is_good_once_and_the_reason_is_only_in_the_servers_log(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    token = host.invite()
    host.invite()  # so that the port still answers
    await redeem(token, "hall", new_request("hall"))
    with pytest.raises(IdentityError) as refused:
        await redeem(token, "attic", new_request("attic"))

    assert "its log says why" in str(refused.value)
    assert any("ended" in str(record.__dict__) for record in caplog.records if record.levelno == logging.WARNING)


async def test_many_at_once_get_one(host: Host) -> None:
    token = host.invite()
    host.invite()
    names = [f"n{number}" for number in range(CONNECTIONS_MAX - 1)]
    answers = await asyncio.gather(*(redeem(token, name, new_request(name)) for name in names), return_exceptions=True)

    assert 1 == len([answer for answer in answers if not isinstance(answer, BaseException)])


async def test_without_an_open_invitation_the_port_says_nothing(host: Host) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    assert b"" == await reader.read()
    writer.close()

    token = host.invite(seconds=60)
    await redeem(token, "hall", new_request("hall"))
    with pytest.raises(IdentityError, match="does not answer"):
        await redeem(token, "attic", new_request("attic"))


async def test_guessing_ends_the_invitation(host: Host) -> None:
    token = host.invite()
    host.invite()
    for _ in range(TRIES_MAX):
        with pytest.raises(IdentityError, match="refuses"):
            await redeem(replace(token, secret="ff" * 16), "hall", new_request("hall"))
    with pytest.raises(IdentityError, match="refuses"):
        await redeem(token, "hall", new_request("hall"))
    assert TRIES_MAX + 1 == host.server.refused


async def test_who_is_wrong_too_often_is_no_longer_served(host: Host) -> None:
    host.invite()
    token = replace(host.invite(), id="ff" * 8)
    for _ in range(FAILURES_MAX):
        with pytest.raises(IdentityError, match="refuses"):
            await redeem(token, "hall", new_request("hall"))
    with pytest.raises(IdentityError, match="does not answer"):
        await redeem(token, "hall", new_request("hall"))


@pytest.mark.parametrize("name", ["kitchen", "member"])
async def test_nobody_becomes_a_node_that_is_there_already(host: Host, name: str) -> None:
    host.members.add("member")
    token = host.invite()
    with pytest.raises(IdentityError, match="taken"):
        await redeem(token, name, new_request(name))
    await redeem(host.invite(name=name), name, new_request(name))


@pytest.mark.parametrize("name", ["../x", "", "a/b", "x" * 129])
async def test_a_name_that_is_none_is_refused(host: Host, name: str) -> None:
    with pytest.raises(IdentityError, match="refuses"):
        await redeem(host.invite(), name, new_request("x"))


async def test_the_secret_is_not_told_to_a_server_of_another_authority(host: Host, tmp_path: Path) -> None:
    thief = Host(tmp_path / "thief")
    thief.port = await thief.server.start("127.0.0.1", 0)
    thief.invite()
    try:
        token = replace(host.invite(), address=f"127.0.0.1:{thief.port}")
        with pytest.raises(IdentityError, match="not of the authority"):
            await redeem(token, "hall", new_request("hall"))
    finally:
        await thief.server.aclose()
    assert 0 == thief.server.redeemed


async def test_a_server_that_shows_the_right_authority_with_another_certificate_is_refused(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief_key = ec.generate_private_key(ec.SECP256R1())
    thief = Host(tmp_path / "thief")
    shown = x509.load_pem_x509_certificate(host.folder.authority.read_bytes())
    monkeypatch.setattr(thief.server, "_authority", lambda: Authority(shown, thief_key))
    thief.port = await thief.server.start("127.0.0.1", 0)
    thief.invite()
    try:
        token = replace(host.invite(), address=f"127.0.0.1:{thief.port}")
        with pytest.raises(IdentityError, match="not signed by"):
            await redeem(token, "hall", new_request("hall"))
    finally:
        await thief.server.aclose()


async def test_a_token_leads_to_its_own_cluster(host: Host) -> None:
    with pytest.raises(IdentityError, match="is of cluster 'home'"):
        await redeem(replace(host.invite(), cluster="work"), "hall", new_request("hall"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x01{",
        b"\x00\x01\x00\x00" + b"[" * 65_536,
        b'\x00\x00\x00\x08{"id":1}',
    ],
)
async def test_hostile_bytes_are_refused_and_cost_no_invitation(
    host: Host, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "EXCHANGE_TIMEOUT_S", 1.0)
    token = host.invite()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port, ssl=context)
    writer.write(data)
    if not data:
        writer.close()
    async with asyncio.timeout(10):
        while await reader.read(65_536):
            pass
    writer.close()
    while not host.server.refused:  # noqa: ASYNC110 - the end of a connection tells nobody
        await asyncio.sleep(0.01)
    await redeem(token, "hall", new_request("hall"))


async def test_a_request_that_can_not_be_signed_costs_no_use(host: Host) -> None:
    token = host.invite()
    good = new_request("hall")
    with pytest.raises(IdentityError):
        await redeem(token, "hall", replace(good, signing_request=b"no request"))
    await redeem(token, "hall", good)
