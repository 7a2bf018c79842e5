"""Agents in one event loop, over real sockets on loopback and over memory: they find and lose each other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

import gossip
from gossip import Agent, AgentConfig, Endpoint, MemberChange, MemberEvent, MemberState

QUICK = replace(
    gossip.LOCAL,
    probe_interval_s=0.2,
    probe_timeout_s=0.08,
    gossip_interval_s=0.02,
    push_pull_interval_s=1.0,
    reconnect_interval_s=0.5,
)
LOOPBACK = Endpoint("127.0.0.1", 0)

Start = Callable[..., Awaitable[Agent]]


@pytest.fixture(params=["sockets", "memory"])
async def start(request: pytest.FixtureRequest) -> AsyncIterator[Start]:
    """Starts agents, and closes what a test leaves open."""
    network = gossip.MemoryNetwork()
    async with AsyncExitStack() as stack:

        async def begin(name: str, **options: Any) -> Agent:
            base = AgentConfig(name=name, bind=LOOPBACK, swim=QUICK, join_interval_s=0.2)
            config = replace(base, **options)
            transport = None if request.param == "sockets" else network.transport(config.bind)
            agent = Agent(config, transport=transport)
            stack.push_async_callback(agent.close)
            await agent.start()
            return agent

        yield begin


async def until(claim: Callable[[], bool], *, seconds: float = 15.0) -> None:
    """Waits for something that happens on real sockets in its own time."""
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - what is waited for happens in other sockets' time
            await asyncio.sleep(0.01)


def present(agent: Agent) -> set[str]:
    return {member.name for member in agent.members() if member.is_present}


def state(agent: Agent, name: str) -> MemberState | None:
    member = agent.member(name)
    return None if member is None else member.state


async def three(start: Start) -> list[Agent]:
    first = await start("a", tags={"mesh": "1"})
    agents = [first, await start("b"), await start("c")]
    for agent in agents[1:]:
        assert 1 == await agent.join([first.local.endpoint])
    await until(lambda: all(present(agent) == {"a", "b", "c"} for agent in agents))
    return agents


async def test_agents_join_and_show_their_tags(start: Start) -> None:
    agents = await three(start)

    assert all({"mesh": "1"} == (m.tags if (m := agent.member("a")) else None) for agent in agents)


async def test_a_member_that_leaves_is_left(start: Start) -> None:
    a, b, c = await three(start)
    events = a.events()
    assert await c.leave()
    await c.close()

    await until(lambda: all(state(agent, "c") is MemberState.LEFT for agent in (a, b)))
    await a.close()
    changes = [e.change async for e in events if isinstance(e, MemberEvent) and e.member.name == "c"]
    assert [MemberChange.LEFT] == changes


async def test_a_killed_member_is_dead_and_gets_back_in_under_its_name(start: Start) -> None:
    a, b, c = await three(start)
    events = a.events()
    await c.close()
    await until(lambda: all(state(agent, "c") is MemberState.DEAD for agent in (a, b)))

    again = await start("c", tags={"mesh": "2"})
    assert again.local.endpoint != c.local.endpoint
    await again.join([a.local.endpoint])
    await until(lambda: all(present(agent) == {"a", "b", "c"} for agent in (a, b, again)))

    await a.close()
    changes = [e.change async for e in events if isinstance(e, MemberEvent) and e.member.name == "c"]
    assert [MemberChange.SUSPECTED, MemberChange.DIED, MemberChange.JOINED] == changes


async def test_a_member_restarted_before_anyone_noticed_is_updated(start: Start) -> None:
    a, b, c = await three(start)
    await c.close()
    again = await start("c", bind=c.local.endpoint, tags={"mesh": "2"}, join=(a.local.endpoint,))

    await until(lambda: all((m := x.member("c")) and m.is_alive and m.tags == {"mesh": "2"} for x in (a, b)))
    assert {"a", "b", "c"} == present(again)


async def test_two_agents_of_one_name_both_hear_of_it_and_the_first_stays(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    measured: list[str] = []
    a, b, c = await three(start)
    holder = await start("d", join=(a.local.endpoint,), metrics=lambda name, value, attributes: measured.append(name))
    await until(lambda: all("d" in present(agent) for agent in (a, b, c)))
    await until(lambda: holder.counters.packets_received > 50)  # it has been probed, as an established member is
    twin = await start("d", join=(a.local.endpoint,))

    await until(lambda: all(agent.counters.name_conflicts for agent in (holder, twin)))
    assert "gossip.name_conflicts" in measured
    assert f"'d' is held by {holder.local.endpoint}; rename one of them" in caplog.text
    assert all((m := agent.member("d")) and m.endpoint == holder.local.endpoint for agent in (a, b, c))


async def test_the_list_is_tried_until_somebody_is_there_and_again_when_alone(start: Start) -> None:
    first = await start("a")
    endpoint = first.local.endpoint
    await first.close()
    second = await start("b", join=(endpoint,))

    again = await start("a", bind=endpoint)
    await until(lambda: {"a", "b"} == present(again) == present(second))


async def test_the_list_leads_to_who_was_away_although_nobody_is_alone(start: Start) -> None:
    away = await start("c")
    endpoint = away.local.endpoint
    await away.close()
    first = await start("a")
    second = await start("b", join=(first.local.endpoint, endpoint))
    await until(lambda: {"a", "b"} == present(first) == present(second))

    again = await start("c", bind=endpoint)
    await until(lambda: {"a", "b", "c"} == present(first) == present(second) == present(again))


async def test_new_tags_reach_the_others(start: Start) -> None:
    a, b, _ = await three(start)
    b.set_tags({"mesh": "new"})

    await until(lambda: (m := a.member("b")) is not None and m.tags == {"mesh": "new"})


async def test_a_broadcast_reaches_the_others(start: Start) -> None:
    a, b, c = await three(start)
    streams = [agent.events() for agent in (b, c)]
    a.broadcast(b"hello")

    for stream in streams:
        async with asyncio.timeout(10):
            async for event in stream:
                if event == gossip.UserMessage(b"hello"):
                    break


async def test_events_and_queries_of_the_serf_layer_reach_the_others(start: Start) -> None:
    serf = gossip.SerfConfig()
    a, b = await start("a", serf=serf), await start("b", serf=serf)
    a.set_state(lambda: b"rides along")
    await b.join([a.local.endpoint])
    await until(lambda: present(a) == present(b) == {"a", "b"})
    seen: list[gossip.Event] = []

    async def answer() -> None:
        async for event in b.events():
            seen.append(event)
            if isinstance(event, gossip.Query):
                event.respond(b"pong " + event.payload)

    reader = asyncio.create_task(answer())
    await asyncio.sleep(0)
    await b.join([a.local.endpoint])
    a.user_event("deploy", b"12")

    assert {"b": b"pong 1"} == await a.query("ask", b"1", timeout_s=10)
    assert {} == await a.query("ask", b"1", nodes=["nobody"], timeout_s=0.2)
    await until(lambda: gossip.UserEvent("deploy", b"12", 1) in seen)
    await until(lambda: gossip.UserState(b"rides along") in seen)
    assert await b.leave()
    await until(lambda: gossip.Status.LEFT is a.status("b"))
    await b.close()
    await reader


async def test_commands_of_the_serf_layer_want_it_on(start: Start) -> None:
    a = await start("a")
    with pytest.raises(gossip.GossipError, match="SerfConfig"):
        a.user_event("deploy")


async def test_the_metrics_hook_gets_each_value(start: Start) -> None:
    samples: list[tuple[str, float, dict[str, str]]] = []
    a = await start("a", metrics=lambda name, value, attributes: samples.append((name, value, dict(attributes))))
    b = await start("b")
    await b.join([a.local.endpoint])
    a.on_datagram(b"\x63", LOOPBACK)
    await b.close()
    await until(lambda: state(a, "b") is MemberState.DEAD)

    assert ("gossip.packets.rejected", 1, {"reason": "unknown_type"}) in samples
    assert ("gossip.member.changes", 1, {"change": "suspected"}) in samples
    assert any(name == "gossip.probe.duration" and 0 < value for name, value, _ in samples)
    assert any(name == "gossip.local_health" for name, _, _ in samples)


async def test_a_join_that_reaches_nobody_says_why(start: Start) -> None:
    a = await start("a")
    gone = await start("b")
    await gone.close()

    with pytest.raises(gossip.JoinError, match=str(gone.local.endpoint.port)):
        await a.join([gone.local.endpoint])


async def test_leaving_the_block_leaves_the_cluster() -> None:
    async with Agent(AgentConfig(name="a", bind=LOOPBACK, swim=QUICK)) as a:
        async with Agent(AgentConfig(name="b", bind=LOOPBACK, swim=QUICK)) as b:
            await b.join([a.local.endpoint])

        await until(lambda: state(a, "b") is MemberState.LEFT)


async def test_leaving_the_block_by_an_exception_closes_at_once() -> None:
    async def broken(a: Agent) -> None:
        async with Agent(AgentConfig(name="b", bind=LOOPBACK, swim=QUICK)) as b:
            await b.join([a.local.endpoint])
            raise ValueError("broken")

    async with Agent(AgentConfig(name="a", bind=LOOPBACK, swim=QUICK)) as a:
        with pytest.raises(ValueError, match="broken"):
            await broken(a)

        await until(lambda: state(a, "b") is MemberState.DEAD)


async def test_garbage_is_counted_by_reason_and_changes_nothing() -> None:
    async with Agent(AgentConfig(name="a", bind=LOOPBACK, swim=QUICK)) as agent:
        sender, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(agent.local.endpoint.host, agent.local.endpoint.port)
        )
        before = agent.members()
        for packet in (b"\x63garbage", b"\x00\xc1", b"\x0c\x00\x00\x00\x00\x02", bytes(60_000)):
            sender.sendto(packet)
        await until(lambda: agent.counters.rejected.total() == 4)
        sender.close()

        reader, writer = await asyncio.open_connection(*agent.local.endpoint)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

        assert b"\x0d" == answer[:1]
        assert before == agent.members()
        reasons = agent.counters.rejected
        assert 1 == reasons[gossip.RejectReason.UNKNOWN_TYPE]
        assert 1 == reasons[gossip.RejectReason.CHECKSUM]


async def test_a_taken_port_is_named_and_nothing_stays_open() -> None:
    async with Agent(AgentConfig(name="a", bind=LOOPBACK, swim=QUICK)) as agent:
        with pytest.raises(gossip.PortTaken, match=str(agent.local.endpoint.port)):
            await Agent(AgentConfig(name="b", bind=agent.local.endpoint, swim=QUICK)).start()


async def test_an_encrypted_cluster_lets_nobody_in_without_the_key() -> None:
    keyed = replace(QUICK, keyring=gossip.Keyring([bytes(32)]), label="lab")
    other = replace(QUICK, keyring=gossip.Keyring([b"x" * 32]), label="lab")
    async with (
        Agent(AgentConfig(name="a", bind=LOOPBACK, swim=keyed)) as a,
        Agent(AgentConfig(name="b", bind=LOOPBACK, swim=keyed)) as b,
        Agent(AgentConfig(name="plain", bind=LOOPBACK, swim=QUICK)) as plain,
        Agent(AgentConfig(name="wrong", bind=LOOPBACK, swim=other)) as wrong,
    ):
        await b.join([a.local.endpoint])
        await until(lambda: {"a", "b"} == present(a) == present(b))
        for stranger in (plain, wrong):
            with pytest.raises(gossip.JoinError):
                await stranger.join([a.local.endpoint])

        assert {"a", "b"} == {member.name for member in a.members()}


async def test_an_agent_that_is_not_running_says_so() -> None:
    agent = Agent(AgentConfig(name="a", bind=LOOPBACK))
    with pytest.raises(gossip.GossipError, match="not running"):
        agent.members()

    await agent.start()
    with pytest.raises(gossip.GossipError, match="started already"):
        await agent.start()
    await agent.close()
    with pytest.raises(gossip.GossipError, match="not running"):
        await agent.join([agent.local.endpoint])
