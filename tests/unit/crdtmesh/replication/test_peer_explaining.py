"""What a peer knows of a key, asked for over the link."""

from __future__ import annotations

import random

from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication import wire
from crdtmesh.replication.explaining import Explanation
from crdtmesh.replication.outputs import EntryKey, PeerExplained, Rejected
from crdtmesh.replication.peer_explaining import ASKED_MAX, _read_answer, encode
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, remove

TIMEOUT_NS = 5_000_000_000


def ask(mesh: Mesh, key: EntryKey = LIST, peer: str = "b") -> None:
    mesh["a"].replica.explain_at(peer, key, ticket="t", timeout_ns=TIMEOUT_NS, now_ns=mesh.now_ns)


def answers(mesh: Mesh) -> list[Explanation | None]:
    mesh["a"].flush()
    return [event.explanation for event in mesh["a"].of(PeerExplained)]


def pair() -> Mesh:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.drain()
    return mesh


def test_a_peer_tells_exactly_what_it_would_tell_its_own_operator() -> None:
    mesh = pair()
    mesh.update("a", LIST, add("milk"), add("eggs"))
    mesh.update("b", LIST, add("bread"))
    mesh.drain()
    mesh.update("b", LIST, remove("eggs"))
    before = [mesh[name].replica.digest("shop") for name in "ab"]
    ask(mesh)
    mesh.drain()
    assert [mesh["b"].replica.explain(LIST)] == answers(mesh)
    assert before[1:] == [mesh["b"].replica.digest("shop")]


def test_a_key_that_the_peer_does_not_have_is_told_as_such() -> None:
    mesh = pair()
    ask(mesh, STOCK)
    mesh.drain()
    (found,) = answers(mesh)
    assert found is not None
    assert not found.found
    assert [] == mesh["b"].replica.systems()


def test_a_value_too_large_to_be_told_is_left_out_and_its_fingerprint_is_not() -> None:
    mesh = pair()
    for number in range(3):
        mesh.update("b", LIST, add("x" * 100_000 + str(number)))
    mesh["b"].sync()
    mesh.take_sent("b")
    ask(mesh)
    mesh.drain()
    (found,) = answers(mesh)
    assert found is not None
    assert (None, mesh["b"].replica.explain(LIST).fingerprint) == (found.value, found.fingerprint)


def test_a_peer_without_a_link_or_one_that_is_lost_or_silent_is_answered_with_nothing() -> None:
    mesh = pair()
    ask(mesh, peer="c")
    assert [None] == answers(mesh)
    ask(mesh)
    mesh.disconnect("a", "b")
    assert [None, None] == answers(mesh)
    mesh.connect("a", "b")
    ask(mesh)
    mesh["a"].flush()
    mesh.take_sent("a")
    assert mesh.now_ns + TIMEOUT_NS >= (mesh["a"].replica.next_deadline_ns() or 0)
    mesh.advance(5)
    assert [None, None, None] == answers(mesh)


def test_an_answer_that_nobody_asked_for_is_ignored() -> None:
    mesh = pair()
    mesh.update("b", LIST, add("milk"))
    mesh.drain()
    ask(mesh)
    mesh.drain()
    body = encode(12345, mesh["b"].replica.explain(LIST))
    message = wire.header(wire.Kind.EXPLAINED, mesh.options.shards, "shop") + body
    mesh["a"].replica.receive(message, "b", now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    assert 1 == len(answers(mesh))


def test_questions_on_their_way_are_bounded() -> None:
    mesh = pair()
    for _ in range(ASKED_MAX + 1):
        ask(mesh)
    assert [None] == answers(mesh)


def test_any_bytes_in_place_of_an_answer_are_refused_or_read() -> None:
    mesh = pair()
    mesh.update("b", LIST, add("milk"))
    mesh.drain()
    found = mesh["b"].replica.explain(LIST)
    body = encode(7, found)
    assert (7, found) == wire.decode(body, ReplicaTable(), lambda reader: _read_answer(reader, "shop"))
    rng = random.Random(1)
    for _ in range(500):
        changed = bytearray(body)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        message = wire.header(wire.Kind.EXPLAINED, mesh.options.shards, "shop") + bytes(
            changed[: rng.randint(0, len(changed))]
        )
        mesh["a"].replica.receive(message, "b", now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    mesh["a"].flush()
    assert mesh["a"].of(Rejected)
