"""Earlier states of an actor: which are kept, and how it starts from one again."""

from typing import Any

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.levels import LOCAL
from crdtmesh.runtime import opaque, revisions
from crdtmesh.runtime.definition import ActorAddress, Kind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import RESTORE, STATE_CHANGED, TurnEffects
from crdtmesh.runtime.opaque import OpaqueState
from tests.unit.crdtmesh.runtime.mesh import (
    CALLER,
    ECHO,
    STOCK,
    SYSTEM,
    TYPE_URL,
    Host,
    Node,
    definition,
    deliver,
    link,
)
from tests.unit.crdtmesh.runtime.test_opaque_actors import alone

TEMPLATE = ActorAddress(SYSTEM, "till")
TILL = ActorAddress(SYSTEM, "till-1", "till")
INTERVAL_MS = 100
KEEPING = definition(
    TEMPLATE, kind=Kind.UNNAMED, is_stateful=True, revisions_max=2, snapshot_interval_ms=INTERVAL_MS, write_level=LOCAL
)


def state(number: int) -> OpaqueState:
    return OpaqueState("type.example/shop.Till", bytes([number]), {"aisle": "3"})


def write(node: Node, host: Host, number: int) -> None:
    call = node.call(TILL, "echo")
    (turn,) = host.take()
    host.answer([(turn.number, TYPE_URL, b"", TurnEffects(state=state(number)))], [])
    node.reply(call)


def written(count: int) -> tuple[Node, Host]:
    """A node on which the till was written so often, one interval apart."""
    node = alone()
    host = node.connect(KEEPING)
    for number in range(1, count + 1):
        write(node, host, number)
        node.advance(INTERVAL_MS)
    return node, host


def restore(node: Node, number: int, actor: ActorAddress = TILL) -> int:
    node.calls += 1
    node.runtime.restore(CALLER, node.calls, actor, number, now_ns=node.now_ns)
    node.flush()
    return node.calls


def seen(node: Node, host: Host) -> OpaqueState | None:
    """The state that the next turn begins with."""
    host.updates.clear()
    node.call(TILL, "echo")
    (turn,) = host.take()
    host.answer([(turn.number, TYPE_URL, b"", ())], [])
    return host.updates[-1].opaque


def test_actor_starts_from_a_revision_once() -> None:
    node, host = written(3)
    call = restore(node, 1)
    assert STATE_CHANGED == node.reply(call).type_url
    assert 0 == node.runtime.active
    assert state(1) == seen(node, host)
    write(node, host, 9)
    node.advance(20_000)
    assert 0 == node.runtime.active
    assert state(9) == seen(node, host)


def test_state_that_was_replaced_by_a_revision_is_one_itself() -> None:
    node, host = written(3)
    node.reply(restore(node, 2))
    assert state(2) == seen(node, host)
    node.reply(restore(node, 3))
    assert state(3) == seen(node, host)


def test_oldest_revision_goes_and_numbers_go_on() -> None:
    node, _ = written(5)
    failure = node.failure(restore(node, 2))
    assert (ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED) == (failure.code, failure.outcome)
    assert "kept are 3 to 4" in failure.message
    assert 1 == node.runtime.active


def test_states_within_one_interval_are_one_revision() -> None:
    node = alone()
    host = node.connect(KEEPING)
    for number in (1, 2, 3):
        write(node, host, number)
    node.advance(INTERVAL_MS)
    write(node, host, 4)
    assert "kept are 1 to 1" in node.failure(restore(node, 2)).message
    node.reply(restore(node, 1))
    assert state(3) == seen(node, host)


def test_clock_that_was_set_back_puts_no_revision_off() -> None:
    node, host = written(1)
    node.wall_ms -= 3_600_000
    write(node, host, 2)
    node.reply(restore(node, 1))
    assert state(1) == seen(node, host)


def test_restore_waits_for_the_turns_before_it() -> None:
    node, host = written(2)
    before = node.call(TILL, "echo")
    (turn,) = host.take()
    call = restore(node, 1)
    behind = node.call(TILL, "echo")
    assert node.outcome(call) is None
    host.answer([(turn.number, TYPE_URL, b"", TurnEffects(state=state(7)))], [])
    node.reply(before)
    assert STATE_CHANGED == node.reply(call).type_url
    (turn,) = host.take()
    assert state(1) == host.updates[-1].opaque
    host.answer([(turn.number, TYPE_URL, b"", ())], [])
    node.reply(behind)


def test_restore_is_done_where_the_actor_runs() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect(KEEPING)
    link(a, b)
    for number in (1, 2):
        write(b, host, number)
        b.advance(INTERVAL_MS)
    call = restore(a, 1)
    deliver(a, b)
    assert STATE_CHANGED == a.reply(call).type_url
    assert state(1) == seen(b, host)


@pytest.mark.parametrize(
    ("actor", "message"),
    [(ECHO, "no opaque state"), (STOCK, "no opaque state"), (ActorAddress(SYSTEM, "nobody"), "not found")],
)
def test_what_has_no_revisions_is_told_so(actor: ActorAddress, message: str) -> None:
    node = alone()
    node.connect()
    failure = node.failure(restore(node, 1, actor))
    assert message in failure.message
    assert Outcome.NOT_APPLIED == failure.outcome


def test_actor_that_keeps_none_says_how_to_keep_some() -> None:
    node = alone()
    node.connect(definition(TEMPLATE, kind=Kind.UNNAMED, is_stateful=True))
    assert "tag crdtmesh.revisions" in node.failure(restore(node, 1)).message


def test_client_can_not_restore_by_a_call() -> None:
    node, _ = written(2)
    assert ErrorCode.UNKNOWN_ACTION == node.failure(node.call(TILL, RESTORE, b"1")).code


@pytest.mark.parametrize("kept", [None, [1], {}, {"revision x": 1, "stamp": 2, "revision ": 3, "revision ٣": 4}])
def test_whatever_stands_in_the_map_the_next_revision_is_the_first(kept: Any) -> None:
    assert [Operation("put", ("revision 1", opaque.to_plain(state(1))))] == revisions.keep(kept, state(1), 2)


@pytest.mark.parametrize("payload", [b"", b"-1", b"1.0", b"x", "٣".encode(), b"9" * 20])
def test_what_is_no_number_names_no_revision(payload: bytes) -> None:
    assert 0 == revisions.number_in(payload)
