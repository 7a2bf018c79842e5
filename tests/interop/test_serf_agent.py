"""Our nodes in clusters of real Serf agents, plain and encrypted.

Two clusters run through their stories at the same time, once for all tests of this file; each test then looks at one
thing that was seen. A step that fails leaves its name out of what was seen.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import gossip
from crdtmesh.local_node import LocalNode
from tests.e2e.watch import status
from tests.interop.serf import PROGRAM, SerfAgent, until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(PROGRAM is None, reason="the program serf is missing; install the package serf"),
]

HOLD_S = 60.0
"""For so long nobody may doubt us."""

KEY = base64.b64encode(bytes(range(32))).decode()
NEW_KEY = base64.b64encode(bytes(range(32, 64))).decode()


@dataclass(slots=True)
class Seen:
    """What a story brought to light, and the errors of the steps that broke it."""

    facts: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[float, gossip.Event]] = field(default_factory=list)

    def times(self, change: gossip.MemberChange, name: str) -> list[float]:
        return [
            at
            for at, event in self.events
            if isinstance(event, gossip.MemberEvent) and event.change is change and event.member.name == name
        ]

    def user_events(self) -> list[tuple[str, bytes]]:
        return [(e.name, e.payload) for _, e in self.events if isinstance(e, gossip.UserEvent)]


class Story:
    """One cluster: Serf agents and an agent of ours, `lib`."""

    def __init__(self, folder: Path, network: str, key: str | None) -> None:
        self.folder = folder
        self.network = network
        self.key = key
        self.seen = Seen()
        self.agents: list[SerfAgent] = []
        keyring = gossip.Keyring([base64.b64decode(key)]) if key else None
        self.lib = gossip.Agent(
            gossip.AgentConfig(
                name="lib",
                bind=gossip.Endpoint(f"{network}.100", 7946),
                tags={"role": "python", "zone": "a"},
                swim=gossip.SwimConfig(keyring=keyring),
                serf=gossip.SerfConfig(),
            )
        )

    async def add(self, name: str) -> SerfAgent:
        agent = SerfAgent(name, f"{self.network}.{len(self.agents) + 1}", self.folder)
        join = self.agents[0].endpoint if self.agents else None
        self.agents.append(agent)
        await agent.start(join=join, key=self.key)
        return agent

    async def begin(self) -> None:
        first = await self.add("s1")
        await self.add("s2")
        await self.lib.start()
        self._reader = asyncio.create_task(self._read(self.lib.events()))
        await asyncio.sleep(0)
        await self.lib.join([first.endpoint])
        for agent in self.agents:
            await agent.until_status("lib", "alive")
        self.seen.facts["tags"] = [(await a.members())["lib"]["tags"] for a in self.agents]

    async def talk(self) -> None:
        """Events, queries and keys, both ways."""
        first, second = self.agents[:2]
        self.lib.user_event("from-lib", b"hello")
        await first.run("event", "-coalesce=false", "from-serf", "world")
        _, out = await second.run("query", "-format=json", "-timeout=3s", "ask-lib", "ping")
        self.seen.facts["query"] = json.loads(out)
        self.seen.facts["answers"] = await self.lib.query("load")
        self.seen.facts["reachability"] = await first.run("reachability")
        if self.key:
            steps = (("-list",), (f"-install={NEW_KEY}",), (f"-use={NEW_KEY}",), (f"-remove={self.key}",), ("-list",))
            self.seen.facts["keys"] = [await first.run("keys", *step) for step in steps]
        await until(lambda: ("from-serf", b"world") in self.seen.user_events())
        await until(lambda: all(a.events.exists() and "from-lib" in a.events.read_text() for a in (first, second)))
        self.seen.facts["delivered"] = [a.events.read_text() for a in (first, second)]

    async def meet_a_latecomer(self) -> None:
        if self.key:
            self.key = NEW_KEY
        await self.add("s3")
        await until(lambda: (m := self.lib.member("s3")) is not None and m.is_alive)
        self.seen.facts["latecomer"] = await self.agents[2].until_status("lib", "alive")

    async def lose_one(self) -> None:
        """Kills one of four members."""
        self.agents[2].kill()
        await until(lambda: bool(self.seen.times(gossip.MemberChange.DIED, "s3")), seconds=40)

    async def leave(self) -> None:
        self.seen.facts["suspicions"] = [a.suspicions("lib") for a in self.agents]
        self.seen.facts["refutations"] = self.lib.counters.refutations
        self.seen.facts["rtt"] = await self.agents[0].run("rtt", "lib")
        self.seen.facts["rtt_s"] = self.lib.rtt_s("s1")
        self.seen.facts["complete"] = await self.lib.leave()
        alive = [a for a in self.agents if a.name != "s3" or not self.seen.times(gossip.MemberChange.DIED, "s3")]
        self.seen.facts["left"] = [await a.until_status("lib", "left") for a in alive]

    async def close(self) -> None:
        await self.lib.close()
        await self._reader
        for agent in self.agents:
            await agent.close()

    async def _read(self, events: gossip.EventStream) -> None:
        async for event in events:
            self.seen.events.append((time.monotonic(), event))
            if isinstance(event, gossip.Query):
                event.respond(b"pong " + event.payload)


async def plain_story(folder: Path) -> Seen:
    """With a whole node beside the agent: it is stopped and goes on, while nobody may ever doubt the agent."""
    story = Story(folder, "127.0.81", None)
    node = LocalNode(
        "mesh", folder, cluster="interop", arguments=("--discovery", "static", "--join", "127.0.81.1:7946")
    )
    try:
        await story.begin()
        started = time.monotonic()
        await node.start()
        await asyncio.gather(story.talk(), *(a.until_status("mesh", "alive") for a in story.agents))
        await story.meet_a_latecomer()
        story.seen.facts["mesh tags"] = [(await a.members())["mesh"]["tags"] for a in story.agents]
        story.seen.facts["mesh peers"] = [peer.name for peer in (await status(node)).peers]
        await _stop_and_go(node, story)
        await asyncio.sleep(max(0.0, HOLD_S - (time.monotonic() - started)))
        await node.stop()
        story.seen.facts["mesh left"] = [await a.until_status("mesh", "left") for a in story.agents]
        await story.leave()
    finally:
        await node.kill()
        await story.close()
    return story.seen


async def _stop_and_go(node: LocalNode, story: Story) -> None:
    node.signal(signal.SIGSTOP)
    await asyncio.sleep(4)
    node.signal(signal.SIGCONT)
    await asyncio.sleep(8)
    story.seen.facts["mesh after a stop"] = [await a.status("mesh") for a in story.agents]


async def sealed_story(folder: Path) -> Seen:
    """With keys that are changed, and a member that is killed."""
    story = Story(folder, "127.0.82", KEY)
    try:
        await story.begin()
        await story.talk()
        await story.meet_a_latecomer()
        await asyncio.sleep(3)
        await story.lose_one()
        await _share_a_sealed_cluster(folder, story)
        await story.leave()
    finally:
        await story.close()
    return story.seen


async def _share_a_sealed_cluster(folder: Path, story: Story) -> None:
    """A whole node with the agents' key; they know no labels."""
    keys = folder / "gossip.keys"
    keys.write_text(f"{NEW_KEY}\n")
    keys.chmod(0o600)
    arguments = ("--discovery", "static", "--join", "127.0.82.1:7946", "--gossip-keys", str(keys), "--gossip-label", "")
    node = LocalNode("mesh", folder, cluster="interop", arguments=arguments)
    try:
        await node.start()
        story.seen.facts["sealed mesh"] = [await a.until_status("mesh", "alive") for a in story.agents[:2]]
        await node.stop()
        story.seen.facts["sealed mesh left"] = [await a.until_status("mesh", "left") for a in story.agents[:2]]
    finally:
        await node.kill()


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Both stories, told at the same time."""

    async def tell() -> dict[str, Seen]:
        folders = [tmp_path_factory.mktemp(name) for name in ("plain", "sealed")]
        plain, sealed = await asyncio.gather(plain_story(folders[0]), sealed_story(folders[1]))
        return {"plain": plain, "sealed": sealed}

    return asyncio.run(tell())


@pytest.fixture(params=["plain", "sealed"])
def seen(request: pytest.FixtureRequest, stories: dict[str, Seen]) -> Seen:
    return stories[request.param]


def test_every_agent_shows_our_node_alive_with_its_tags(seen: Seen) -> None:
    assert [{"role": "python", "zone": "a"}] * 2 == seen.facts["tags"]


def test_nobody_ever_doubts_our_node(seen: Seen) -> None:
    assert [[]] * 3 == seen.facts["suspicions"]
    assert 0 == seen.facts["refutations"]


def test_events_travel_both_ways(seen: Seen) -> None:
    assert [("from-serf", b"world")] == [e for e in seen.user_events() if e[0] == "from-serf"]
    assert all("hello" in text and "from-lib" in text for text in seen.facts["delivered"])


def test_queries_are_answered_both_ways(seen: Seen) -> None:
    assert {"lib": "pong ping"} == {k: v for k, v in seen.facts["query"]["Responses"].items() if k == "lib"}
    assert "lib" in seen.facts["query"]["Acks"]
    assert {b"42\n"} == {seen.facts["answers"][name] for name in ("s1", "s2")}
    assert 0 == seen.facts["reachability"][0]


def test_keys_are_listed_and_changed_with_our_node_in_the_cluster(stories: dict[str, Seen]) -> None:
    results = stories["sealed"].facts["keys"]

    assert [0] * 5 == [code for code, _ in results], results
    assert NEW_KEY in results[4][1]
    assert KEY not in results[4][1]


def test_agents_and_our_node_estimate_the_same_kind_of_time(seen: Seen) -> None:
    code, text = seen.facts["rtt"]
    estimate = re.search(r"rtt: ([\d.]+) ms", text)

    assert 0 == code, text
    assert estimate is not None, text
    assert 0 < float(estimate[1]) < 100
    assert 0 < seen.facts["rtt_s"] < 0.1


def test_a_later_agent_is_learned_of(seen: Seen) -> None:
    assert seen.facts["latecomer"]


def test_a_killed_member_is_failed_4_to_8_seconds_after_the_first_suspicion(stories: dict[str, Seen]) -> None:
    sealed = stories["sealed"]
    suspected = sealed.times(gossip.MemberChange.SUSPECTED, "s3")
    died = sealed.times(gossip.MemberChange.DIED, "s3")

    assert 1 == len(suspected) == len(died)
    # Half a second for the packets and the scheduler of a machine with two cores.
    assert 4.0 - 0.5 <= died[0] - suspected[0] <= 8.0 + 0.5


def test_a_node_of_the_mesh_shares_the_cluster(stories: dict[str, Seen]) -> None:
    facts = stories["plain"].facts

    assert all(tags["mesh"].startswith("1;c=") for tags in facts["mesh tags"])
    assert [] == facts["mesh peers"]


def test_a_node_of_the_mesh_shares_a_cluster_of_sealed_agents(stories: dict[str, Seen]) -> None:
    assert [True] * 2 == stories["sealed"].facts["sealed mesh"] == stories["sealed"].facts["sealed mesh left"]


def test_a_node_that_stood_still_for_4_seconds_refutes_the_suspicion(stories: dict[str, Seen]) -> None:
    plain = stories["plain"]

    assert ["alive"] * 3 == plain.facts["mesh after a stop"]
    assert [] == plain.times(gossip.MemberChange.DIED, "mesh")
    assert plain.times(gossip.MemberChange.SUSPECTED, "mesh")
    assert plain.times(gossip.MemberChange.REFUTED, "mesh")


def test_who_leaves_is_left_on_every_agent(stories: dict[str, Seen]) -> None:
    assert [True] * 3 == stories["plain"].facts["left"] == stories["plain"].facts["mesh left"]
    assert [True] * 2 == stories["sealed"].facts["left"]
    assert all(story.facts["complete"] for story in stories.values())
