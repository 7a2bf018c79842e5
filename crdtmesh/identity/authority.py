"""The authority of a cluster: a P-256 key that signs the certificates of its nodes and clients.

Decides what a certificate holds. Imports `cryptography`, which takes a tenth of a second, so it is imported where a
command or a node needs it. Existing authorities may sign instead, if their certificates carry the same names.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.names import SERVER_NAME, Name, parse

__all__ = ["Authority", "Request", "fingerprint", "new_request"]

AUTHORITY_DAYS: Final = 3_650
CERTIFICATE_DAYS: Final = 365
DAYS_MAX: Final = 3_650

# Clocks of machines that were just set up differ; a certificate is good from a little before it was made.
_BACKDATED: Final = dt.timedelta(hours=1)

# X.509 takes no more in a common name. It decides nothing here: names stand in the URI.
_COMMON_NAME_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Request:
    """A new private key, and the request to have its public half certified. The key never leaves its machine."""

    key: ec.EllipticCurvePrivateKey
    signing_request: bytes

    def bundle(self, certificate: bytes) -> bytes:
        """The file that a node loads: private key, then certificate."""
        return _private_pem(self.key) + certificate


class Authority:
    """Signs certificates of one cluster.

    Args:
        certificate: the authority's own.
        key: its private key.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def new(cls, cluster: str, *, now: dt.datetime, days: int = AUTHORITY_DAYS) -> Authority:
        """Makes an authority for a cluster."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"{cluster} authority")
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + dt.timedelta(days=days))
            # No authorities below it: whoever gets a node's key can't make more nodes.
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{cluster}")]), critical=False
            )
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Authority:
        """Reads an authority's files: certificates, of which the key's counts, and the key.

        Raises:
            IdentityError: they are no certificate and its key.
        """
        try:
            found = x509.load_pem_x509_certificates(certificate)
            private = serialization.load_pem_private_key(key, password=None)
        except ValueError as error:
            raise IdentityError(f"an authority's certificate and key in PEM expected: {error}") from None
        # Several stand there while one authority replaces another.
        own = [one for one in found if one.public_key() == private.public_key()]
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not own:
            raise IdentityError("the authority's key is not the one of its certificate")
        return cls(own[0], private)

    @property
    def certificate(self) -> bytes:
        """Its certificate, in PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        """Its private key, in PEM."""
        return _private_pem(self._key)

    @property
    def cluster(self) -> str:
        """The cluster it signs for.

        Raises:
            IdentityError: its certificate names none.
        """
        try:
            names = self._certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = x509.SubjectAlternativeName([])
        for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
            if uri.startswith("spiffe://") and "/" not in uri.removeprefix("spiffe://"):
                return uri.removeprefix("spiffe://")
        raise IdentityError("the authority's certificate names no cluster; it was not made by crdtmesh certs init")

    def sign(self, request: bytes, name: Name, *, now: dt.datetime, days: int = CERTIFICATE_DAYS) -> bytes:
        """Certifies the public key of a signing request under `name`; what the request says of names is ignored.

        Returns:
            The certificate, in PEM. It never outlives the authority.

        Raises:
            IdentityError: the request is none, its proof of the key is wrong, or its key is no P-256 key.
        """
        try:
            found = x509.load_pem_x509_csr(request)
        except ValueError as error:
            raise IdentityError(f"a signing request in PEM expected: {error}") from None
        key = found.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise IdentityError("a signing request with a P-256 key expected")
        if not found.is_signature_valid:
            raise IdentityError("the signing request is not signed by its own key")
        end = min(now + dt.timedelta(days=days), self._certificate.not_valid_after_utc)
        is_node = name.role == "node"
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if is_node else [])]
        alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(name.uri)]
        if is_node:
            alternatives.append(x509.DNSName(SERVER_NAME))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_subject(name.name))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def new_request(common_name: str) -> Request:
    """A fresh P-256 key and its signing request."""
    key = ec.generate_private_key(ec.SECP256R1())
    found = x509.CertificateSigningRequestBuilder().subject_name(_subject(common_name)).sign(key, hashes.SHA256())
    return Request(key, found.public_bytes(serialization.Encoding.PEM))


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in PEM, in hexadecimal.

    Raises:
        IdentityError: it is none.
    """
    return _load(certificate).fingerprint(hashes.SHA256()).hex()


def expiry(certificates: bytes) -> dt.datetime:
    """When the first of the certificates in a PEM file ends; a private key beside them is skipped.

    Raises:
        IdentityError: there is none.
    """
    try:
        return min(found.not_valid_after_utc for found in x509.load_pem_x509_certificates(certificates))
    except ValueError as error:
        raise IdentityError(f"a certificate in PEM expected: {error}") from None


def node_behind(der: bytes, authority: bytes, *, now: dt.datetime) -> Name:
    """The name of a node whose certificate came over a connection that nothing has verified yet.

    Args:
        der: what the server showed.
        authority: the authority's certificate in PEM, whose fingerprint was checked.
        now: the time.

    Raises:
        IdentityError: the authority did not sign it, it is not valid now, or it names no node.
    """
    try:
        found = x509.load_der_x509_certificate(der)
        found.verify_directly_issued_by(_load(authority))
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        raise IdentityError("the server's certificate is not signed by the authority of the token") from None
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise IdentityError("the server's certificate is not valid now; compare the clocks of the two machines")
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    name = parse(uris[0]) if len(uris) == 1 else None
    if name is None or name.role != "node":
        raise IdentityError("the server's certificate names no node")
    return name


def _load(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise IdentityError(f"a certificate in PEM expected: {error}") from None


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_CHARS_MAX])])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
