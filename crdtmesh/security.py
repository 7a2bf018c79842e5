"""What secures a running node: its certificate, the keys that seal gossip, the cluster's secret.

Decides which files are used, refuses to start beyond loopback without them, reads them again when they change, and
warns well before a certificate ends. What they mean on the wire is decided in `links.tls` and by the gossip layer.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gossip
from crdtmesh.config import NodeConfig, how_to_set
from crdtmesh.edge.access import Access
from crdtmesh.edge.cluster import SecurityView
from crdtmesh.endpoint_security import EndpointSecurity
from crdtmesh.errors import ConfigError, MeshError, StartError
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import read_secret, write_secret
from crdtmesh.identity.keys import encode_keys, parse_keys
from crdtmesh.identity.names import Name
from crdtmesh.links.security import is_loopback
from crdtmesh.links.tls import TlsLinks
from crdtmesh.mesh_tag import cluster_hash
from crdtmesh.observability import logs

if TYPE_CHECKING:
    from crdtmesh.identity.joining import JoinServer

__all__ = ["INSECURE_WARNING", "NodeSecurity"]

_LOG: Final = logging.getLogger(__name__)

INSECURE_WARNING: Final = (
    "--insecure: peers are neither encrypted nor authenticated; anyone who reaches the gossip or link port can join, "
    "read and change everything"
)

# A month: long enough for a holiday, and a twelfth of what `certs issue` gives.
EXPIRY_WARNING_DAYS: Final = 30

# A look at four files takes some 20 us.
WATCH_INTERVAL_S: Final = 2.0

SECRET_SIZE_BYTES_MIN: Final = 16


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that are there; None for one that is not used."""

    authority: Path | None
    certificate: Path | None
    certificate_key: Path | None
    gossip_keys: Path | None
    cluster_secret: Path | None

    @classmethod
    def of(cls, config: NodeConfig) -> _Files:
        folder = config.identity
        return cls(
            _given_or_there(config.authority, folder.authority),
            _given_or_there(config.certificate, folder.certificate(config.name)),
            config.certificate_key,
            _given_or_there(config.gossip_keys, folder.gossip_keys),
            _given_or_there(None, folder.cluster_secret),
        )

    def state(self) -> list[tuple[int, int, int] | None]:
        """Changes whenever one of the files is replaced."""
        return [_state(path) for path in (self.authority, self.certificate, self.certificate_key, self.gossip_keys)]


class NodeSecurity:
    """The identity of a node while it runs.

    Args:
        config: of the node.

    Attributes:
        links: for peer links; None for plain TCP.
        keyring: for gossip; None for plain packets.
        secret: of the cluster, empty if it has none: what must not be guessed by outsiders is keyed with it.
        listeners: addresses of its own, for status.

    Raises:
        ConfigError: the node would be exposed without certificate and keys.
        IdentityError: a file can't be used.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._warnings: list[str] = []
        self.links: TlsLinks | None = None
        self.keyring: gossip.Keyring | None = None
        self.secret = b""
        self._ends: dt.datetime | None = None
        self._authority_ends: dt.datetime | None = None
        self._files = _Files(None, None, None, None, None)
        self._seen: object = None
        self._watch: asyncio.Task[None] | None = None
        self._joining: JoinServer | None = None
        self.listeners: list[str] = []
        self._trust_changed: Callable[[], None] = lambda: None
        self._trusted = b""
        if not config.insecure:
            self._files = _Files.of(config)
        files = self._files
        self.endpoints = EndpointSecurity(config, authority=files.authority, certificate=files.certificate)
        self._warnings += self.endpoints.warnings
        if config.insecure:
            if not is_loopback(config.bind):
                self._warnings.append(INSECURE_WARNING)
                logs.event(_LOG, logging.WARNING, "node.insecure", bind=config.bind, meaning=INSECURE_WARNING)
            return
        _require_files(config, files)
        if files.certificate is not None and files.authority is not None:
            self.links = TlsLinks(
                self.name, authority=files.authority, certificate=files.certificate, key=files.certificate_key
            )
            self._read_expiry()
        elif files.authority is not None:
            self._warnings.append(
                f"links are plain: there is an authority but no certificate for {config.name}; "
                f"run crdtmesh certs issue {config.name}"
            )
        if files.gossip_keys is not None:
            self.keyring = gossip.Keyring(parse_keys(read_secret(files.gossip_keys)))
        if files.cluster_secret is not None:
            self.secret = _read_cluster_secret(files.cluster_secret)
        self._seen = self._state()

    @property
    def name(self) -> Name:
        """What this node's certificate has to prove."""
        return Name(self._config.cluster, "node", self._config.name)

    @property
    def expires_s(self) -> float | None:
        """When this node's certificate ends, in seconds since 1970; None without one."""
        return None if self._ends is None else self._ends.timestamp()

    @property
    def placement_key(self) -> bytes:
        """What placement is keyed with, so that nobody outside can choose names that land on one node."""
        return self.secret or cluster_hash(self._config.cluster).encode()

    def view(self) -> SecurityView:
        """For status."""
        has_links = self.links is not None
        return SecurityView(
            links_encrypted=has_links,
            gossip_encrypted=self.keyring is not None,
            certificate=self.name.uri if has_links else "",
            certificate_ends_s=int(self.expires_s or 0),
        )

    def warnings(self) -> list[str]:
        """What an operator should look at."""
        now = dt.datetime.now(dt.UTC)
        return [*self._warnings, *self._expiry_warnings(now)]

    async def start(
        self, gossip_address: str, is_member: Callable[[str], bool], *, trust_changed: Callable[[], None]
    ) -> None:
        """Begins to look at the files, and opens the port for invitations where the authority's key is.

        Args:
            gossip_address: HOST:PORT that new nodes contact.
            is_member: whether a name is in the membership table.
            trust_changed: called when another authority is believed; links that are up were judged by the old one.

        Raises:
            StartError: the port can't be had.
        """
        config, self._trust_changed = self._config, trust_changed
        if not config.insecure:
            self._watch = asyncio.create_task(self.watch(), name="identity")
        if self.links is None or not config.identity.authority_key.exists():
            return
        from crdtmesh.identity.joining import JoinServer

        assert self._files.certificate is not None
        self._joining = JoinServer(
            config.identity,
            certificate=self._files.certificate,
            certificate_key=self._files.certificate_key,
            cluster=config.cluster,
            gossip=gossip_address,
            is_member=is_member,
        )
        try:
            port = await self._joining.start(config.bind, config.join_port)
        except OSError as error:
            raise StartError(
                f"join port {config.join_port} on {config.bind} can't be had: {error.strerror}; "
                f"set another by {how_to_set('join_port')}"
            ) from None
        self.listeners = [f"join {gossip_address.rpartition(':')[0]}:{port}"]

    async def aclose(self) -> None:
        """Stops what `start` began."""
        if self._watch is not None:
            self._watch.cancel()
        if self._joining is not None:
            await self._joining.aclose()

    def counters(self) -> dict[str, int]:
        """What happened since the start, under the names that status shows."""
        return {**self.access.counters(), **({} if self._joining is None else self._joining.counters())}

    @property
    def access(self) -> Access:
        """Who may do what at the endpoints."""
        return self.endpoints.access

    async def watch(self) -> None:
        """Reads files again when they have changed, until it is cancelled."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            if self._state() != self._seen:
                self.reload()

    def reload(self) -> None:
        """Reads the files again. What can't be used is logged, and what was read before stays in force."""
        self._seen = self._state()
        readers = {
            "certificates": self._reload_certificates,
            "gossip_keys": self._reload_keys,
            "access": self.endpoints.reload,
        }
        for what, read in readers.items():
            try:
                read()
            except (MeshError, gossip.ConfigError, OSError) as error:
                logs.event(_LOG, logging.ERROR, "identity.not_reloaded", what=what, reason=str(error))
            else:
                logs.event(_LOG, logging.INFO, "identity.reloaded", what=what)

    def keys_changed(self) -> None:
        """An operator changed the keys by a query of Serf: the file follows."""
        if self.keyring is None or self._files.gossip_keys is None:
            return
        try:
            write_secret(self._files.gossip_keys, encode_keys(self.keyring.keys), replaces=True)
        except IdentityError as error:
            logs.event(_LOG, logging.ERROR, "identity.keys_not_kept", reason=str(error))
        self._seen = self._state()

    def _state(self) -> object:
        """Changes whenever one of the files does."""
        return self._files.state(), [_state(path) for path in self.endpoints.paths()]

    def _reload_certificates(self) -> None:
        if self.links is None:
            return
        before = self._trusted
        self.links.reload()
        self._read_expiry()
        if before != self._trusted:
            self._trust_changed()

    def _reload_keys(self) -> None:
        keyring, path = self.keyring, self._files.gossip_keys
        if keyring is None or path is None:
            return
        keys = parse_keys(read_secret(path))
        # Keys that go, go first: the ring has room for sixteen. The one that seals stays until another does.
        for key in keyring.keys[1:]:
            if key not in keys:
                keyring.remove(key)
        for key in keys:
            keyring.install(key)
        keyring.use(keys[0])
        for key in keyring.keys[1:]:
            if key not in keys:
                keyring.remove(key)

    def _read_expiry(self) -> None:
        from crdtmesh.identity.authority import expiry

        assert self._files.certificate is not None
        assert self._files.authority is not None
        self._ends = expiry(self._files.certificate.read_bytes())
        self._trusted = self._files.authority.read_bytes()
        self._authority_ends = expiry(self._trusted)

    def _expiry_warnings(self, now: dt.datetime) -> Iterator[str]:
        for ends, what, remedy in (
            (self._ends, "this node's certificate", f"crdtmesh certs issue {self._config.name} --renew"),
            (self._authority_ends, "the authority's certificate", "see docs/guide/security.md"),
        ):
            if ends is not None and ends - now < dt.timedelta(days=EXPIRY_WARNING_DAYS):
                yield f"{what} ends on {ends:%Y-%m-%d %H:%M} UTC, in {(ends - now).days} days: {remedy}"


def _require_files(config: NodeConfig, files: _Files) -> None:
    """Refuses a node beyond loopback that has no identity, with the commands that make one.

    Raises:
        ConfigError: something is missing.
    """
    if is_loopback(config.bind):
        return
    has_identity = files.certificate is not None and files.authority is not None
    if has_identity and files.gossip_keys is not None:
        return
    folder = config.identity
    cluster = "" if config.cluster == NodeConfig().cluster else f" --cluster {config.cluster}"
    if config.identity_dir is not None:
        cluster += f" --identity-dir {config.identity_dir}"
    commands = []
    if not has_identity:
        if not folder.authority_key.exists() and files.authority is None:
            commands.append(f"crdtmesh certs init{cluster}")
        commands.append(f"crdtmesh certs issue {config.name}{cluster}")
    # `certs init` makes the key too.
    if files.gossip_keys is None and not any("certs init" in command for command in commands):
        commands.append(f"crdtmesh keys generate{cluster}")
    raise ConfigError(
        f"bind: {config.bind} is beyond loopback, and this node has no "
        f"{'certificate' if not has_identity else 'gossip key'} in {folder.path}. On the first machine run\n"
        + "".join(f"  {command}\n" for command in commands)
        + "on every other one the command that crdtmesh invite prints there; or write --insecure to let anyone who "
        "reaches this address join, read and change everything"
    )


def _given_or_there(given: Path | None, default: Path) -> Path | None:
    """A path that was given has to exist, which is found out where it is read; a default one may."""
    return given if given is not None else default if default.exists() else None


def _read_cluster_secret(path: Path) -> bytes:
    try:
        secret = bytes.fromhex(read_secret(path).decode())
    except ValueError:
        secret = b""
    if not SECRET_SIZE_BYTES_MIN <= len(secret) <= hashlib.blake2b.MAX_KEY_SIZE:
        raise IdentityError(f"{path}: {SECRET_SIZE_BYTES_MIN} to 64 bytes in hexadecimal expected")
    return secret


def _state(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
