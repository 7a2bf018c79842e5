"""TLS 1.3 between two nodes, as a state machine of bytes: no sockets, no timers.

Both sides show a certificate that the cluster's authority signed and that names a node of this cluster. What a peer
shows is judged as soon as the channel is up, before the first byte of a session is read; a peer that fails is cut off
without an alert, so only the log of the side that judged says why.

Bytes of TLS pass through memory here rather than through asyncio's own TLS, which hides failed handshakes from whoever
accepted them, begins to count a connection only when it is secured, and holds 256 KiB for each.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.names import Name, name_in
from crdtmesh.links.errors import TlsFailed, bounded
from crdtmesh.links.options import Identity

__all__ = ["TlsChannel", "TlsLinks"]

# One record holds at most 16 KiB.
_READ_SIZE_BYTES: Final = 16 * 1024


class TlsChannel:
    """One TLS connection, seen from one side.

    Args:
        context: with certificates and what is believed.
        dials: whether this side opened the connection.
    """

    __slots__ = ("_incoming", "_outgoing", "_tls", "is_up")

    def __init__(self, context: ssl.SSLContext, *, dials: bool) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=not dials)
        self.is_up = False
        """Whether the handshake is over, and the peer's certificate signed by whom we believe."""
        self._handshake()

    def receive(self, data: bytes) -> bytes:
        """Takes bytes from the peer; returns what they say, empty while the handshake goes on.

        Raises:
            TlsFailed: with the reason; nothing of it is for the peer.
        """
        self._incoming.write(data)
        if not self.is_up:
            self._handshake()
            if not self.is_up:
                return b""
        tls, incoming = self._tls, self._incoming
        parts = []
        try:
            # Where nothing is left, asking once more would raise, which costs as much as a record.
            while incoming.pending or tls.pending():
                part = tls.read(_READ_SIZE_BYTES)
                if not part:
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def seal(self, data: bytes) -> None:
        """Queues bytes for the peer; only when the channel is up."""
        self._tls.write(data)

    def take_outgoing(self) -> bytes:
        """What is to be written now."""
        return self._outgoing.read() if self._outgoing.pending else b""

    @property
    def peer(self) -> Name | None:
        """The name in the peer's certificate; None when it has none that we know."""
        return name_in(self._tls.getpeercert())

    def _handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from None
        self.is_up = True


class TlsLinks:
    """What a node shows to its peers, and whom it believes: a `LinkSecurity`.

    Args:
        name: of this node.
        authority: certificates of who signs, PEM.
        certificate: of this node, PEM.
        key: its private key; None when it stands in the certificate's file.

    Raises:
        IdentityError: a file can't be used, or the certificate does not name this node.
    """

    def __init__(self, name: Name, *, authority: Path, certificate: Path, key: Path | None = None) -> None:
        self._name = name
        self._files = (authority, certificate, key)
        self._contexts = self._load()

    def reload(self) -> None:
        """Reads the files again; connections from now on use them, those that are up stay.

        Raises:
            IdentityError: as at the start; the old ones stay in use.
        """
        self._contexts = self._load()

    def channel(self, *, dials: bool) -> TlsChannel:
        """A channel for a new connection."""
        return TlsChannel(self._contexts[dials], dials=dials)

    def stranger(self, channel: TlsChannel | None, *, dialled: str | None) -> str | None:
        """Why the other end of a channel is no node of this cluster, or not the one that was dialled."""
        peer = channel.peer if channel is not None else None
        if peer is None:
            return "certificate with one name spiffe://CLUSTER/node/NAME expected, got none"
        if peer.role != "node" or peer.cluster != self._name.cluster:
            return f"certificate of a node of cluster {self._name.cluster!r} expected, got {peer.uri}"
        return None if dialled in (None, peer.name) else _another(dialled, peer)

    def refusal(self, peer: Identity, channel: TlsChannel | None) -> str | None:
        """Why the channel does not prove that its other end is `peer`; None when it does."""
        proven = channel.peer if channel is not None else None
        is_proven = proven == Name(self._name.cluster, "node", peer.node)
        return None if is_proven else _another(peer.node, proven)

    def _load(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Contexts for accepting and for dialling."""
        accepting, dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority, certificate, key = self._files
        for context in (accepting, dialling):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            # Nodes are known by the name in their certificate, not by the address under which they were dialled.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            try:
                context.load_verify_locations(authority)
                context.load_cert_chain(certificate, key)
            except (OSError, ssl.SSLError) as error:
                raise IdentityError(
                    f"certificates can't be used ({error.strerror or error}); looked at {authority}, {certificate}"
                    + (f", {key}" if key is not None else "")
                ) from None
        # A resumed session would be taken at the word of an earlier verification.
        accepting.num_tickets = 0
        self._check_own(accepting, dialling)
        return accepting, dialling

    def _check_own(self, accepting: ssl.SSLContext, dialling: ssl.SSLContext) -> None:
        """Shakes hands with itself: what we could not verify, no peer can."""
        try:
            server, client = TlsChannel(accepting, dials=False), TlsChannel(dialling, dials=True)
            for _ in range(3):
                server.receive(client.take_outgoing())
                client.receive(server.take_outgoing())
        except TlsFailed as failed:
            raise IdentityError(
                f"the certificate {self._files[1]} is not one that peers believe: {failed}; issue another by "
                f"crdtmesh certs issue {self._name.name} --renew"
            ) from None
        shown = client.peer
        if shown != self._name:
            raise IdentityError(
                f"certificate of {self._name.uri} expected in {self._files[1]}, got "
                f"{shown.uri if shown is not None else 'none with such a name'}; issue one by crdtmesh certs issue "
                f"{self._name.name}, or set --name and --cluster alike"
            )


def _another(expected: str | None, shown: Name | None) -> str:
    return f"certificate of node {bounded(expected)} expected, got {shown.uri if shown is not None else 'none'}"


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate of this cluster's authority expected: {error.verify_message}"
    return f"TLS 1.3 expected: {str(error.reason or error).lower().replace('_', ' ')}"
