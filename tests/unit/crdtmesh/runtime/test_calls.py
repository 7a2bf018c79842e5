"""Calls and their one outcome: every error, deadlines, bounds, lost hosts and callers, draining."""

from typing import Any

import pytest

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome, RegistrationRefused
from crdtmesh.runtime.messages import Call, CallerId, CallExtra
from crdtmesh.runtime.options import RuntimeOptions
from tests.unit.crdtmesh.runtime.mesh import CALLER, ECHO, LIST, SHOP, STOCK, STOCK_KEY, Node, definition

NOT_APPLIED, UNKNOWN = Outcome.NOT_APPLIED, Outcome.UNKNOWN


def test_unknown_actor_names_the_nearest_known_one() -> None:
    node = Node()
    node.connect()
    failure = node.failure(node.call(ActorAddress("shop", "stok"), "increment"))
    assert (ErrorCode.UNKNOWN_ACTOR, NOT_APPLIED) == failure[1:3]
    assert failure.message.endswith("did you mean 'stock'?")


def test_unknown_actor_of_another_system_is_unknown() -> None:
    node = Node()
    node.connect()
    failure = node.failure(node.call(ActorAddress("warehouse", "stock"), "increment"))
    assert (ErrorCode.UNKNOWN_ACTOR, NOT_APPLIED) == failure[1:3]
    assert "Actor 'stock' not found on ActorSystem 'warehouse'; no actor of that system is known" == failure.message


def test_unknown_action_is_told_in_the_words_of_spawn() -> None:
    node = Node()
    node.connect()
    expected = (ErrorCode.UNKNOWN_ACTION, NOT_APPLIED, "Action [explode] not found for Actor [stock]")
    assert expected == node.failure(node.call(STOCK, "explode"))[1:]
    node.call(STOCK, "increment")
    assert expected == node.failure(node.call(STOCK, "explode"))[1:]


def test_unknown_action_names_the_nearest_known_one() -> None:
    node = Node()
    node.connect()
    message = node.failure(node.call(STOCK, "incremnt")).message
    assert "Action [incremnt] not found for Actor [stock]; did you mean 'increment'?" == message


def test_action_that_the_host_turns_out_not_to_have_is_unknown() -> None:
    node = Node()
    host = node.connect()
    call = node.call(ECHO, "echo")
    (turn,) = host.take()
    host.answer([], [(turn.number, "no such method", ErrorCode.UNKNOWN_ACTION)])
    assert (ErrorCode.UNKNOWN_ACTION, NOT_APPLIED) == node.failure(call)[1:3]


def test_declared_actor_without_host_has_no_host() -> None:
    node = Node()
    node.runtime.register(SHOP)
    assert (ErrorCode.NO_HOST, NOT_APPLIED) == node.failure(node.call(STOCK, "increment"))[1:3]


def test_state_is_read_without_any_host() -> None:
    node = Node()
    node.runtime.register(SHOP)
    node.update(STOCK_KEY, "increment", 3)
    assert b'["PNCounter", 3]' == node.reply(node.call(STOCK, "get")).payload


def test_read_action_that_the_actor_declares_itself_goes_to_its_host() -> None:
    node = Node()
    host = node.connect(definition(STOCK, "PNCounter", actions=frozenset({"GetState", "get"})))
    node.call(STOCK, "get")
    assert ["get"] == [turn.action for turn in host.take()]
    # One of the five declared means that the node answers none of them.
    assert ErrorCode.UNKNOWN_ACTION == node.failure(node.call(STOCK, "getState")).code


def test_lost_host_leaves_its_turns_unknown_and_the_waiting_ones_go_to_another_host() -> None:
    node = Node(window_max=1)
    first = node.connect()
    sent, waiting = node.call(STOCK, "increment"), node.call(STOCK, "increment")
    first.take()
    second = node.connect()
    node.lose(first)
    assert (ErrorCode.HOST_LOST, UNKNOWN) == node.failure(sent)[1:3]
    assert node.outcome(waiting) is None
    second.run_all()
    assert node.reply(waiting)
    assert 1 == node.value(STOCK_KEY) == second.copies[STOCK]


def test_lost_host_without_another_leaves_the_waiting_calls_without_host() -> None:
    node = Node(window_max=1)
    host = node.connect()
    calls = [node.call(STOCK, action) for action in ("increment", "get", "increment")]
    host.take()
    node.lose(host)
    assert (ErrorCode.HOST_LOST, UNKNOWN) == node.failure(calls[0])[1:3]
    assert node.reply(calls[1])
    assert (ErrorCode.NO_HOST, NOT_APPLIED) == node.failure(calls[2])[1:3]


def test_answers_of_a_lost_host_are_ignored() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    host.take()
    node.lose(host)
    host.run_all()
    assert node.value(STOCK_KEY) is None


def test_deadline_in_the_mailbox_is_not_applied() -> None:
    node = Node(window_max=1)
    host = node.connect()
    node.call(STOCK, "increment")
    late = node.call(STOCK, "increment", timeout_ms=50)
    node.advance(49)
    assert node.outcome(late) is None
    node.advance(1)
    assert (ErrorCode.TIMEOUT, NOT_APPLIED) == node.failure(late)[1:3]
    host.run_all()
    assert 1 == node.value(STOCK_KEY)


def test_deadline_after_dispatch_is_unknown_and_the_answer_still_counts() -> None:
    node = Node()
    host = node.connect()
    late = node.call(STOCK, "increment", timeout_ms=50)
    (turn,) = host.take()
    node.advance(50)
    assert (ErrorCode.TIMEOUT, UNKNOWN) == node.failure(late)[1:3]
    host.run_all()
    assert [turn.number] == host.cancelled
    assert 1 == node.value(STOCK_KEY) == host.copies[STOCK]


def test_deadline_while_the_commit_is_awaited_is_unknown() -> None:
    node = Node()
    host = node.connect()
    node.is_disk_held = True
    write = node.call(STOCK, "increment", timeout_ms=50)
    host.run_all()
    read = node.call(STOCK, "get", timeout_ms=50)
    node.advance(50)
    assert (ErrorCode.TIMEOUT, UNKNOWN) == node.failure(write)[1:3]
    assert (ErrorCode.TIMEOUT, NOT_APPLIED) == node.failure(read)[1:3]
    node.sync()
    assert ErrorCode.TIMEOUT == node.failure(write).code


def test_read_behind_a_turn_that_takes_too_long_is_not_applied() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    read = node.call(STOCK, "get", timeout_ms=50)
    host.take()
    node.advance(50)
    assert (ErrorCode.TIMEOUT, NOT_APPLIED) == node.failure(read)[1:3]
    host.run_all()
    assert ErrorCode.TIMEOUT == node.failure(read).code


def test_host_is_told_the_time_that_is_left() -> None:
    node = Node(window_max=1, timeout_default_ms=10_000, timeout_max_ms=20_000)
    host = node.connect()
    for timeout_ms in (500, 0, 4_000_000):
        node.call(STOCK, "increment", timeout_ms=timeout_ms)
    seen = []
    for _ in range(3):
        seen += [turn.timeout_ms for turn in host.take()]
        node.advance(100)
        host.run()
    assert [500, 9_900, 19_800] == seen


def test_next_deadline_is_that_of_the_first_open_call_and_then_that_of_idleness() -> None:
    node = Node()
    host = node.connect()
    node.call(ECHO, "echo", timeout_ms=500)
    node.call(ECHO, "echo", timeout_ms=100)
    assert 100_000_000 == (node.runtime.next_deadline_ns() or 0) - node.now_ns
    host.run_all()
    assert 10_000_000_000 == (node.runtime.next_deadline_ns() or 0) - node.now_ns
    node.advance(10_000)
    assert node.runtime.next_deadline_ns() is None


def test_full_mailbox_refuses_and_the_ones_in_it_still_run() -> None:
    node = Node(mailbox_max=2, window_max=1)
    host = node.connect()
    calls = [node.call(STOCK, "increment") for _ in range(4)]
    assert (ErrorCode.MAILBOX_FULL, NOT_APPLIED) == node.failure(calls[3])[1:3]
    host.run_all()
    assert 3 == node.value(STOCK_KEY)


def test_full_host_makes_calls_of_other_actors_wait_for_it() -> None:
    node = Node(host_turns_max=2)
    host = node.connect()
    calls = [node.call(actor, "echo") for actor in (STOCK, LIST, ECHO, ECHO)]
    assert [STOCK, LIST] == [turn.actor for turn in host.take()]
    host.run(1)
    assert [ECHO] == [turn.actor for turn in host.take()]
    host.run_all()
    assert all(node.reply(call) for call in calls)


def test_node_with_too_many_calls_refuses_more() -> None:
    node = Node(calls_max=2)
    host = node.connect()
    calls = [node.call(actor, "echo") for actor in (STOCK, LIST, ECHO)]
    assert (ErrorCode.MAILBOX_FULL, NOT_APPLIED) == node.failure(calls[2])[1:3]
    host.run_all()
    node.call(ECHO, "echo")
    assert [ECHO] == [turn.actor for turn in host.take()]


def test_call_id_in_flight_twice_is_refused_once() -> None:
    node = Node()
    host = node.connect()
    call = Call(7, ECHO, "echo")
    node.runtime.invoke(CALLER, [call, call], now_ns=node.now_ns)
    node.flush()
    assert ErrorCode.INVALID_REQUEST == node.failure(7).code
    assert 1 == len(host.take())


def test_cancelled_call_gets_no_reply() -> None:
    node = Node(window_max=1)
    host = node.connect()
    sent, waiting = node.call(STOCK, "increment"), node.call(STOCK, "increment")
    (turn,) = host.take()
    for call in (sent, waiting):
        node.cancel(call)
        node.cancel(call)
    host.run_all()
    assert [None, None] == [node.outcome(call) for call in (sent, waiting)]
    assert [turn.number] == host.cancelled
    # The one that had reached the host had its effect, the other one did not.
    assert 1 == node.value(STOCK_KEY)


def test_lost_caller_gets_nothing_and_others_do() -> None:
    node = Node()
    host = node.connect()
    lost, other = CallerId(5), CallerId(6)
    node.call(STOCK, "increment", caller=lost)
    call = node.call(STOCK, "echo", caller=other)
    node.runtime.caller_lost(lost, now_ns=node.now_ns)
    node.runtime.caller_lost(CallerId(99), now_ns=node.now_ns)
    host.run_all()
    assert [(other, call)] == list(node.outcomes)
    assert b"1" == node.reply_to(other, call).payload


def test_draining_refuses_new_calls_and_ends_when_the_old_ones_have_theirs() -> None:
    node = Node()
    host = node.connect()
    old = node.call(STOCK, "increment")
    node.runtime.drain()
    new = node.call(STOCK, "increment")
    assert (ErrorCode.DRAINING, NOT_APPLIED) == node.failure(new)[1:3]
    assert not node.runtime.is_drained
    host.run_all()
    assert node.reply(old)
    assert node.runtime.is_drained


def test_extra_of_a_call_reaches_the_host_as_it_is() -> None:
    node = Node()
    node.connect()
    extra = CallExtra({"trace": "1"}, ECHO)
    node.runtime.invoke(CALLER, [Call(1, ECHO, "echo", "", b"", 0, extra), Call(2, ECHO, "echo")], now_ns=node.now_ns)
    ((_, columns),) = node.runtime.take_outgoing().hosts
    assert [(columns.turns[0], extra)] == columns.extras


def test_unknown_system_is_told_with_the_nearest_one() -> None:
    node = Node()
    node.connect()
    message = node.failure(node.call(ActorAddress("shopp", "stock"), "get")).message
    assert message.endswith("no actor of that system is known, did you mean system 'shop'?")


@pytest.mark.parametrize("action", ["a\0b", "a\nb", "\x1b[2J", "\ud800", "x" * 10_000])
def test_unknown_action_is_told_in_printable_words(action: str) -> None:
    node = Node()
    node.connect()
    failure = node.failure(node.call(STOCK, action))
    assert ErrorCode.UNKNOWN_ACTION == failure.code
    assert len(failure.message) < 600
    assert failure.message.isprintable()


def test_names_of_odd_shape_are_just_unknown() -> None:
    node = Node()
    node.connect()
    for name in ("", "../etc/passwd", "a\0b", "a\nb", "x" * 10_000, "\ud800"):
        failure = node.failure(node.call(ActorAddress("shop", name), "get"))
        assert ErrorCode.UNKNOWN_ACTOR == failure.code
        assert len(failure.message) < 600
        assert failure.message.isprintable()


@pytest.mark.parametrize("name", ["mailbox_max", "window_max", "host_turns_max", "calls_max", "timeout_max_ms"])
def test_options_refuse_what_allows_nothing(name: str) -> None:
    changes: dict[str, Any] = {name: 0}
    with pytest.raises(ValueError, match=name):
        RuntimeOptions(**changes)


def test_options_refuse_a_default_deadline_above_the_longest() -> None:
    with pytest.raises(ValueError, match="timeout_default_ms=2000 above timeout_max_ms=1000"):
        RuntimeOptions(timeout_default_ms=2_000, timeout_max_ms=1_000)


def test_too_many_definitions_are_refused_and_those_without_a_host_give_way_first() -> None:
    node = Node(definitions_max=3)
    node.runtime.register([definition(ActorAddress("shop", f"old-{number}")) for number in range(3)])
    node.connect(*SHOP)
    with pytest.raises(RegistrationRefused, match="definitions_max=3"):
        node.connect(definition(ActorAddress("shop", "one-more")))
    assert [item.address for item in node.runtime.offers()] == sorted([STOCK, LIST, ECHO])


@pytest.mark.parametrize("name", ["crdtmesh.write", "crdtmesh.read"])
@pytest.mark.parametrize("level", ["most", "to(0)", "majority(2)"])
def test_a_text_that_is_no_level_is_refused_before_the_turn(level: str, name: str) -> None:
    node = Node()
    host = node.connect()
    failure = node.failure(node.call(STOCK, "increment", extra=CallExtra({name: level}, None)))
    assert (ErrorCode.INVALID_REQUEST, NOT_APPLIED) == failure[1:3]
    assert [] == host.take()


def test_the_level_local_is_taken() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment", extra=CallExtra({"crdtmesh.write": "local"}, None))
    assert 1 == len(host.take())
