"""How a new machine gets its identity from the node that holds the authority's key.

The server shows its certificate and the authority's. The new machine compares the authority with the fingerprint in
its token, and the server's certificate with the authority, before it says anything; then its signing request goes up
with the secret, and certificate, gossip keys and the cluster's secret come down. Private keys never travel.

    server   {authority}                              PEM
    client   {id, secret, name, request}              hexadecimal, hexadecimal, text, PEM
    server   {certificate, authority, gossip_keys, cluster_secret, cluster, gossip}   or {error}

Each message is a length of four bytes and JSON. The port answers only while an invitation is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crdtmesh.identity.authority import Authority, Request, expiry, fingerprint, node_behind
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import IdentityFolder, append_line, read_secret
from crdtmesh.identity.invitations import InvitationBook, Refused, Token
from crdtmesh.identity.names import Name, parse
from crdtmesh.observability import logs

__all__ = ["Granted", "JoinServer", "redeem"]

_LOG: Final = logging.getLogger("crdtmesh.identity")

# Certificates, sixteen keys and a request fit many times over.
MESSAGE_SIZE_BYTES_MAX: Final = 64 * 1024
EXCHANGE_TIMEOUT_S: Final = 10.0
# Each waits at most ten seconds; more than a few machines at once have nobody who types in their tokens.
CONNECTIONS_MAX: Final = 8
# Who is wrong so often in ten minutes is guessing, or a script: nobody is served until the ten minutes are over.
FAILURES_MAX: Final = 20
FAILURES_WINDOW_S: Final = 600.0
_LOGS_PER_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a new machine gets.

    Attributes:
        certificate, authority: in PEM.
        gossip_keys, cluster_secret: contents of the files of these names.
        cluster: its name.
        gossip: HOST:PORT of a member to contact.
        local_host: the address from which it was asked for, good for `--bind`.
    """

    certificate: bytes
    authority: bytes
    gossip_keys: bytes
    cluster_secret: bytes
    cluster: str
    gossip: str
    local_host: str


class JoinServer:
    """Redeems invitations, on the node that holds the authority's key.

    Args:
        folder: of its identity.
        certificate: file with this node's certificate; its key in `certificate_key`, or in the same file.
        certificate_key: its private key.
        cluster: whose nodes may be made.
        gossip: HOST:PORT that new nodes contact.
        is_member: whether a name is in the membership table.
    """

    def __init__(
        self,
        folder: IdentityFolder,
        *,
        certificate: Path,
        certificate_key: Path | None,
        cluster: str,
        gossip: str,
        is_member: Callable[[str], bool],
    ) -> None:
        self.redeemed = 0
        self.refused = 0
        self._folder = folder
        self._files = certificate, certificate_key
        self._cluster = cluster
        self._gossip = gossip
        self._is_member = is_member
        self._book = InvitationBook(folder.invitations)
        self._failures: list[float] = []
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._log_limit = logs.RateLimit(_LOGS_PER_S)

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port.

        Raises:
            OSError: the address can't be had.
        """
        self._server = await asyncio.start_server(self._accept, host, port, limit=MESSAGE_SIZE_BYTES_MAX)
        return int(self._server.sockets[0].getsockname()[1])

    async def aclose(self) -> None:
        """Stops; exchanges under way are cut."""
        if self._server is not None:
            self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)

    def counters(self) -> dict[str, int]:
        """What happened since the start, under the names that status shows."""
        return {"invitation.redeemed": self.redeemed, "invitation.refused": self.refused}

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            if len(self._open) > CONNECTIONS_MAX or not self._is_serving():
                return  # not a byte, and no handshake
            async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
                await writer.start_tls(self._context())
                await self._exchange(reader, writer)
        except (OSError, TimeoutError, EOFError, IdentityError) as error:
            self._refuse(writer, repr(error))
        finally:
            del self._open[task]
            writer.close()

    def _is_serving(self) -> bool:
        since_s = time.monotonic() - FAILURES_WINDOW_S
        self._failures = [failed_s for failed_s in self._failures if failed_s > since_s]
        return len(self._failures) < FAILURES_MAX and self._book.has_open(time.time())

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
        context.load_cert_chain(*self._files)
        return context

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _send(writer, {"authority": self._authority().certificate.decode()})
        asked = await _receive(reader)
        try:
            answer = self._grant(asked)
        except Refused as refused:
            self._refuse(writer, str(refused))
            answer = {"error": "refused"}
        else:
            self.redeemed += 1
        await _send(writer, answer)

    def _authority(self) -> Authority:
        return Authority.load(self._folder.authority.read_bytes(), read_secret(self._folder.authority_key))

    def _grant(self, asked: dict[str, Any]) -> dict[str, str]:
        number, secret, name, request = (asked.get(key) for key in ("id", "secret", "name", "request"))
        if not all(isinstance(value, str) for value in (number, secret, name, request)):
            raise Refused("a message of another form")
        holder = Name(self._cluster, "node", str(name))
        if parse(holder.uri) != holder:
            raise Refused("a name that is none")
        try:
            shown = bytes.fromhex(str(secret))
        except ValueError:
            raise Refused("a secret that is none") from None
        authority = self._authority()
        now = dt.datetime.now(dt.UTC)
        # Signed first: a request that can't be signed costs no use. Nobody sees it before the use is on disk.
        certificate = authority.sign(str(request).encode(), holder, now=now)
        is_taken = self._is_member(holder.name) or holder.uri in _issued(self._folder)
        self._book.redeem(str(number), shown, holder.name, is_taken=is_taken, now_s=now.timestamp())
        note_issued(self._folder, holder, certificate)
        logs.event(_LOG, logging.INFO, "identity.invitation_redeemed", name=holder.name, invitation=str(number)[:16])
        return {
            "certificate": certificate.decode(),
            "authority": self._folder.authority.read_text(),
            "gossip_keys": read_secret(self._folder.gossip_keys).decode(),
            "cluster_secret": read_secret(self._folder.cluster_secret).decode(),
            "cluster": self._cluster,
            "gossip": self._gossip,
        }

    def _refuse(self, writer: asyncio.StreamWriter, reason: str) -> None:
        self.refused += 1
        self._failures.append(time.monotonic())
        if self._log_limit():
            host = str((writer.get_extra_info("peername") or ("?",))[0])
            logs.event(_LOG, logging.WARNING, "identity.invitation_refused", host=host, reason=reason[:200])


async def redeem(token: Token, name: str, request: Request) -> Granted:
    """Asks for an identity.

    Args:
        token: of an invitation.
        name: of the new node.
        request: its key, of which only the public half goes up.

    Raises:
        IdentityError: nobody answers, the server is not the one of the token, or it refuses.
    """
    host, _, port = token.address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Judged by `_check_server` against the token, before anything is sent.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), ssl=context, limit=MESSAGE_SIZE_BYTES_MAX
            )
            try:
                return await _ask(reader, writer, token, name, request)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, EOFError, ValueError) as error:
        raise IdentityError(
            f"{token.address} does not answer ({error or type(error).__name__}); is the node that invited running, the "
            "address in reach, and the invitation still open? Its log says why it refuses"
        ) from None


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: Token, name: str, request: Request
) -> Granted:
    authority = _text(await _receive(reader), "authority")
    tls = writer.get_extra_info("ssl_object")
    _check_server(tls.getpeercert(binary_form=True) or b"", authority, token)
    await _send(
        writer,
        {"id": token.id, "secret": token.secret, "name": name, "request": request.signing_request.decode()},
    )
    answer = await _receive(reader)
    if "error" in answer:
        raise IdentityError(
            f"the node at {token.address} refuses; its log says why: the token is used up or too old, or the name "
            f"{name!r:.64} is taken"
        )
    return Granted(
        certificate=_text(answer, "certificate"),
        authority=_text(answer, "authority"),
        gossip_keys=_text(answer, "gossip_keys"),
        cluster_secret=_text(answer, "cluster_secret"),
        cluster=_text(answer, "cluster").decode(),
        gossip=_text(answer, "gossip").decode(),
        local_host=str(writer.get_extra_info("sockname")[0]),
    )


def _check_server(certificate: bytes, authority: bytes, token: Token) -> None:
    if fingerprint(authority) != token.fingerprint:
        raise IdentityError(f"the server at {token.address} is not of the authority that the token names")
    server = node_behind(certificate, authority, now=dt.datetime.now(dt.UTC))
    if server.cluster != token.cluster:
        raise IdentityError(
            f"the server at {token.address} is of cluster {server.cluster!r}, not {token.cluster!r:.64}"
        )


def note_issued(folder: IdentityFolder, holder: Name, certificate: bytes) -> None:
    """Adds a line to the list of what was issued on this machine.

    Raises:
        IdentityError: it can't be written.
    """
    entry = {
        "name": holder.uri,
        "issued": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "expires": expiry(certificate).isoformat(),
        "fingerprint": fingerprint(certificate),
    }
    append_line(folder.issued, json.dumps(entry))


def _issued(folder: IdentityFolder) -> frozenset[str]:
    """Names for which certificates were issued here."""
    if not folder.issued.exists():
        return frozenset()
    names = set()
    for line in folder.issued.read_text().splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            names.add(json.loads(line)["name"])
    return frozenset(names)


def _text(message: dict[str, Any], key: str) -> bytes:
    value = message.get(key)
    if not isinstance(value, str):
        raise IdentityError("the server answers in another form; is it of another version?")
    return value.encode()


async def _send(writer: asyncio.StreamWriter, message: dict[str, str]) -> None:
    body = json.dumps(message).encode()
    writer.write(len(body).to_bytes(4) + body)
    await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> dict[str, Any]:
    size = int.from_bytes(await reader.readexactly(4))
    if size > MESSAGE_SIZE_BYTES_MAX:
        raise IdentityError(f"a message of at most {MESSAGE_SIZE_BYTES_MAX} bytes expected, got {size}")
    try:
        message = json.loads(await reader.readexactly(size))
    except (ValueError, RecursionError):
        raise IdentityError("a message in JSON expected") from None
    if not isinstance(message, dict):
        raise IdentityError("a message of another form")
    return message
