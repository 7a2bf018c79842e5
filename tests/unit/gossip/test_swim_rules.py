"""The rules for claims, one node at a time: what is fed in are encoded packets, as from the wire."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gossip.codec import encode
from gossip.config import LAN, SwimConfig
from gossip.errors import BroadcastTooLarge, ConfigError, RejectReason
from gossip.identity import INCARNATION_CLAIM_MAX, INCARNATION_MAX, Endpoint, NodeName, address_of
from gossip.members import Member
from gossip.messages import Alive, Dead, MemberState, Message, Ping, Suspect, User
from gossip.outputs import (
    Event,
    MemberChange,
    MemberEvent,
    NameConflict,
    PacketRejected,
    Refuted,
    SendDatagram,
    UserMessage,
)
from gossip.packets import PacketLayers
from gossip.rules import TRANSITIONS, Claim
from gossip.swim import Swim

SECOND = 1_000_000_000
SELF, PEER, ACCUSER = NodeName("self"), NodeName("peer"), NodeName("accuser")
HOME, PEER_HOME, AWAY = Endpoint("10.0.0.1", 7946), Endpoint("10.0.0.2", 7946), Endpoint("10.0.0.9", 7946)
VERSIONS = bytes([1, 5, 2, 2, 5, 4])


class Node:
    """One machine and what it said; incarnation 5 is what it knows of its peer."""

    def __init__(self, config: SwimConfig = LAN, *, peer_state: MemberState | None = MemberState.ALIVE) -> None:
        self.now_ns = 0
        self.swim = Swim(config, name=SELF, endpoint=HOME, rng=Random(1), now_ns=0)
        if peer_state is not None:
            self.feed(alive(5))
        if peer_state is MemberState.SUSPECT:
            self.feed(Suspect(5, PEER, ACCUSER))
        elif peer_state is MemberState.DEAD:
            self.feed(Dead(5, PEER, ACCUSER))
        elif peer_state is MemberState.LEFT:
            self.feed(Dead(5, PEER, PEER))
        self.events()
        self.swim.take_outgoing()

    def feed(self, *messages: Message) -> None:
        for message in messages:
            self.swim.receive(encode(message), PEER_HOME, now_ns=self.now_ns)

    def events(self) -> list[Event]:
        return self.swim.take_events()

    def changes(self) -> list[MemberChange]:
        return [event.change for event in self.events() if isinstance(event, MemberEvent)]

    def rejected(self) -> list[RejectReason]:
        return [event.reason for event in self.events() if isinstance(event, PacketRejected)]

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)
        self.swim.tick(now_ns=self.now_ns)

    def gossip(self) -> list[Message]:
        """What is on its way to others after one gossip interval."""
        self.advance(0.2)
        packets = [out.data for out in self.swim.take_outgoing() if isinstance(out, SendDatagram)]
        return [message for packet in packets for message in PacketLayers().open(packet).messages]

    @property
    def peer(self) -> Member | None:
        return self.swim.member(PEER)

    @property
    def peer_state(self) -> MemberState | None:
        return None if self.peer is None else self.peer.state


def alive(incarnation: int, *, node: NodeName = PEER, at: Endpoint = PEER_HOME, **fields: Any) -> Alive:
    return Alive(
        incarnation=incarnation,
        node=node,
        address=address_of(at.host),
        port=at.port,
        **({"versions": VERSIONS} | fields),
    )


CLAIMS: dict[Claim, Callable[[int], Message]] = {
    Claim.ALIVE: alive,
    Claim.SUSPECT: lambda incarnation: Suspect(incarnation, PEER, NodeName("other")),
    Claim.DEAD: lambda incarnation: Dead(incarnation, PEER, NodeName("other")),
    Claim.LEFT: lambda incarnation: Dead(incarnation, PEER, PEER),
}
STATES: list[MemberState | None] = [None, *MemberState]


@pytest.mark.parametrize(("state", "claim"), list(itertools.product(STATES, Claim)))
@pytest.mark.parametrize("incarnation", [4, 5, 6])
def test_the_table_decides(state: MemberState | None, claim: Claim, incarnation: int) -> None:
    node = Node(peer_state=state)
    rule = TRANSITIONS.get((state, claim))
    is_effective = rule is not None and (
        state is None or incarnation > 5 or (incarnation == 5 and not rule.needs_newer)
    )

    node.feed(CLAIMS[claim](incarnation))

    if not is_effective or rule is None:
        assert state == node.peer_state
        assert [] == node.changes()
    else:
        assert rule.state == node.peer_state
        assert ([rule.change] if rule.change else []) == node.changes()


def test_the_table_covers_what_the_protocol_knows() -> None:
    gone = (MemberState.DEAD, MemberState.LEFT)

    assert all((state, Claim.ALIVE) in TRANSITIONS for state in STATES)
    assert not any((state, claim) in TRANSITIONS for state in gone for claim in Claim if claim is not Claim.ALIVE)
    assert all(rule.needs_newer for (state, claim), rule in TRANSITIONS.items() if state and claim is Claim.ALIVE)


# --- events and values


def test_changed_metadata_is_an_update_and_a_new_version_alone_is_not() -> None:
    node = Node()
    node.feed(alive(6, meta=b"new"))
    assert [MemberChange.UPDATED] == node.changes()

    node.feed(alive(7, meta=b"new", versions=bytes([1, 5, 2, 2, 5, 5])))
    assert [] == node.changes()
    assert node.peer is not None
    assert (7, b"new") == (node.peer.incarnation, node.peer.meta)


def test_an_event_shows_the_member_before_and_after() -> None:
    node = Node()
    node.feed(alive(6, meta=b"new"))
    event = node.events()[0]

    assert isinstance(event, MemberEvent)
    assert event.previous is not None
    assert (b"", b"new") == (event.previous.meta, event.member.meta)


def test_a_claim_that_changed_something_is_passed_on_and_an_echo_is_not() -> None:
    node = Node()
    while node.gossip():
        pass

    node.feed(Suspect(5, PEER, ACCUSER))
    assert Suspect(5, PEER, ACCUSER) in node.gossip()
    while any(isinstance(message, Suspect) for message in node.gossip()):
        pass
    node.feed(Suspect(5, PEER, ACCUSER))
    assert Suspect(5, PEER, ACCUSER) not in node.gossip()


def test_an_address_is_passed_on_in_the_form_in_which_it_came() -> None:
    mapped = bytes(10) + b"\xff\xff" + address_of(PEER_HOME.host)
    node = Node(peer_state=None)
    node.feed(replace(alive(1), address=mapped))

    assert [mapped] == [m.address for m in node.gossip() if isinstance(m, Alive) and m.node == PEER][:1]
    assert node.peer is not None
    assert PEER_HOME == node.peer.endpoint


# --- suspicion


def test_a_suspect_that_does_not_refute_is_declared_dead() -> None:
    node = Node()
    node.feed(Suspect(5, PEER, ACCUSER))
    node.advance(3.9)
    assert [MemberChange.SUSPECTED] == node.changes()

    node.advance(0.2)
    assert [MemberChange.DIED] == node.changes()
    assert MemberState.DEAD is node.peer_state


def test_a_refutation_in_time_saves_a_suspect() -> None:
    node = Node()
    node.feed(Suspect(5, PEER, ACCUSER))
    node.advance(3.5)
    node.feed(alive(6))
    node.advance(1.0)

    assert MemberChange.REFUTED in node.changes()
    assert MemberState.DEAD is not node.peer_state


def test_a_stale_suspicion_does_not_kill_a_newer_incarnation() -> None:
    node = Node()
    node.feed(Suspect(5, PEER, ACCUSER), alive(6), Suspect(5, PEER, NodeName("late")))
    node.advance(30)

    assert MemberChange.DIED not in [
        e.change for e in node.events() if isinstance(e, MemberEvent) and e.member.incarnation == 5
    ]


def test_independent_accusers_shorten_a_suspicion_and_are_passed_on() -> None:
    node = Node()
    for number in range(6):
        node.feed(alive(1, node=NodeName(f"n{number}"), at=Endpoint("10.0.1.1", 1_000 + number)))
    node.feed(Suspect(5, PEER, ACCUSER))
    assert Suspect(5, PEER, ACCUSER) in node.gossip()

    node.feed(Suspect(5, PEER, NodeName("n1")))
    assert Suspect(5, PEER, NodeName("n1")) in node.gossip()
    node.feed(Suspect(5, PEER, NodeName("n2")))
    node.advance(4.0)

    assert MemberState.DEAD is node.peer_state


def test_one_accuser_alone_needs_long() -> None:
    node = Node(replace(LAN, indirect_probes=0, is_stream_probe_enabled=False))
    for number in range(6):
        node.feed(alive(1, node=NodeName(f"n{number}"), at=Endpoint("10.0.1.1", 1_000 + number)))
    node.feed(Suspect(5, PEER, SELF))
    node.advance(23.9)

    assert MemberState.SUSPECT is node.peer_state


# --- claims about this node


@pytest.mark.parametrize("claim", [Suspect(1, SELF, PEER), Dead(1, SELF, PEER), Dead(1, SELF, SELF)])
def test_a_false_claim_about_this_node_is_refuted_with_a_higher_incarnation(claim: Message) -> None:
    node = Node()
    node.feed(claim)

    assert 2 == node.swim.local.incarnation
    assert MemberState.ALIVE is node.swim.local.state
    assert Refuted(2) in node.events()
    assert 1 == node.swim.local_health
    assert [2] == [m.incarnation for m in node.gossip() if isinstance(m, Alive) and m.node == SELF]


def test_an_older_claim_about_this_node_needs_no_answer() -> None:
    node = Node()
    node.feed(Suspect(1, SELF, PEER), Suspect(1, SELF, PEER), Dead(1, SELF, PEER))

    assert 2 == node.swim.local.incarnation


def test_an_echo_of_a_former_run_is_refuted_above_its_incarnation() -> None:
    node = Node()
    node.feed(alive(7, node=SELF, at=HOME, meta=b"old metadata"))

    assert 8 == node.swim.local.incarnation


def test_an_echo_of_ourselves_is_not_refuted() -> None:
    node = Node()
    node.feed(alive(1, node=SELF, at=HOME))

    assert 1 == node.swim.local.incarnation


def test_a_leaving_node_does_not_refute_its_own_leave() -> None:
    node = Node()
    node.swim.leave(now_ns=0)
    node.feed(Dead(1, SELF, SELF), alive(9, node=SELF, at=HOME), Suspect(3, SELF, PEER))

    assert MemberState.LEFT is node.swim.local.state
    assert 1 == node.swim.local.incarnation


# --- addresses and names


def test_a_live_member_keeps_its_name_and_both_sides_hear_of_the_conflict() -> None:
    holder = Node()
    holder.feed(alive(6, at=AWAY))
    assert NameConflict(PEER, PEER_HOME, AWAY) in holder.events()
    assert holder.peer is not None
    assert PEER_HOME == holder.peer.endpoint

    claimant = Node()
    claimant.feed(alive(1, node=SELF, at=AWAY))
    assert NameConflict(SELF, AWAY, HOME) in claimant.events()


def test_the_holder_of_a_name_is_told_of_a_second_one_once_per_probe_interval() -> None:
    node = Node()
    second = alive(6, at=AWAY)
    node.feed(second, second, second)
    told = [out for out in node.swim.take_outgoing() if isinstance(out, SendDatagram)]

    assert [SendDatagram(PEER_HOME, encode(second))] == told


def test_who_is_probed_under_a_name_holds_it() -> None:
    node = Node()
    node.feed(Ping(1, SELF), alive(1, node=SELF, at=AWAY))

    assert NameConflict(SELF, HOME, AWAY) in node.events()


def test_old_news_of_a_former_address_is_no_conflict_unless_first_hand() -> None:
    node = Node()
    old = encode(alive(4, at=AWAY))
    node.swim.receive(old, PEER_HOME, now_ns=0)
    assert [] == node.events()

    node.swim.receive(old, AWAY, now_ns=0)
    assert [NameConflict(PEER, PEER_HOME, AWAY)] == node.events()


@pytest.mark.parametrize("state", [MemberState.DEAD, MemberState.LEFT])
def test_a_gone_member_may_come_back_at_another_address(state: MemberState) -> None:
    node = Node(peer_state=state)
    node.feed(alive(6, at=AWAY))

    assert [MemberChange.JOINED] == node.changes()
    assert node.peer is not None
    assert AWAY == node.peer.endpoint


def test_a_stale_announcement_can_not_bring_the_old_address_back() -> None:
    node = Node(peer_state=MemberState.DEAD)
    node.feed(alive(5, at=AWAY), alive(4, at=AWAY))

    assert MemberState.DEAD is node.peer_state


def test_reclaiming_can_be_delayed_or_forbidden() -> None:
    delayed = Node(replace(LAN, dead_reclaim_s=10.0), peer_state=MemberState.DEAD)
    delayed.now_ns = 9 * SECOND
    delayed.feed(alive(6, at=AWAY))
    assert [] == delayed.changes()
    delayed.now_ns = 10 * SECOND
    delayed.feed(alive(6, at=AWAY))
    assert MemberState.ALIVE is delayed.peer_state

    forbidden = Node(replace(LAN, dead_reclaim_s=None), peer_state=MemberState.DEAD)
    forbidden.now_ns = 10_000 * SECOND
    forbidden.feed(alive(6, at=AWAY))
    assert MemberState.DEAD is forbidden.peer_state


# --- admission


def test_incompatible_versions_are_refused_at_the_door() -> None:
    node = Node(peer_state=None)
    node.feed(alive(1, versions=bytes([1, 5, 2, 0, 0, 0])), alive(1, versions=bytes([0, 0, 0])))

    assert node.peer is None
    assert [RejectReason.VERSION] * 2 == node.rejected()


def test_addresses_outside_the_allowed_networks_are_refused() -> None:
    node = Node(replace(LAN, networks_allowed=("10.0.0.0/30", "::/0")), peer_state=None)
    node.feed(alive(1, at=AWAY), alive(1, at=Endpoint(PEER_HOME.host, 0)))
    assert node.peer is None
    assert [RejectReason.ADDRESS] * 2 == node.rejected()

    node.feed(alive(1))
    assert MemberState.ALIVE is node.peer_state


def test_a_full_table_keeps_who_is_there() -> None:
    node = Node(replace(LAN, members_max=3))
    node.feed(alive(1, node=NodeName("third"), at=AWAY))
    for number in range(100):
        node.feed(alive(1, node=NodeName(f"flood{number}"), at=Endpoint("10.0.0.8", 1 + number)))

    assert ["self", "peer", "third"] == [m.name for m in node.swim.members()]
    assert [RejectReason.MEMBERS_FULL] * 100 == node.rejected()


def test_an_incarnation_may_only_jump_so_far() -> None:
    node = Node(replace(LAN, incarnation_jump_max=100))
    node.feed(alive(106), Suspect(106, PEER, ACCUSER), Dead(106, PEER, ACCUSER))
    assert node.peer is not None
    assert (5, MemberState.ALIVE) == (node.peer.incarnation, node.peer.state)
    assert [RejectReason.INCARNATION] * 3 == node.rejected()

    node.feed(alive(105))
    assert 105 == node.peer.incarnation


def test_there_is_always_room_above_an_accusation_to_refute_it() -> None:
    node = Node(peer_state=None)
    node.feed(Suspect(INCARNATION_MAX, SELF, PEER), alive(INCARNATION_CLAIM_MAX + 1))
    assert 1 == node.swim.local.incarnation
    assert node.peer is None
    assert [RejectReason.INCARNATION] * 2 == node.rejected()

    node.feed(Suspect(INCARNATION_CLAIM_MAX, SELF, PEER))
    assert INCARNATION_CLAIM_MAX + 1 == node.swim.local.incarnation


# --- commands


def test_new_metadata_is_announced_with_the_next_incarnation() -> None:
    node = Node()
    node.swim.set_meta(b"new", now_ns=0)

    assert (2, b"new") == (node.swim.local.incarnation, node.swim.local.meta)
    assert [(2, b"new")] == [(m.incarnation, m.meta) for m in node.gossip() if isinstance(m, Alive) and m.node == SELF]


def test_metadata_that_does_not_change_is_not_announced() -> None:
    node = Node()
    node.swim.set_meta(b"", now_ns=0)

    assert 1 == node.swim.local.incarnation


def test_a_broadcast_reaches_others_as_it_is_and_comes_out_as_an_event() -> None:
    node = Node()
    node.swim.broadcast(b"hello", now_ns=0)
    assert User(b"hello") in node.gossip()

    node.feed(User(b"hi"))
    assert UserMessage(b"hi") in node.events()


def test_a_broadcast_that_can_never_fit_is_refused_at_once() -> None:
    node = Node()
    with pytest.raises(BroadcastTooLarge, match="packet_size_bytes_max=1400"):
        node.swim.broadcast(bytes(1_396), now_ns=0)

    node.swim.broadcast(bytes(1_395), now_ns=0)
    assert any(User(bytes(1_395)) in node.gossip() for _ in range(20))


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_name_that_can_not_be_announced_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="node name"):
        Swim(LAN, name=name, endpoint=HOME, rng=Random(1), now_ns=0)
