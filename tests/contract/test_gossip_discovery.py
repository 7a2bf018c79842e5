"""Discovery on loopback: the static list, and multicast DNS between agents of two clusters."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

import gossip
from gossip import Agent, AgentConfig, Announcement, Endpoint, MdnsDiscovery, StaticDiscovery
from gossip.discovery.mdns import instance_name

QUICK = replace(gossip.LOCAL, gossip_interval_s=0.02)
LOOPBACK = Endpoint("127.0.0.1", 0)
OWN = Announcement(cluster="shops", node="a", endpoint=Endpoint("127.0.0.1", 7946))


async def until(claim: Callable[[], bool], *, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - what is waited for happens in other sockets' time
            await asyncio.sleep(0.02)


def present(agent: Agent) -> set[str]:
    return {member.name for member in agent.members() if member.is_present}


def agent(name: str, cluster: str, service_type: str) -> Agent:
    discovery = MdnsDiscovery(["127.0.0.1"], service_type=service_type)
    return Agent(AgentConfig(name=name, cluster=cluster, bind=LOOPBACK, swim=QUICK, discoveries=(discovery,)))


async def test_agents_of_one_cluster_find_each_other_by_multicast_and_ignore_others() -> None:
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        stranger = await start(agent("x", "other", "_gossiptest._tcp.local."))
        agents = [await start(agent(name, "shops", "_gossiptest._tcp.local.")) for name in "abc"]

        await until(lambda: all(present(each) == {"a", "b", "c"} for each in agents))
        assert {"x"} == present(stranger)


async def test_a_newcomer_finds_a_running_node_without_waiting_for_its_own_registration() -> None:
    async with agent("a", "shops", "_gossiptest2._tcp.local.") as first:
        await asyncio.sleep(1.5)  # registration probes for a second; nothing to advance, the protocol's time is real
        async with agent("b", "shops", "_gossiptest2._tcp.local.") as second:
            await until(lambda: {"a", "b"} == present(first) == present(second), seconds=0.9)


async def test_closing_while_registering_is_clean() -> None:
    discovery = MdnsDiscovery(["127.0.0.1"])
    await discovery.start(OWN, lambda endpoint: None)
    await discovery.close()
    await discovery.close()


async def test_a_list_is_offered_with_names_resolved() -> None:
    found: list[Endpoint] = []
    discovery = StaticDiscovery([Endpoint("127.0.0.1", 1), Endpoint("localhost", 2)])
    await discovery.start(OWN, found.append)
    await until(lambda: Endpoint("127.0.0.1", 1) in found and any(e.port == 2 for e in found))
    await discovery.close()

    assert all(e.host in ("127.0.0.1", "::1") for e in found)


def test_an_interface_must_be_an_address_and_a_service_type_well_formed() -> None:
    with pytest.raises(gossip.ConfigError, match="IP address"):
        MdnsDiscovery(["eth0"])
    with pytest.raises(gossip.ConfigError, match="service type"):
        MdnsDiscovery(service_type="crdtmesh")


def test_instance_names_are_labels_and_differ_between_clusters() -> None:
    long = instance_name("shops", "näme." * 40)

    assert 63 >= len(long)
    assert "." not in long
    assert instance_name("a", "n") != instance_name("b", "n")
