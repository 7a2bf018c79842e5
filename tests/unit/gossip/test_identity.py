import pytest

from gossip.errors import ConfigError, DecodeError
from gossip.identity import Endpoint, address_of, host_of, name_bytes, name_of, parse_endpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", Endpoint("10.0.0.1", 7946)),
        ("10.0.0.1:80", Endpoint("10.0.0.1", 80)),
        ("shop.example", Endpoint("shop.example", 7946)),
        ("[::1]:80", Endpoint("::1", 80)),
        ("[::1]", Endpoint("::1", 7946)),
        ("::1", Endpoint("::1", 7946)),
    ],
)
def test_endpoints_are_read_with_and_without_port(text: str, expected: Endpoint) -> None:
    assert expected == parse_endpoint(text, default_port=7946)


@pytest.mark.parametrize("text", ["", ":80", "a:b", "a:0", "a:65536", "[::1", "[::1]80", "a:²"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_endpoint(text, default_port=7946)


def test_an_endpoint_reads_back_from_its_text() -> None:
    for endpoint in (Endpoint("10.0.0.1", 80), Endpoint("::1", 80)):
        assert endpoint == parse_endpoint(str(endpoint), default_port=1)


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "fe80::1"])
def test_address_bytes_and_text_are_the_same_address(host: str) -> None:
    assert host == host_of(address_of(host))


def test_a_mapped_address_is_its_plain_self() -> None:
    assert "10.0.0.1" == host_of(bytes(10) + b"\xff\xff\x0a\x00\x00\x01")


def test_other_lengths_are_no_address() -> None:
    with pytest.raises(DecodeError):
        host_of(b"12345")
    with pytest.raises(ConfigError):
        address_of("localhost")


def test_names_of_any_bytes_survive() -> None:
    assert b"\xff\x00\xc3\xa4" == name_bytes(name_of(b"\xff\x00\xc3\xa4"))
