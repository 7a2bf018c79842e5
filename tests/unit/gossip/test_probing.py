"""Probe rounds and pings for others, one machine at a time; the neighbours are played by the test."""

from dataclasses import replace
from random import Random

from gossip.codec import encode
from gossip.config import LAN, SwimConfig
from gossip.errors import RejectReason
from gossip.identity import Endpoint, NodeName, address_of
from gossip.messages import Ack, Alive, IndirectPing, Message, Nack, Ping, Suspect
from gossip.outputs import Event, OpenStream, Outgoing, PacketRejected, ProbeFinished, ProbeOutcome, SendDatagram
from gossip.packets import PacketLayers
from gossip.streams import StreamReader, encode_for_stream
from gossip.swim import Swim

SECOND = 1_000_000_000
HOME = Endpoint("10.0.0.1", 7946)
STRANGER = Endpoint("192.0.2.66", 53)
VERSIONS = bytes([1, 5, 2, 2, 5, 4])


def name(number: int) -> NodeName:
    return NodeName(f"n{number}")


def home(number: int) -> Endpoint:
    return Endpoint(f"10.0.1.{number}", 7946)


class Node:
    """One machine with neighbours n1, n2, ...; updates are drained, so that packets hold nothing but what is asked."""

    def __init__(self, neighbours: int, config: SwimConfig = LAN) -> None:
        self.now_ns = 0
        self.swim = Swim(replace(config, push_pull_interval_s=0), name="self", endpoint=HOME, rng=Random(1), now_ns=0)
        for number in range(1, neighbours + 1):
            claim = Alive(
                incarnation=1,
                node=name(number),
                address=address_of(home(number).host),
                port=7946,
                versions=VERSIONS,
            )
            self.feed(claim, home(number))
        self._quieten()
        self.events: list[Event] = []

    def feed(self, message: Message, source: Endpoint) -> None:
        self.swim.receive(encode(message), source, now_ns=self.now_ns)

    def advance(self, seconds: float) -> None:
        end_ns = self.now_ns + round(seconds * SECOND)
        while (due_ns := self.swim.next_deadline_ns()) is not None and due_ns <= end_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self.swim.tick(now_ns=self.now_ns)
        self.now_ns = end_ns

    def sent(self) -> list[tuple[Endpoint, Message]]:
        return [(out.destination, m) for out in self.outgoing() if isinstance(out, SendDatagram) for m in unpack(out)]

    def outgoing(self) -> list[Outgoing]:
        return self.swim.take_outgoing()

    def probe(self) -> tuple[Endpoint, Ping]:
        """Advances to the next direct ping."""
        for _ in range(100):
            for destination, message in self.sent():
                if isinstance(message, Ping):
                    return destination, message
            self.advance(0.05)
        raise AssertionError("no ping within 5 seconds")

    def finished(self) -> list[ProbeOutcome]:
        self.events += self.swim.take_events()
        return [event.outcome for event in self.events if isinstance(event, ProbeFinished)]

    def rejected(self) -> list[RejectReason]:
        return [event.reason for event in self.swim.take_events() if isinstance(event, PacketRejected)]

    def _quieten(self) -> None:
        """Lets the first announcements run out; probes meanwhile are answered."""
        for _ in range(60):
            self.advance(0.05)
            for destination, message in self.sent():
                if isinstance(message, Ping):
                    self.feed(Ack(message.sequence), destination)
        self.swim.take_events()


def unpack(out: SendDatagram) -> list[Message]:
    return PacketLayers().open(out.data).messages


def test_each_neighbour_is_asked_once_a_round_in_changing_order() -> None:
    node = Node(4)
    rounds = []
    for _ in range(2):
        asked = []
        for _ in range(4):
            destination, ping = node.probe()
            asked.append(destination)
            node.feed(Ack(ping.sequence), destination)
        rounds.append(asked)

    assert len(set(rounds[0] + rounds[1])) == 4
    assert {ProbeOutcome.ACKED} == set(node.finished())


def test_an_ack_with_another_number_does_not_count() -> None:
    node = Node(1)
    destination, ping = node.probe()
    node.feed(Ack(ping.sequence + 1), destination)
    node.advance(1.0)

    assert [ProbeOutcome.FAILED] == node.finished()


def test_a_silent_target_is_asked_through_others_and_by_stream() -> None:
    node = Node(4)
    destination, ping = node.probe()
    node.advance(0.5)
    outgoing = node.outgoing()

    requests = [m for out in outgoing if isinstance(out, SendDatagram) for m in unpack(out)]
    assert [IndirectPing] * 3 == [type(m) for m in requests]
    assert {ping.sequence} == {m.sequence for m in requests if isinstance(m, IndirectPing)}
    helpers = {out.destination for out in outgoing if isinstance(out, SendDatagram)}
    assert 3 == len(helpers - {destination})
    assert [destination] == [out.destination for out in outgoing if isinstance(out, OpenStream)]


def test_an_ack_through_a_helper_is_a_success() -> None:
    node = Node(2)
    destination, ping = node.probe()
    node.advance(0.6)
    node.feed(Ack(ping.sequence), home(1) if destination == home(2) else home(2))

    assert [ProbeOutcome.ACKED] == node.finished()


def test_helpers_that_answer_nack_show_that_we_are_well() -> None:
    node = Node(4)
    _, ping = node.probe()
    node.advance(0.6)
    for number in range(3):
        node.feed(Nack(ping.sequence), home(number))
    node.advance(0.5)

    assert [ProbeOutcome.FAILED] == node.finished()
    assert 0 == node.swim.local_health


def test_helpers_that_stay_silent_show_that_we_are_not() -> None:
    node = Node(4)
    node.probe()
    node.advance(1.1)

    assert ProbeOutcome.FAILED in node.finished()
    assert 3 == node.swim.local_health


def test_an_unhealthy_node_waits_longer_and_recovers_with_each_success() -> None:
    node = Node(4)
    node.probe()
    node.advance(1.1)
    destination, ping = node.probe()
    node.advance(3.5)
    assert 1 == len(node.finished())

    node.feed(Ack(ping.sequence), destination)
    assert 2 == node.swim.local_health


def test_a_suspect_hears_of_it_with_the_ping() -> None:
    node = Node(1)
    destination, _ = node.probe()
    node.advance(1.2)
    node.advance(1.0)
    packets = [
        unpack(out) for out in node.outgoing() if isinstance(out, SendDatagram) and out.destination == destination
    ]

    assert [Ping, Suspect] in [[type(m) for m in packet] for packet in packets]


def test_a_stream_answer_saves_a_member_and_is_reported_as_such() -> None:
    node = Node(1)
    _, ping = node.probe()
    node.advance(0.5)
    opened = next(out for out in node.outgoing() if isinstance(out, OpenStream))
    request = StreamReader(PacketLayers(), is_inbound=True, size_bytes_max=1_000).feed(opened.data)
    assert isinstance(request, Ping)
    assert ping.sequence == request.sequence

    node.swim.receive_stream(opened.stream, encode_for_stream(Ack(request.sequence)), now_ns=node.now_ns)
    node.advance(0.6)
    assert [ProbeOutcome.STREAM_ONLY] == node.finished()


# --- pings of others


def test_a_ping_for_us_is_answered_where_it_came_from() -> None:
    node = Node(1)
    node.feed(Ping(9, NodeName("self")), STRANGER)
    node.feed(Ping(10, NodeName("")), STRANGER)

    assert [(STRANGER, Ack(9)), (STRANGER, Ack(10))] == node.sent()


def test_a_ping_for_another_name_is_not_answered() -> None:
    node = Node(1)
    node.feed(Ping(9, NodeName("other")), home(1))

    assert [] == node.sent()
    assert [RejectReason.WRONG_NAME] == node.rejected()


def test_an_ack_is_never_aimed_at_a_third_party() -> None:
    node = Node(1)
    victim = Endpoint("198.51.100.1", 80)
    node.feed(Ping(9, NodeName("self"), address_of(victim.host), victim.port), STRANGER)

    assert [(STRANGER, Ack(9))] == node.sent()


def test_an_ack_goes_to_the_announced_port_of_the_sender() -> None:
    node = Node(1)
    node.feed(Ping(9, NodeName("self"), address_of(STRANGER.host), 7946), STRANGER)

    assert [(Endpoint(STRANGER.host, 7946), Ack(9))] == node.sent()


def test_a_stranger_gets_no_more_than_it_sent() -> None:
    node = Node(1)
    node.swim.set_meta(bytes(500), now_ns=node.now_ns)
    ping = Ping(9, NodeName("self"))
    node.feed(ping, STRANGER)

    sizes = [len(out.data) for out in node.outgoing() if isinstance(out, SendDatagram)]
    assert len(encode(ping)) >= max(sizes)


def indirect(node: Node, target: int, *, source: Endpoint, host: str | None = None) -> None:
    request = IndirectPing(
        sequence=77, node=name(target), target=address_of(host or home(target).host), port=7946, nack=True
    )
    node.feed(request, source)


def test_a_ping_for_another_member_is_passed_on_and_its_ack_passed_back() -> None:
    node = Node(2, replace(LAN, probe_interval_s=1_000.0))
    indirect(node, 1, source=home(2))
    (destination, ping), *_ = node.sent()
    assert home(1) == destination
    assert isinstance(ping, Ping)
    assert 77 != ping.sequence

    node.feed(Ack(ping.sequence), home(1))
    assert [(home(2), Ack(77))] == node.sent()
    node.advance(1)
    assert [] == node.sent()


def test_a_target_that_stays_silent_is_a_nack_and_its_late_ack_is_dropped() -> None:
    node = Node(2, replace(LAN, probe_interval_s=1_000.0))
    indirect(node, 1, source=home(2))
    (_, ping), *_ = node.sent()
    node.advance(0.5)
    assert [(home(2), Nack(77))] == node.sent()

    assert isinstance(ping, Ping)
    node.feed(Ack(ping.sequence), home(1))
    assert [] == node.sent()


def test_we_ping_nobody_but_members_and_for_nobody_but_members() -> None:
    node = Node(2, replace(LAN, probe_interval_s=1_000.0))
    indirect(node, 1, source=STRANGER)
    indirect(node, 9, source=home(2))
    indirect(node, 1, source=home(2), host="198.51.100.1")

    assert [] == node.sent()
    assert [RejectReason.UNKNOWN_TARGET] * 3 == node.rejected()
