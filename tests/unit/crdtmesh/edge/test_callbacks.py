"""Where user functions may be called: the table of hostile addresses."""

from __future__ import annotations

import ipaddress

import pytest

from crdtmesh.edge.callbacks import CallbackPolicy, CallbackRefused
from crdtmesh.networks import Address, AllowedNetwork

OWN_PORT = 9001
EVERYTHING = ("0.0.0.0/0", "::/0")


def policy(*allowed: str, names: dict[str, list[str]] | None = None) -> CallbackPolicy:
    """A policy whose resolver knows these names."""

    async def resolve(host: str, port: int) -> list[Address]:
        found = (names or {}).get(host)
        if found is None:
            raise CallbackRefused(f"callback host {host!r} can't be resolved")
        return list(map(ipaddress.ip_address, found))

    return CallbackPolicy(map(AllowedNetwork.parse, allowed), lambda: (OWN_PORT,), resolve=resolve)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
async def test_loopback_is_allowed(host: str) -> None:
    target = await policy().target(host, 8090)

    assert (str(ipaddress.ip_address(host)),) == target.addresses


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1", "::ffff:10.0.0.1"])
async def test_everything_else_needs_to_be_allowed(host: str) -> None:
    with pytest.raises(CallbackRefused, match="--callback-allow"):
        await policy().target(host, 8090)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("10.0.0.1", "10.0.0.0/8:8090"), ("::ffff:10.0.0.1", "10.0.0.0/8:8090"), ("fd00::1", "[fd00::/8]:8090")],
)
async def test_an_allowed_network_is_called_on_its_ports(host: str, allowed: str) -> None:
    assert (await policy(allowed).target(host, 8090)).port == 8090
    with pytest.raises(CallbackRefused, match="--callback-allow"):
        await policy(allowed).target(host, 8091)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "::ffff:0.0.0.0",
        "169.254.169.254",
        "169.254.170.2",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "::a9fe:a9fe",
    ],
)
async def test_no_setting_allows_what_no_user_function_is(host: str) -> None:
    with pytest.raises(CallbackRefused, match="no user function is called there"):
        await policy(*EVERYTHING).target(host, 8090)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "2852039166",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "evil.example/..",
        "user@127.0.0.1",
        "127.0.0.1#",
        "127.0.0.1\r\nHost: a",
        "a\0b",
        "[::1]",
        "fe80::1%eth0",
        "",
        " ",
        "a" * 10_000,
        "a..b",
        "ⓛocalhost",
    ],
)
async def test_no_other_way_to_write_an_address_is_understood(host: str) -> None:
    with pytest.raises(CallbackRefused):
        await policy(*EVERYTHING, names={host: ["127.0.0.1"]}).target(host, 8090)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "app"])
async def test_the_nodes_own_ports_are_never_called(host: str) -> None:
    with pytest.raises(CallbackRefused, match="--user-function-port"):
        await policy("10.0.0.0/8", names={"app": ["10.0.0.1"]}).target(host, OWN_PORT)


@pytest.mark.parametrize("port", [-1, 0, 65_536])
async def test_a_port_that_can_not_be_is_refused(port: int) -> None:
    with pytest.raises(CallbackRefused, match="1 to 65535"):
        await policy().target("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "app"])
async def test_another_machine_can_not_have_this_one_call_itself(host: str) -> None:
    here = policy("10.0.0.0/8", names={"app": ["10.0.0.1", "127.0.0.1"]})

    with pytest.raises(CallbackRefused, match="came from another"):
        await here.target(host, 8090, is_remote=True)
    assert ("10.0.0.1",) == (await here.target("10.0.0.1", 8090, is_remote=True)).addresses


async def test_each_address_of_a_name_must_be_allowed() -> None:
    names = {"app": ["127.0.0.1", "::1"], "rebinding.example": ["127.0.0.1", "169.254.169.254"]}

    assert ("127.0.0.1", "::1") == (await policy(names=names).target("app", 8090)).addresses
    with pytest.raises(CallbackRefused, match=r"169\.254\.169\.254"):
        await policy(names=names).target("rebinding.example", 8090)


async def test_a_name_that_changes_its_mind_changes_nothing() -> None:
    names = {"rebinding.example": ["127.0.0.1"]}
    target = await policy(names=names).target("rebinding.example", 8090)
    names["rebinding.example"] = ["169.254.169.254"]

    assert ("127.0.0.1",) == target.addresses
    assert "rebinding.example:8090" == target.authority


async def test_a_real_name_is_resolved() -> None:
    target = await CallbackPolicy((), frozenset).target("localhost", 8090)

    assert {"127.0.0.1", "::1"} >= set(target.addresses) != set()


async def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(CallbackRefused, match="can't be resolved"):
        await CallbackPolicy((), frozenset).target("nowhere.invalid", 8090)


async def test_an_ipv6_authority_has_brackets() -> None:
    assert "[::1]:8090" == (await policy().target("::1", 8090)).authority
