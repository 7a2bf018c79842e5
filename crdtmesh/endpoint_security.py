"""What guards the gRPC and HTTP endpoints: open to this machine, TLS with a token or a client certificate beyond it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from crdtmesh.config import NodeConfig
from crdtmesh.edge.access import Access
from crdtmesh.edge.policies import Policies
from crdtmesh.errors import ConfigError
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.tokens import TokenEntry, read_tokens
from crdtmesh.links.security import is_loopback
from crdtmesh.observability import logs

__all__ = ["OPEN_WARNING", "EndpointSecurity"]

_LOG: Final = logging.getLogger(__name__)

OPEN_WARNING: Final = (
    "--insecure: the gRPC and HTTP endpoints are neither encrypted nor guarded; anyone who reaches them can read and "
    "change everything"
)


class EndpointSecurity:
    """Guards the endpoints of one node.

    Args:
        config: of the node.
        authority: certificates of who signs, PEM; None without.
        certificate: of this node, PEM; None without.

    Attributes:
        access: decides who may do what.
        warnings: what an operator should know.

    Raises:
        ConfigError: the endpoints would be exposed without a certificate, or a policy is none.
        IdentityError: a file can't be used.
    """

    def __init__(self, config: NodeConfig, *, authority: Path | None, certificate: Path | None) -> None:
        self._config = config
        self._authority = authority
        self._certificate = certificate
        self._http: ssl.SSLContext | None = None
        self._tokens: Mapping[str, TokenEntry] = {}
        self.warnings: list[str] = []
        is_exposed = not is_loopback(config.api_address)
        self._is_guarded = is_exposed and not config.insecure
        if is_exposed and config.insecure:
            self.warnings.append(OPEN_WARNING)
            logs.event(_LOG, logging.WARNING, "node.open", api_bind=config.api_address, meaning=OPEN_WARNING)
        if self._is_guarded and (authority is None or certificate is None):
            raise ConfigError(
                f"api_bind: {config.api_address} is beyond loopback, and this node has no certificate in "
                f"{config.identity.path}. Run\n  crdtmesh certs init\n  crdtmesh certs issue {config.name}\n"
                "or join the cluster by an invitation, and let clients in by crdtmesh tokens issue; or leave api_bind "
                "to its default, which is loopback"
            )
        self.access = Access(
            config.cluster,
            tokens=lambda: self._tokens,
            policies=Policies.load(config.identity.policies),
            is_open=not self._is_guarded,
            rate_max=config.api_rate_max,
        )
        if self._is_guarded:
            self._tokens = read_tokens(config.identity.tokens)
            self._http = self._http_context()

    @property
    def http_context(self) -> ssl.SSLContext | None:
        """For the HTTP port; None for plain TCP."""
        return self._http

    def grpc_credentials(self) -> Any:
        """For the gRPC port; None for plain TCP. Certificates that are renewed are used by new connections."""
        if not self._is_guarded:
            return None
        import grpc

        seen = self._certificate_bytes()

        def renewed() -> Any:
            nonlocal seen
            try:
                now = self._certificate_bytes()
            except OSError:  # about to be replaced; the one in use stays
                return None
            if now == seen:
                return None
            seen = now
            return _grpc_configuration(*now, asks=self._asks_for_certificates)

        first = _grpc_configuration(*seen, asks=self._asks_for_certificates)
        return grpc.dynamic_ssl_server_credentials(first, renewed, self._asks_for_certificates)

    def paths(self) -> list[Path]:
        """Files whose change is looked for."""
        folder = self._config.identity
        return [folder.tokens, folder.policies, *sorted(folder.policies.glob("*.policy"))]

    def reload(self) -> None:
        """Reads tokens, policies and certificates again.

        Raises:
            IdentityError: a file can't be used; what was read before stays in force.
            ConfigError: a policy is none, likewise.
        """
        policies = Policies.load(self._config.identity.policies)
        if self._is_guarded:
            tokens = read_tokens(self._config.identity.tokens)
            assert self._http is not None
            self._load_chain(self._http)
            self._tokens = tokens
        self.access.policies = policies

    @property
    def _asks_for_certificates(self) -> bool:
        return self._config.api_auth == "certificate"

    def _http_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load_chain(context)
        if self._asks_for_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._authority)
        return context

    def _load_chain(self, context: ssl.SSLContext) -> None:
        assert self._certificate is not None
        try:
            context.load_cert_chain(self._certificate, self._config.certificate_key)
        except (OSError, ssl.SSLError) as error:
            raise IdentityError(f"{self._certificate} can't be used: {error}") from None

    def _certificate_bytes(self) -> tuple[bytes, bytes, bytes]:
        assert self._authority is not None
        assert self._certificate is not None
        key = self._config.certificate_key or self._certificate
        return self._authority.read_bytes(), self._certificate.read_bytes(), key.read_bytes()


def _grpc_configuration(authority: bytes, certificate: bytes, key: bytes, *, asks: bool) -> Any:
    import grpc

    return grpc.ssl_server_certificate_configuration([(key, certificate)], authority if asks else None)
