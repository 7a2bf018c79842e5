"""Calls that ask for more than this node's disk: when they are answered, and what a timeout says."""

from __future__ import annotations

import json

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.levels import parse_level
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import STATE_CHANGED, STATE_VALUE, CallExtra
from tests.unit.crdtmesh.runtime.mesh import LIST_KEY, SHOP, STOCK, STOCK_KEY, SYSTEM, Node, definition

MAJORITY = parse_level("majority")


def write_at(level: str) -> CallExtra:
    return CallExtra({"crdtmesh.write": level}, None)


def two_voters() -> tuple[Node, Node]:
    """Two nodes that count, linked and agreed."""
    a, b = Node("a"), Node("b")
    a.enlist("a", "b")
    a.meet(b)
    return a, b


def test_reply_to_a_turn_waits_for_its_level() -> None:
    a, b = two_voters()
    host = a.connect()
    call = a.call(STOCK, "increment", extra=write_at("majority"))
    host.run_all()
    assert a.outcome(call) is None
    a.exchange(b)
    a.reply(call)
    assert 1 == b.value(STOCK_KEY)


def test_level_that_is_not_reached_is_unknown_and_the_write_stays() -> None:
    a = Node("a")
    a.enlist("a", "b", "c")
    host = a.connect()
    call = a.call(STOCK, "increment", extra=write_at("majority"), timeout_ms=1_000)
    host.run_all()
    a.advance(1_000)
    failure = a.failure(call)
    assert (ErrorCode.TIMEOUT, Outcome.UNKNOWN) == (failure.code, failure.outcome)
    assert "0 of 2 voters" in failure.message
    assert 1 == a.value(STOCK_KEY)


def test_turn_that_wrote_nothing_waits_for_nobody_else() -> None:
    a = Node("a")
    a.enlist("a", "b")
    host = a.connect()
    call = a.call(STOCK, "echo", extra=write_at("all"))
    host.run_all()
    a.reply(call)


def test_level_of_the_actors_definition_holds_unless_the_call_says_otherwise() -> None:
    a, b = two_voters()
    host = a.connect(definition(STOCK, "PNCounter", write_level=MAJORITY))
    by_definition = a.call(STOCK, "increment")
    by_call = a.call(STOCK, "increment", extra=write_at("local"))
    host.run_all()
    assert a.outcome(by_definition) is None
    a.reply(by_call)
    a.exchange(b)
    a.reply(by_definition)


def test_direct_update_waits_for_its_level() -> None:
    a, b = two_voters()
    call = a.update(LIST_KEY, "add", "milk", level=MAJORITY)
    assert a.outcome(call) is None
    a.exchange(b)
    assert STATE_CHANGED == a.reply(call).type_url


def test_update_without_effect_waits_until_what_it_saw_is_at_the_level() -> None:
    a, b = two_voters()
    a.update(LIST_KEY, "add", "milk")
    a.pushes.clear()
    call = a.update(LIST_KEY, "remove", "eggs", level=MAJORITY)
    assert a.outcome(call) is None
    a.exchange(b)
    a.reply(call)
    assert ("milk",) == b.value(LIST_KEY)


def test_read_action_at_a_level_joins_what_the_others_have() -> None:
    a, b = two_voters()
    a.connect(*SHOP)
    b.update(STOCK_KEY, "increment", 5)
    b.pushes.clear()
    call = a.call(STOCK, "get", extra=CallExtra({"crdtmesh.read": "majority"}, None))
    assert a.outcome(call) is None
    a.exchange(b)
    reply = a.reply(call)
    assert (STATE_VALUE, ["PNCounter", 5]) == (reply.type_url, json.loads(reply.payload))


def test_read_that_reaches_too_few_is_not_applied() -> None:
    a = Node("a")
    a.enlist("a", "b")
    a.connect(*SHOP)
    call = a.call(STOCK, "get", extra=CallExtra({"crdtmesh.read": "all"}, None), timeout_ms=1_000)
    a.advance(1_000)
    failure = a.failure(call)
    assert (ErrorCode.TIMEOUT, Outcome.NOT_APPLIED) == (failure.code, failure.outcome)


def test_failed_disk_under_a_level_is_told_as_such() -> None:
    a, _ = two_voters()
    a.is_disk_held = True
    call = a.update(LIST_KEY, "add", "milk", level=MAJORITY)
    a.break_disk()
    failure = a.failure(call)
    assert (ErrorCode.STORAGE_FAILED, Outcome.UNKNOWN) == (failure.code, failure.outcome)


def test_update_of_several_entries_waits_for_the_actor_that_is_in_a_turn() -> None:
    a = Node("a")
    actor = ActorAddress(SYSTEM, "{x}stock")
    stock, lines = EntryKey(SYSTEM, actor.name, "PNCounter"), EntryKey(SYSTEM, "{x}lines", "ORSet")
    host = a.connect(definition(actor, "PNCounter"))
    turn = a.call(actor, "increment")
    host.take()
    call = a.update_all([(lines, [Operation("add", ("milk",))]), (stock, [Operation("increment", (5,))])])
    assert a.outcome(call) is None
    host.run_all()
    a.reply(turn)
    assert STATE_CHANGED == a.reply(call).type_url
    assert (6, ("milk",)) == (a.value(stock), a.value(lines))
