"""Writes at a level: who is asked, who is counted, and what a caller is told."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from crdtmesh.replication import wire
from crdtmesh.replication.levels import MAJORITY, voters_key
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import Event, LevelTimeout, SendTo
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment, remove


def voting(names: Iterable[str], *, options: ReplicationOptions | None = None) -> Mesh:
    """A settled mesh whose nodes are all voters and have reconciled."""
    mesh = Mesh(names, options=options)
    mesh.connect_all()
    mesh.drain()
    mesh.enlist(*mesh.nodes)
    for node in mesh.nodes.values():
        node.events.clear()
    return mesh


def cut(mesh: Mesh, left: str, right: str) -> None:
    for a in left:
        for b in right:
            mesh.disconnect(a, b)


def asked(messages: Iterable[SendTo]) -> list[str]:
    """Whom these messages ask to confirm something."""
    return [message.peer for message in messages if message.payload[1] == wire.Kind.CONFIRM]


def told(mesh: Mesh, name: str, ticket: str) -> list[Event]:
    return [event for event in mesh[name].events if getattr(event, "ticket", None) == ticket]


def test_majority_is_acknowledged_when_one_of_two_others_has_it_on_disk() -> None:
    mesh = voting("abc")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    sent = mesh.take_sent("a")
    assert [] == mesh["a"].committed

    for message in sent:
        mesh.deliver("a", message)
    mesh["b"].flush()
    for message in mesh.take_sent("b"):
        mesh.deliver("b", message)
    mesh["a"].flush()
    assert [] == mesh["a"].committed, "b has applied it, and not synced yet"

    mesh.drain()
    assert ["write"] == mesh["a"].committed


def test_level_asks_only_as_many_as_it_needs() -> None:
    mesh = voting("abcde")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    assert 2 == len(asked(mesh.take_sent("a")))


def test_writes_of_one_flush_are_one_question_to_each() -> None:
    mesh = voting("abc")
    for number in range(10):
        mesh.acknowledge("a", LIST, add(number), level="all", ticket=f"write {number}")
    mesh["a"].sync()
    sent = mesh.take_sent("a")
    assert ["b", "c"] == sorted(asked(sent))
    for message in sent:
        mesh.deliver("a", message)
    mesh.drain()
    assert [f"write {number}" for number in range(10)] == mesh["a"].committed


def test_minority_times_out_as_unknown_and_the_update_stays() -> None:
    mesh = voting("abcde")
    cut(mesh, "ab", "cde")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="minority")
    mesh.acknowledge("c", LIST, add("eggs"), level="majority", ticket="majority")
    mesh.drain()
    mesh.advance(5)
    mesh.drain()

    assert [LevelTimeout("minority", 2, 3)] == told(mesh, "a", "minority")
    assert ["majority"] == mesh["c"].committed
    for a in "ab":
        for b in "cde":
            mesh.connect(a, b)
    mesh.settle()
    assert [("eggs", "milk")] * 5 == mesh.values(LIST)


def test_all_needs_every_voter_also_one_that_is_gone() -> None:
    mesh = voting("abc")
    cut(mesh, "ab", "c")
    mesh.acknowledge("a", LIST, add("milk"), level="all", ticket="write")
    mesh.drain()
    mesh.advance(5)
    mesh["a"].flush()
    assert [LevelTimeout("write", 2, 3)] == told(mesh, "a", "write")


def test_waiting_write_is_acknowledged_when_the_link_comes_back_in_time() -> None:
    mesh = voting("abc")
    cut(mesh, "a", "bc")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh.drain()
    mesh.advance(4)
    assert [] == told(mesh, "a", "write")
    mesh.connect("a", "b")
    mesh.settle()
    mesh["a"].flush()
    assert ["write"] == mesh["a"].committed


def test_after_a_fifth_of_the_time_further_peers_are_asked() -> None:
    mesh = voting("abc")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    (first,) = asked(mesh.take_sent("a"))  # all of it is lost
    (other,) = {"b", "c"} - {first}

    mesh.advance(1)
    mesh["a"].flush()
    sent = [message for message in mesh.take_sent("a") if message.peer == other]
    assert [other] == asked(sent)
    for message in sent:
        mesh.deliver("a", message)
    mesh.drain()
    assert ["write"] == mesh["a"].committed, "the other one lacked the events, said so, and was sent the entry"


def test_peer_that_was_slow_is_asked_last() -> None:
    mesh = voting("abc")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="first")
    mesh["a"].sync()
    (slow,) = asked(mesh.take_sent("a"))
    mesh.advance(1)
    mesh["a"].flush()
    mesh.take_sent("a")
    mesh.acknowledge("a", LIST, add("eggs"), level="majority", ticket="second")
    mesh["a"].sync()
    assert [slow] != asked(mesh.take_sent("a"))


def test_peer_that_confirms_twice_counts_once() -> None:
    mesh = voting("abcde")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    sent = mesh.take_sent("a")
    first = asked(sent)[0]
    for message in sent:
        if message.peer == first:
            mesh.deliver("a", message)
    mesh[first].sync()
    answers = mesh.take_sent(first)
    for message in answers * 3:
        mesh.deliver(first, message)
    mesh["a"].flush()
    assert [] == mesh["a"].committed


def test_confirmation_of_a_peer_that_was_not_asked_is_not_counted() -> None:
    mesh = voting("abcde")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    sent = mesh.take_sent("a")
    strangers = sorted({"b", "c", "d", "e"} - set(asked(sent)))
    (question, *_) = [message for message in sent if message.payload[1] == wire.Kind.CONFIRM]
    for stranger in strangers:
        # It was overheard, and is answered in its place: the link says who answers.
        mesh[stranger].replica.receive(question.payload, "a", now_ns=0, wall_ms=0)
        for message in sent:
            if message.peer == stranger:
                mesh.deliver("a", message)
        mesh[stranger].sync()
        for message in mesh.take_sent(stranger):
            mesh.deliver(stranger, message)
    mesh["a"].flush()
    assert [] == mesh["a"].committed


def test_node_that_is_no_voter_is_not_counted() -> None:
    mesh = Mesh("abc")
    mesh.connect_all()
    mesh.drain()
    mesh.enlist("a", "b")
    mesh.acknowledge("c", LIST, add("milk"), level="to(2)", ticket="write")
    mesh.disconnect("c", "b")
    mesh.drain()
    mesh.advance(5)
    mesh["c"].flush()
    assert [LevelTimeout("write", 1, 2)] == told(mesh, "c", "write"), "a alone is a voter within reach"


def test_without_voters_nobody_is_a_majority() -> None:
    mesh = Mesh("a")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    mesh.advance(5)
    mesh["a"].flush()
    assert [LevelTimeout("write", 0, 1)] == told(mesh, "a", "write")


def test_node_that_is_the_only_voter_is_a_majority() -> None:
    mesh = voting("a")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    assert [] == mesh["a"].committed
    mesh["a"].sync()
    assert ["write"] == mesh["a"].committed


def test_expected_nodes_keep_a_fresh_node_from_being_a_majority_of_one() -> None:
    mesh = voting("a", options=ReplicationOptions(expected_nodes=3))
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    mesh.advance(5)
    mesh["a"].flush()
    assert [LevelTimeout("write", 1, 2)] == told(mesh, "a", "write")


def test_link_that_is_down_does_not_make_the_majority_smaller() -> None:
    """The failure detector has no say in who counts."""
    mesh = voting("abc")
    cut(mesh, "a", "bc")
    cut(mesh, "b", "c")
    mesh.advance(60)
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    mesh.advance(5)
    mesh["a"].flush()
    assert [LevelTimeout("write", 1, 2)] == told(mesh, "a", "write")


def test_removal_of_a_voter_lets_a_waiting_write_through() -> None:
    mesh = voting("abc")
    cut(mesh, "ab", "c")
    mesh.acknowledge("a", LIST, add("milk"), level="all", ticket="write")
    mesh.drain()
    assert [] == mesh["a"].committed
    mesh.update("b", voters_key("_mesh"), remove("c"))
    mesh.drain()
    assert ["write"] == mesh["a"].committed


def test_new_system_asks_for_as_many_as_the_mesh_has() -> None:
    mesh = voting("abc")
    cut(mesh, "a", "bc")
    mesh.update("a", voters_key("shop"), add("a"))
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    mesh.advance(5)
    mesh["a"].flush()
    assert [LevelTimeout("write", 1, 2)] == told(mesh, "a", "write")


def test_no_effect_waits_until_what_it_saw_is_at_the_level() -> None:
    mesh = voting("abc")
    cut(mesh, "a", "bc")
    mesh.update("a", LIST, add("milk"))
    mesh["a"].sync()
    mesh.acknowledge("a", LIST, remove("eggs"), level="majority", ticket="nothing")
    mesh["a"].sync()
    assert [] == mesh["a"].committed
    mesh.connect("a", "b")
    mesh.take_sent("a")  # the round of anti-entropy is lost, and so is the question
    mesh.advance(1)
    mesh.drain()
    assert ["nothing"] == mesh["a"].committed
    assert ("milk",) == mesh.value("b", LIST)


def test_local_is_this_nodes_disk() -> None:
    mesh = voting("abc")
    cut(mesh, "a", "bc")
    for level in ("local", "to(1)"):
        mesh.acknowledge("a", LIST, add(level), level=level, ticket=level)
    assert [] == mesh["a"].committed
    mesh["a"].sync()
    assert ["local", "to(1)"] == mesh["a"].committed


def test_failed_disk_is_told_apart_from_a_timeout() -> None:
    mesh = voting("abc")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].flush()
    mesh["a"].replica.persist_failed(mesh["a"].unsynced[-1].seq, "disk full")
    mesh["a"].flush()
    assert ["write"] == mesh["a"].failed
    mesh["a"].replica.acknowledge("later", LIST, None, level=MAJORITY, timeout_ns=10, now_ns=mesh.now_ns)
    mesh.advance(5)
    mesh["a"].flush()
    assert 1 == len(told(mesh, "a", "later"))


def test_write_that_waits_wakes_the_driver_at_its_times() -> None:
    mesh = voting("a", options=ReplicationOptions(expected_nodes=3))
    assert mesh["a"].replica.next_deadline_ns() is None
    mesh.acknowledge("a", STOCK, increment(), level="majority", ticket="write")
    mesh["a"].sync()
    start_ns = mesh.now_ns
    assert start_ns + 1_000_000_000 == mesh["a"].replica.next_deadline_ns()
    mesh.advance(1)
    assert start_ns + 5_000_000_000 == mesh["a"].replica.next_deadline_ns()
    mesh.advance(4)
    assert mesh["a"].replica.next_deadline_ns() is None


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xc1" * 20])
@pytest.mark.parametrize("kind", [kind for kind in wire.Kind if kind >= wire.Kind.CONFIRM])
def test_malformed_question_or_answer_is_rejected_and_changes_nothing(kind: wire.Kind, body: bytes) -> None:
    mesh = voting("ab")
    payload = b"\x00" + wire.header(kind, 16, "shop") + body
    mesh["a"].replica.receive(payload, "b", now_ns=0, wall_ms=0)
    mesh["a"].flush()
    assert ["undecodable"] == mesh.rejections("a")
