"""Reads at a level, and which nodes may be counted after a start."""

from __future__ import annotations

import itertools

from crdtmesh.replication import wire
from crdtmesh.replication.levels import parse_level
from crdtmesh.replication.outputs import Committed, EntryKey, Event, LevelTimeout, ReadAt, Reconciled
from tests.unit.crdtmesh.replication.mesh import LEVEL_TIMEOUT_NS, LIST, STOCK, Mesh, add, increment, remove
from tests.unit.crdtmesh.replication.test_level_writes import cut, told, voting


def lose_pushes(mesh: Mesh, name: str) -> None:
    """Syncs a node; what it would send is lost."""
    mesh[name].sync()
    mesh.take_sent(name)


def read_of(mesh: Mesh, name: str, ticket: str) -> ReadAt:
    (event,) = told(mesh, name, ticket)
    assert isinstance(event, ReadAt)
    return event


def test_read_joins_what_another_voter_has() -> None:
    mesh = voting("ab")
    mesh.update("a", LIST, add("milk"))
    lose_pushes(mesh, "a")
    mesh.read_at("b", LIST, level="all", ticket="read")
    mesh.drain()
    event = read_of(mesh, "b", "read")
    assert (True, ("milk",)) == (event.found, event.value)
    assert ("milk",) == mesh.value("b", LIST)


def test_stale_voter_is_repaired_before_the_answer() -> None:
    mesh = voting("abc")
    mesh.update("a", LIST, add("milk"))
    lose_pushes(mesh, "a")
    mesh.read_at("a", LIST, level="all", ticket="read")
    for name in "abc":  # the question, and what the voters have
        mesh[name].sync()
        for message in mesh.take_sent(name):
            mesh.deliver(name, message)
    mesh["a"].sync()
    assert [] == told(mesh, "a", "read")
    mesh.drain()
    assert ("milk",) == read_of(mesh, "a", "read").value
    assert [("milk",)] * 3 == mesh.values(LIST)


def test_read_of_a_majority_sees_every_write_of_a_majority() -> None:
    mesh = voting("abcde")
    cut(mesh, "ab", "de")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh.drain()
    assert ["write"] == mesh["a"].committed
    cut(mesh, "ab", "c")
    mesh.read_at("e", LIST, level="majority", ticket="read")
    mesh.drain()
    assert ("milk",) == read_of(mesh, "e", "read").value


def test_minority_reads_locally_and_times_out_otherwise() -> None:
    mesh = voting("abcde")
    mesh.update("a", LIST, add("milk"))
    mesh.settle()
    cut(mesh, "ab", "cde")
    mesh.read_at("a", LIST, level="local", ticket="local")
    mesh.read_at("a", LIST, level="majority", ticket="majority")
    mesh.drain()
    mesh.advance(5)
    mesh["a"].flush()
    assert ("milk",) == read_of(mesh, "a", "local").value
    assert [LevelTimeout("majority", 2, 3)] == told(mesh, "a", "majority")


def test_read_of_nothing_is_answered_with_nothing() -> None:
    mesh = voting("abc")
    for key in (LIST, EntryKey("elsewhere", "x", "ORSet")):
        mesh.read_at("a", key, level="majority", ticket=key.system)
        mesh.drain()
        assert ReadAt(key.system, False, None, 0) == read_of(mesh, "a", key.system)
    assert "elsewhere" not in mesh["b"].replica.systems(), "a read brings no system into being"


def test_read_waits_for_its_own_disk() -> None:
    mesh = voting("a")
    mesh.update("a", LIST, add("milk"))
    mesh.read_at("a", LIST, level="majority", ticket="read")
    mesh.read_at("a", LIST, level="local", ticket="local")
    mesh["a"].flush()
    assert [] == told(mesh, "a", "read") + told(mesh, "a", "local")
    mesh["a"].sync()
    assert [("milk",)] * 2 == [read_of(mesh, "a", ticket).value for ticket in ("read", "local")]


def test_value_shown_is_the_one_that_the_voters_have() -> None:
    """A later update of this node is not on the others yet, so the answer leaves it out."""
    mesh = voting("abc")
    mesh.update("a", STOCK, increment(1))
    mesh.settle()
    mesh.read_at("a", STOCK, level="majority", ticket="read")
    for name in "abc":
        mesh[name].sync()
        for message in mesh.take_sent(name):
            mesh.deliver(name, message)
    mesh.update("a", STOCK, increment(1))
    mesh["a"].sync()
    assert 1 == read_of(mesh, "a", "read").value


def test_question_that_was_lost_is_asked_again_and_wider() -> None:
    mesh = voting("abc")
    mesh.update("b", LIST, add("milk"))
    lose_pushes(mesh, "b")
    mesh.read_at("a", LIST, level="all", ticket="read")
    mesh["a"].flush()
    mesh.take_sent("a")
    mesh.advance(1)
    mesh.drain()
    assert ("milk",) == read_of(mesh, "a", "read").value


def test_entry_that_came_too_late_to_be_joined_is_not_counted() -> None:
    """What a voter has counts only once it is here: without its REPAIR, HAS is worth nothing."""
    mesh = voting("ab")
    mesh.update("b", LIST, add("milk"))
    lose_pushes(mesh, "b")
    mesh.read_at("a", LIST, level="all", ticket="read")
    mesh["a"].flush()
    for message in mesh.take_sent("a"):
        mesh.deliver("a", message)
    mesh["b"].sync()
    for message in mesh.take_sent("b"):
        if message.payload[1] == wire.Kind.HAS:
            mesh.deliver("b", message)
    mesh["a"].flush()
    assert [] == told(mesh, "a", "read")


# --- who may be counted


def test_node_reconciles_with_the_first_that_it_meets() -> None:
    mesh = Mesh("ab")
    mesh.update("a", LIST, add("milk"))
    mesh["a"].sync()
    assert mesh["a"].replica.is_reconciled, "nobody else is on the lists"
    mesh.connect_all()
    assert not mesh["b"].replica.is_reconciled
    mesh.settle()
    assert mesh["b"].replica.is_reconciled
    assert 1 == len(mesh["b"].of(Reconciled))


def test_restarted_node_confirms_nothing_until_it_has_reconciled() -> None:
    mesh = voting("abc")
    cut(mesh, "a", "c")
    mesh.restart("b")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh.connect("a", "b")
    mesh["a"].sync()
    for message in mesh.take_sent("a"):
        if message.payload[1] != wire.Kind.TELL:
            mesh.deliver("a", message)
    mesh["b"].sync()
    assert not mesh["b"].replica.is_reconciled
    assert wire.Kind.CONFIRMED not in [message.payload[1] for message in mesh["b"].sent]
    mesh.advance(1)
    mesh.drain()
    assert ["write"] == mesh["a"].committed


def test_node_that_lost_its_disk_reconciles_with_enough_others_to_meet_every_majority() -> None:
    mesh = voting("abc")
    cut(mesh, "ab", "c")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh.drain()
    assert ["write"] == mesh["a"].committed
    # b had the other copy. What c has is not enough for it to speak for the majority that it was part of.
    mesh.restart("b", keep_disk=False)
    mesh.connect("b", "c")
    for _ in range(5):
        mesh.drain()
        mesh.advance(1)
    mesh.read_at("c", LIST, level="majority", ticket="early")
    mesh.drain()
    assert [] == told(mesh, "c", "early")
    assert not mesh["b"].replica.is_reconciled

    mesh.connect("a", "b")
    mesh.settle()
    assert ("milk",) == read_of(mesh, "c", "early").value


def test_node_that_crashes_while_it_catches_up_on_an_empty_disk_still_has_to_meet_every_majority() -> None:
    """Data of its own does not say that it has all that it ever confirmed."""
    mesh = voting("abc")
    cut(mesh, "ab", "c")
    mesh.acknowledge("a", LIST, add("milk"), level="majority", ticket="write")
    mesh.drain()
    mesh.restart("b", keep_disk=False)
    for keep_disk in (True, True):
        mesh.connect("b", "c")
        mesh.drain()
        assert mesh["b"].disk.state or mesh["b"].disk.log
        assert not mesh["b"].replica.is_reconciled
        mesh.restart("b", keep_disk=keep_disk)
    mesh.connect("b", "c")
    mesh.connect("b", "a")
    mesh.drain()
    mesh.advance(1)
    mesh.drain()
    assert mesh["b"].replica.is_reconciled


def test_node_with_its_disk_needs_one_other_to_reconcile() -> None:
    mesh = voting("abc")
    mesh.restart("b")
    assert not mesh["b"].replica.is_reconciled
    mesh.connect("b", "c")
    mesh.settle()
    assert mesh["b"].replica.is_reconciled


def test_marks_that_were_lost_are_asked_for_again() -> None:
    mesh = Mesh("ab")
    mesh.update("a", LIST, add("milk"))
    mesh.connect_all()
    for name in "ab":
        mesh[name].sync()
        mesh.take_sent(name)
    mesh.advance(1)
    mesh.settle()
    mesh.advance(1)
    mesh.drain()
    assert mesh["b"].replica.is_reconciled


# --- many entries


SHELVES = [EntryKey("shop", f"shelf-{number:02}", "ORSet") for number in range(40)]


def listed(mesh: Mesh, name: str, prefix: str) -> list[str]:
    return [view.key.key for view in mesh[name].replica.entries("shop", prefix)]


def range_read(mesh: Mesh, name: str, prefix: str, *, level: str) -> list[Event]:
    """Reads all keys that begin so; the events of its tickets."""
    numbers = itertools.count()
    tickets = mesh[name].replica.read_range_at(
        "shop",
        prefix,
        lambda: f"range {next(numbers)}",
        level=parse_level(level),
        timeout_ns=LEVEL_TIMEOUT_NS,
        now_ns=mesh.now_ns,
    )
    assert mesh.options.shards == len(tickets)
    mesh.drain()
    return [event for ticket in tickets for event in told(mesh, name, ticket)]


def test_list_at_a_level_shows_entries_that_this_node_has_never_heard_of() -> None:
    mesh = voting("ab")
    for key in SHELVES:
        mesh.update("a", key, add("milk"))
    mesh.update("a", STOCK, increment())
    lose_pushes(mesh, "a")
    assert {Committed} == set(map(type, range_read(mesh, "b", "shelf-", level="all")))
    assert [key.key for key in SHELVES] == listed(mesh, "b", "")


def test_list_at_a_level_repairs_the_voters_that_it_asked() -> None:
    mesh = voting("abc")
    for key in SHELVES:
        mesh.update("a", key, add("milk"))
    lose_pushes(mesh, "a")
    range_read(mesh, "a", "", level="all")
    assert [[key.key for key in SHELVES]] * 3 == [listed(mesh, name, "shelf-") for name in "abc"]


def test_list_of_a_majority_sees_every_write_of_a_majority_and_what_was_removed() -> None:
    mesh = voting("abcde")
    for key in SHELVES[:3]:
        mesh.update("e", key, add("old"))
    mesh.settle()
    cut(mesh, "ab", "de")
    for number, key in enumerate(SHELVES):
        operation = remove("old") if key in SHELVES[:2] else add("milk")
        mesh.acknowledge("a", key, operation, level="majority", ticket=number)
    mesh.drain()
    assert set(range(40)) <= set(mesh["a"].committed)
    cut(mesh, "ab", "c")
    range_read(mesh, "e", "shelf", level="majority")
    assert [key.key for key in SHELVES[2:]] == listed(mesh, "e", "")


def test_list_at_a_level_that_is_not_reached_is_told_so_for_each_shard() -> None:
    mesh = voting("abc")
    cut(mesh, "a", "bc")
    assert [] == range_read(mesh, "a", "", level="majority")
    mesh.advance(6)
    mesh.drain()
    late = [event for event in mesh["a"].of(LevelTimeout) if "range" in str(event.ticket)]
    assert [(1, 2)] * mesh.options.shards == [(event.acks, event.needed) for event in late]


def test_list_at_a_level_of_a_system_that_nobody_has_is_answered() -> None:
    mesh = voting("ab")
    assert {Committed} == set(map(type, range_read(mesh, "a", "", level="all")))
