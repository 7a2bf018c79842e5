"""What an authority signs, and what it does not."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crdtmesh.identity.authority import Authority, expiry, fingerprint, new_request, node_behind
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.names import SERVER_NAME, Name

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
KITCHEN = Name("home", "node", "kitchen")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("home", now=NOW)


def der(certificate: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.decode())


def test_a_nodes_certificate_names_node_and_cluster_and_serves_both_sides(authority: Authority) -> None:
    found = x509.load_pem_x509_certificate(authority.sign(new_request("x").signing_request, KITCHEN, now=NOW))

    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ["spiffe://home/node/kitchen"] == names.get_values_for_type(x509.UniformResourceIdentifier)
    assert [SERVER_NAME] == names.get_values_for_type(x509.DNSName)
    uses = set(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH} == uses
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_clients_certificate_can_not_serve(authority: Authority) -> None:
    name = Name("home", "operator", "alice")
    found = x509.load_pem_x509_certificate(authority.sign(new_request("x").signing_request, name, now=NOW))

    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [] == names.get_values_for_type(x509.DNSName)
    uses = set(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert {ExtendedKeyUsageOID.CLIENT_AUTH} == uses


def test_what_a_request_says_of_names_is_ignored(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    claims = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://home/node/hall")])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hall")]))
        .add_extension(claims, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate = authority.sign(request.public_bytes(serialization.Encoding.PEM), KITCHEN, now=NOW)

    assert KITCHEN == node_behind(der(certificate), authority.certificate, now=NOW)
    assert b"hall" not in der(certificate)


def test_a_request_with_a_wrong_proof_or_another_kind_of_key_is_refused(authority: Authority) -> None:
    good = x509.load_pem_x509_csr(new_request("x").signing_request).public_bytes(serialization.Encoding.DER)
    forged = x509.load_der_x509_csr(good[:-1] + bytes([good[-1] ^ 1])).public_bytes(serialization.Encoding.PEM)
    large = ec.generate_private_key(ec.SECP384R1())
    other = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(large, hashes.SHA256())

    for request, words in (
        (forged, "own key"),
        (other.public_bytes(serialization.Encoding.PEM), "P-256"),
        (b"", "signing request"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "signing request"),
    ):
        with pytest.raises(IdentityError, match=words):
            authority.sign(request, KITCHEN, now=NOW)


def test_no_certificate_outlives_its_authority() -> None:
    short = Authority.new("home", now=NOW, days=10)
    certificate = short.sign(new_request("x").signing_request, KITCHEN, now=NOW, days=365)

    assert NOW + dt.timedelta(days=10) == expiry(certificate) == expiry(short.certificate + certificate)


def test_an_authority_survives_its_files_and_needs_its_own_key(authority: Authority) -> None:
    again = Authority.load(authority.certificate, authority.key)

    assert "home" == again.cluster
    assert fingerprint(authority.certificate) == fingerprint(again.certificate)
    other = Authority.new("home", now=NOW)
    for both in (authority.certificate + other.certificate, other.certificate + authority.certificate):
        assert authority.certificate == Authority.load(both, authority.key).certificate
    with pytest.raises(IdentityError, match="not the one"):
        Authority.load(authority.certificate, Authority.new("home", now=NOW).key)
    with pytest.raises(IdentityError, match="PEM"):
        Authority.load(b"", authority.key)


def test_a_server_is_believed_only_under_the_expected_authority(authority: Authority) -> None:
    request = new_request("x").signing_request
    good = authority.sign(request, KITCHEN, now=NOW)
    client = authority.sign(request, Name("home", "client", "kitchen"), now=NOW)
    stranger = Authority.new("home", now=NOW).sign(request, KITCHEN, now=NOW)

    assert KITCHEN == node_behind(der(good), authority.certificate, now=NOW)
    for certificate, when, words in (
        (stranger, NOW, "not signed"),
        (client, NOW, "no node"),
        (good, NOW + dt.timedelta(days=400), "not valid now"),
        (good, NOW - dt.timedelta(days=1), "not valid now"),
    ):
        with pytest.raises(IdentityError, match=words):
            node_behind(der(certificate), authority.certificate, now=when)


def test_a_made_file_is_one_that_tls_loads(authority: Authority, tmp_path: Path) -> None:
    request = new_request("x")
    now = dt.datetime.now(dt.UTC)
    file = tmp_path / "node.pem"
    file.write_bytes(request.bundle(Authority.new("home", now=now).sign(request.signing_request, KITCHEN, now=now)))

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)
