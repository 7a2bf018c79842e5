"""Actors whose state nobody here can read: one place for each, and what happens when there were two."""

from typing import Any

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.levels import LOCAL
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.events import StateConflict
from crdtmesh.runtime.messages import StateUpdate, TurnEffects
from crdtmesh.runtime.opaque import OpaqueState
from tests.unit.crdtmesh.runtime.mesh import SYSTEM, TYPE_URL, Host, Node, definition, deliver, link, unlink

TILL = ActorAddress(SYSTEM, "till")
TILL_KEY = EntryKey(SYSTEM, "till", "LWWRegister")
DEFINITION = definition(TILL, is_stateful=True, state_type="shop.Till")
# Both sides of a split run it, and write.
CARELESS = definition(TILL, is_stateful=True, write_level=LOCAL)


def state(number: int) -> OpaqueState:
    return OpaqueState("type.example/shop.Till", bytes([number]), {"aisle": "3"})


def answer(host: Host, did: Any = ()) -> None:
    """Takes the one turn that is there, and answers it."""
    (turn,) = host.take()
    host.answer([(turn.number, TYPE_URL, b"done", did)], [])


def alone() -> Node:
    """A node that counts, and nobody else does."""
    node = Node()
    node.enlist("a")
    return node


def voters(a: Node, b: Node) -> None:
    """Both count, are linked and agreed."""
    a.enlist("a", "b")
    a.meet(b)
    link(a, b)


def pair(actor: ActorDefinition = DEFINITION) -> tuple[Node, Node, Host, Host]:
    """Two linked nodes that both offer the till: (its owner, the other, their hosts)."""
    a, b = Node("a"), Node("b")
    hosts = {node.name: node.connect(actor) for node in (a, b)}
    voters(a, b)
    a.call(TILL, "echo")
    owner, other = (b, a) if a.calls_to_peers else (a, b)
    deliver(a, b)
    answer(hosts[owner.name])
    deliver(a, b)
    return owner, other, hosts[owner.name], hosts[other.name]


def test_state_is_what_the_last_turn_left_and_survives_its_activation() -> None:
    node = alone()
    host = node.connect(DEFINITION)
    node.call(TILL, "echo")
    answer(host, TurnEffects(state=state(1)))
    node.advance(20_000)
    node.call(TILL, "echo")
    host.take()
    assert [TILL] == host.released
    assert [OpaqueState(), state(1)] == [update.opaque for update in host.updates]
    assert StateUpdate(TILL, "", True, None, opaque=state(1)) == host.updates[-1]


def test_copy_that_the_host_keeps_is_not_sent_again() -> None:
    node = alone()
    host = node.connect(DEFINITION)
    for number in range(3):
        node.call(TILL, "echo")
        answer(host, TurnEffects(state=state(number)))
    assert 1 == len(host.updates)


def test_initial_state_holds_until_the_first_write() -> None:
    node = alone()
    host = node.connect(definition(TILL, is_stateful=True, initial=state(9)))
    call = node.call(TILL, "get")
    assert (state(9).type_url, state(9).data) == (node.reply(call).type_url, node.reply(call).payload)
    node.call(TILL, "echo")
    answer(host, TurnEffects(state=OpaqueState()))
    assert (state(9).data, {}) == (node.value(TILL_KEY)[1], node.value(TILL_KEY)[2])


def test_reply_waits_for_the_disk() -> None:
    node = alone()
    host = node.connect(DEFINITION)
    node.is_disk_held = True
    call = node.call(TILL, "echo")
    answer(host, TurnEffects(state=state(1)))
    assert node.outcome(call) is None
    node.sync()
    assert b"done" == node.reply(call).payload


def test_answer_of_operations_is_refused_and_leaves_the_state() -> None:
    node = alone()
    host = node.connect(DEFINITION)
    call = node.call(TILL, "echo")
    answer(host, (Operation("set", (1,)),))
    assert (ErrorCode.INVALID_OPERATION, Outcome.NOT_APPLIED) == node.failure(call)[1:3]
    assert node.value(TILL_KEY) is None


def test_calls_of_all_nodes_run_at_one_of_them() -> None:
    owner, other, host, idle = pair()
    for number, node in enumerate((other, owner, other)):
        call = node.call(TILL, "echo")
        deliver(owner, other)
        answer(host, TurnEffects(state=state(number)))
        deliver(owner, other)
        assert b"done" == node.reply(call).payload
    assert [] == idle.take()
    assert owner.value(TILL_KEY) == other.value(TILL_KEY) == ("type.example/shop.Till", b"\x02", {"aisle": "3"})


def test_actors_are_spread_over_the_nodes_that_offer_them() -> None:
    a, b = Node("a"), Node("b")
    actors = [ActorAddress(SYSTEM, f"till-{number}") for number in range(40)]
    host, _ = (node.connect(*(definition(actor, is_stateful=True) for actor in actors)) for node in (a, b))
    voters(a, b)
    for actor in actors:
        a.call(actor, "echo")
    deliver(a, b)
    assert 10 <= len(host.take()) <= 30


def test_another_node_takes_over_when_the_owner_is_gone() -> None:
    owner, other, host, second = pair(CARELESS)
    owner.call(TILL, "echo")
    answer(host, TurnEffects(state=state(1)))
    deliver(owner, other)
    unlink(owner, other)
    other.runtime.directory_changed({})
    call = other.call(TILL, "echo")
    answer(second, TurnEffects(state=state(2)))
    assert other.reply(call)
    assert [state(1)] == [update.opaque for update in second.updates]


def test_taking_over_needs_a_majority() -> None:
    owner, other, _host, second = pair()
    unlink(owner, other)
    other.runtime.directory_changed({})
    call = other.call(TILL, "echo", timeout_ms=30_000)
    other.advance(5_000)
    failure = other.failure(call)
    assert (ErrorCode.TIMEOUT, Outcome.NOT_APPLIED) == failure[1:3]
    assert "2 voters are asked" in failure.message
    assert [] == second.take()


def test_reply_waits_for_a_majority_and_so_does_one_that_only_saw_the_write() -> None:
    owner, other, host, _ = pair()
    calls = [owner.call(TILL, "echo"), owner.call(TILL, "get")]
    answer(host, TurnEffects(state=state(1)))
    assert [None, None] == [owner.outcome(call) for call in calls]
    deliver(owner, other)
    assert [b"done", b"\x01"] == [owner.reply(call).payload for call in calls]


def test_write_that_no_majority_confirmed_is_unknown_and_stays() -> None:
    owner, other, host, _ = pair()
    unlink(owner, other)
    call = owner.call(TILL, "echo", timeout_ms=1_000)
    answer(host, TurnEffects(state=state(1)))
    owner.advance(1_000)
    assert (ErrorCode.TIMEOUT, Outcome.UNKNOWN) == owner.failure(call)[1:3]
    assert b"\x01" == owner.value(TILL_KEY)[1]


def test_call_waits_while_the_owner_is_out_of_reach_and_is_told_in_the_end() -> None:
    owner, other, host, second = pair()
    unlink(owner, other)
    waits, gives_up = other.call(TILL, "echo"), other.call(TILL, "echo", timeout_ms=60_000)
    other.advance(200)
    assert [] == second.take()
    assert other.outcome(waits) is None
    other.advance(3_000)
    assert (ErrorCode.NO_HOST, Outcome.NOT_APPLIED) == other.failure(gives_up)[1:3]
    again = other.call(TILL, "echo")
    link(owner, other)
    other.advance(200)
    deliver(owner, other)
    answer(host)
    deliver(owner, other)
    assert other.reply(again)


def test_activation_moves_when_a_better_owner_appears() -> None:
    owner, other, host, second = pair(CARELESS)
    unlink(owner, other)
    late = other.runtime.offers()
    # The node that lost sees itself alone for a while, and runs the actor.
    other.runtime.directory_changed({})
    other.call(TILL, "echo")
    answer(second, TurnEffects(state=state(1)))
    other.runtime.directory_changed({owner.name: late})
    other.advance(1)
    assert [TILL] == (second.take(), second.released)[1]
    link(owner, other)
    call = other.call(TILL, "echo")
    deliver(owner, other)
    answer(host)
    deliver(owner, other)
    assert other.reply(call)


def test_value_that_lost_is_put_aside_and_counted_by_the_next_write() -> None:
    owner, other, host, second = pair(CARELESS)
    unlink(owner, other)
    other.runtime.directory_changed({})
    owner.call(TILL, "echo")
    answer(host, TurnEffects(state=state(1)))
    other.advance(5)
    other.call(TILL, "echo")
    answer(second, TurnEffects(state=state(2)))
    link(owner, other)
    other.advance(1)
    assert owner.value(TILL_KEY) == other.value(TILL_KEY)
    owner.call(TILL, "echo")
    assert state(2) == (host.take(), host.updates[-1].opaque)[1]
    turn = host.queue[-1]
    assert not isinstance(turn, StateUpdate)
    host.answer([(turn.number, TYPE_URL, b"", TurnEffects(state=state(3)))], [])
    deliver(owner, other)
    assert [StateConflict(TILL, 1)] == [event for event in owner.events if isinstance(event, StateConflict)]
    aside = other.value(TILL_KEY._replace(type_name="LWWMap"))
    assert [b"\x01"] == [value[1] for value in aside.values()]
    assert b"\x03" == other.value(TILL_KEY)[1]


def test_actor_that_prefers_availability_is_served_by_another_node() -> None:
    a, b = Node("a"), Node("b")
    hosts = [node.connect(definition(TILL, is_stateful=True, is_available=True)) for node in (a, b)]
    link(a, b)
    for node in (a, b):
        node.runtime.peer_down({"a": "b", "b": "a"}[node.name], now_ns=node.now_ns)
        node.call(TILL, "echo")
    assert [1, 1] == [len(host.take()) for host in hosts]


def conflict(*actions: str) -> tuple[Node, Host]:
    """A node whose till was written at two places while both were alone: 2 is the later value, 1 lost."""
    a, b = Node("a"), Node("b")
    actor = definition(TILL, is_stateful=True, actions=frozenset({"echo", *actions}), write_level=LOCAL)
    for number, node in enumerate((a, b), 1):
        node.advance(number)
        host = node.connect(actor)
        node.call(TILL, "echo")
        answer(host, TurnEffects(state=state(number)))
        node.lose(host)
    link(a, b)
    unlink(a, b)
    a.runtime.directory_changed({})
    return a, a.connect(actor)


def test_actor_that_resolves_is_shown_what_lost_before_its_next_turn() -> None:
    node, host = conflict("resolve")
    call = node.call(TILL, "echo")
    first, second = host.take()
    assert [("resolve", b"\x01"), ("echo", b"")] == [(turn.action, turn.payload) for turn in (first, second)]
    assert [state(2)] == [update.opaque for update in host.updates]
    merged = TurnEffects(state=state(3))
    host.answer([(first.number, "", b"", merged), (second.number, TYPE_URL, b"", ())], [])
    assert node.reply(call)
    assert b"\x03" == node.value(TILL_KEY)[1]
    node.call(TILL, "echo")
    assert ["echo"] == [turn.action for turn in host.take()]


def test_actor_that_fails_to_resolve_goes_on_with_the_later_value() -> None:
    node, host = conflict("resolve")
    call = node.call(TILL, "echo")
    first, second = host.take()
    host.answer([(second.number, TYPE_URL, b"", TurnEffects(state=state(4)))], [(first.number, "no", 4)])
    assert node.reply(call)
    assert b"\x04" == node.value(TILL_KEY)[1]


def test_init_runs_before_the_first_call_of_each_activation() -> None:
    node = alone()
    host = node.connect(definition(TILL, is_stateful=True, actions=frozenset({"echo", "setup", "init"})))
    for expected in (["init", "echo"], ["echo"]):
        node.call(TILL, "echo")
        turns = host.take()
        assert expected == [turn.action for turn in turns]
        host.answer([(turn.number, TYPE_URL, b"", TurnEffects(state=state(1))) for turn in turns], [])
    node.advance(20_000)
    node.call(TILL, "echo")
    assert ["init", "echo"] == [turn.action for turn in host.take()]


def test_failing_init_is_ignored() -> None:
    node = alone()
    host = node.connect(definition(TILL, is_stateful=True, actions=frozenset({"echo", "init"})))
    call = node.call(TILL, "echo")
    init, echo = host.take()
    host.answer([(echo.number, TYPE_URL, b"", ())], [(init.number, "no", 4)])
    assert node.reply(call)


def test_eager_actor_is_set_up_at_its_registration_by_its_owner_alone() -> None:
    actors = [
        definition(ActorAddress(SYSTEM, f"till-{n}"), is_stateful=True, is_eager=True, actions=frozenset({"init"}))
        for n in range(20)
    ]
    a, b = Node("a"), Node("b")
    voters(a, b)
    first = a.connect(*actors)
    deliver(a, b)
    assert 20 == len(first.take())
    b.runtime.directory_changed({"a": a.runtime.offers()})
    second = b.connect(*actors)
    deliver(a, b)
    assert 2 <= len(second.take()) <= 18
