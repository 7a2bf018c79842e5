import ipaddress

import pytest

from crdtmesh.networks import AllowedNetwork


@pytest.mark.parametrize(
    ("text", "address", "ports"),
    [
        ("10.0.0.0/8", "10.1.2.3", (1, 8090, 65_535)),
        ("10.0.0.7", "10.0.0.7", (8090,)),
        ("10.0.0.0/8:8090", "10.1.2.3", (8090,)),
        ("10.0.0.0/8:8090-8099", "10.1.2.3", (8090, 8095, 8099)),
        ("fd00::/8", "fd00::1", (1, 65_535)),
        ("[fd00::/8]", "fd00::1", (8090,)),
        ("[fd00::/8]:8090", "fd00::1", (8090,)),
        ("fd00::8:8090", "fd00::8:8090", (1,)),
    ],
)
def test_an_entry_covers_its_network_and_ports(text: str, address: str, ports: tuple[int, ...]) -> None:
    entry = AllowedNetwork.parse(text)

    assert [True] * len(ports) == [entry.covers(ipaddress.ip_address(address), port) for port in ports]


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("10.0.0.0/8", "11.0.0.1", 8090),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 8090),
        ("10.0.0.0/8:8090", "10.0.0.1", 8089),
        ("10.0.0.0/8:8090-8099", "10.0.0.1", 8100),
        ("fd00::/8", "10.0.0.1", 8090),
    ],
)
def test_an_entry_covers_nothing_else(text: str, address: str, port: int) -> None:
    assert not AllowedNetwork.parse(text).covers(ipaddress.ip_address(address), port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app",
        "app:8090",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/8:",
        "10.0.0.0/8:0",
        "10.0.0.0/8:65536",
        "10.0.0.0/8:2-1",
        "[fd00::/8",
        "[fd00::/8]:x",
        "[10.0.0.0/8]x",
    ],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
        AllowedNetwork.parse(text)
