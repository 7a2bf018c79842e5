"""Turns over a view: what hosts see, in which order, and when callers are told."""

import json

from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import NO_PAYLOAD, STATE_CHANGED, STATE_UNCHANGED, STATE_VALUE, StateUpdate
from tests.unit.crdtmesh.runtime.mesh import ECHO, LIST, LIST_KEY, STOCK, STOCK_KEY, TYPE_URL, Host, Node, deliver, link


def test_first_turn_brings_the_whole_state_and_later_ones_bring_nothing() -> None:
    node = Node()
    node.update(STOCK_KEY, "increment", 5)
    host = node.connect()
    node.call(STOCK, "increment")
    host.run_all()
    node.call(STOCK, "increment")
    host.run_all()
    assert [StateUpdate(STOCK, "PNCounter", True, 5)] == host.updates
    assert 7 == node.value(STOCK_KEY)
    assert 7 == host.copies[STOCK]


def test_turns_of_one_actor_reach_the_host_in_the_order_of_the_calls() -> None:
    node = Node(window_max=4)
    host = node.connect()
    for number in range(20):
        node.call(LIST, "add", str(number).encode())
    seen = []
    while turns := host.take():
        seen += [int(turn.payload) for turn in turns]
        host.run()
    assert list(range(20)) == seen


def test_at_most_a_window_of_turns_is_in_flight() -> None:
    node = Node(window_max=3)
    host = node.connect()
    calls = [node.call(STOCK, "increment") for _ in range(5)]
    assert 3 == len(host.take())
    host.run(1)
    assert 1 == len(host.take())
    host.run_all()
    assert all(node.reply(call) for call in calls)


def test_remote_change_does_not_reach_turns_in_flight_and_waits_for_no_more_than_them() -> None:
    node, far = Node(), Node("b")
    host = node.connect()
    link(node, far)
    for _ in range(3):
        node.call(STOCK, "increment")
    assert 3 == len(host.take())
    far.update(STOCK_KEY, "increment", 100)
    deliver(node, far)
    late = node.call(STOCK, "echo")
    # The view is behind: nothing is handed out until the turns in flight were answered.
    assert [] == host.take()
    host.run(2)
    assert [] == host.take()
    host.run(1)
    host.run_all()
    assert b"103" == node.reply(late).payload
    assert [0, 103] == [update.value for update in host.updates]


def test_remote_change_of_a_large_set_is_sent_as_touched_elements() -> None:
    node, far, host = large_list_on_two_nodes()
    far.update(LIST_KEY, "remove", "milk")
    far.update(LIST_KEY, "add", "tea")
    deliver(node, far)
    call = node.call(LIST, "echo")
    host.run_all()
    assert StateUpdate(LIST, "ORSet", False, None, ["tea"], ["milk"]) == host.updates[-1]
    assert ["apple", "bread", "salt", "tea"] == json.loads(node.reply(call).payload)


def test_remote_change_of_most_of_a_set_is_sent_whole() -> None:
    node, far = Node(), Node("b")
    host = node.connect()
    link(node, far)
    node.call(LIST, "add", b"milk")
    host.run_all()
    deliver(node, far)
    far.update(LIST_KEY, "remove", "milk")
    far.update(LIST_KEY, "add", "tea")
    deliver(node, far)
    node.call(LIST, "echo")
    host.run_all()
    assert StateUpdate(LIST, "ORSet", True, ("tea",)) == host.updates[-1]


def large_list_on_two_nodes() -> tuple[Node, Node, Host]:
    node, far = Node(), Node("b")
    host = node.connect()
    link(node, far)
    for name in ("apple", "bread", "milk", "salt"):
        node.call(LIST, "add", name.encode())
    host.run_all()
    deliver(node, far)
    return node, far, host


def receive_without_telling_the_runtime(node: Node, far: Node) -> None:
    """What happens when a push and a call come in the same loop turn."""
    for push in far.pushes:
        node.replica.receive(push.payload, far.name, now_ns=node.now_ns, wall_ms=node.wall_ms)
    far.pushes.clear()


def test_remote_change_that_the_runtime_was_not_told_of_yet_is_seen_by_the_next_turn() -> None:
    node, far, host = large_list_on_two_nodes()
    far.update(LIST_KEY, "remove", "milk")
    receive_without_telling_the_runtime(node, far)
    call = node.call(LIST, "echo")
    host.run_all()
    assert ["apple", "bread", "salt"] == json.loads(node.reply(call).payload)


def test_update_from_outside_does_not_hide_a_remote_change_from_the_host() -> None:
    node, far, host = large_list_on_two_nodes()
    far.update(LIST_KEY, "remove", "milk")
    receive_without_telling_the_runtime(node, far)
    node.update(LIST_KEY, "add", "tea")
    call = node.call(LIST, "echo")
    host.run_all()
    assert ["apple", "bread", "salt", "tea"] == json.loads(node.reply(call).payload)


def test_removal_in_a_turn_does_not_remove_what_the_turn_could_not_see() -> None:
    node, far = Node(), Node("b")
    host = node.connect()
    link(node, far)
    node.call(LIST, "add", b"milk")
    host.run_all()
    deliver(node, far)
    node.call(LIST, "remove", b"milk")
    host.take()
    far.update(LIST_KEY, "add", "milk")
    deliver(node, far)
    host.run_all()
    assert ("milk",) == node.value(LIST_KEY)
    call = node.call(LIST, "echo")
    host.run_all()
    assert ["milk"] == json.loads(node.reply(call).payload)


def test_failed_handler_leaves_nothing_and_its_words_reach_the_caller() -> None:
    node = Node()
    host = node.connect()
    calls = [node.call(STOCK, action) for action in ("increment", "fail", "increment")]
    host.run_all()
    assert (ErrorCode.HANDLER_ERROR, Outcome.NOT_APPLIED, "it broke") == node.failure(calls[1])[1:]
    assert b"0" == node.reply(calls[0]).payload
    assert 2 == node.value(STOCK_KEY) == host.copies[STOCK]


def test_refused_operations_undo_the_turns_behind_them_and_the_host_gets_the_whole_state() -> None:
    node = Node()
    host = node.connect()
    calls = [node.call(LIST, action, payload) for action, payload in (("add", b"a"), ("break", b""), ("add", b"b"))]
    host.run_all()
    assert TYPE_URL == node.reply(calls[0]).type_url
    for call in calls[1:]:
        assert (ErrorCode.INVALID_OPERATION, Outcome.NOT_APPLIED) == node.failure(call)[1:3]
    assert ("a",) == node.value(LIST_KEY)
    later = node.call(LIST, "add", b"c")
    host.run_all()
    assert ["a"] == json.loads(node.reply(later).payload)
    assert {"a", "c"} == host.copies[LIST]


def test_call_that_waited_behind_a_refused_turn_sees_the_state_put_right() -> None:
    node = Node(window_max=2)
    host = node.connect()
    refused, undone, waiting = (
        node.call(LIST, action, payload) for action, payload in (("break", b""), ("add", b"a"), ("add", b"b"))
    )
    host.run_all()
    assert [ErrorCode.INVALID_OPERATION] * 2 == [node.failure(call).code for call in (refused, undone)]
    assert b"[]" == node.reply(waiting).payload
    assert ("b",) == node.value(LIST_KEY)


def test_unreadable_operations_are_refused_in_their_place() -> None:
    node = Node()
    host = node.connect()
    calls = [node.call(LIST, "add", name) for name in (b"a", b"b")]
    first, second = host.take()
    answers = [(first.number, "", b"", InvalidOperation("no mutations")), (second.number, "", b"", ())]
    host.queue.clear()
    host.answer(answers, [])
    assert [ErrorCode.INVALID_OPERATION] * 2 == [node.failure(call).code for call in calls]
    assert "no mutations" == node.failure(calls[0]).message


def test_replies_wait_for_the_commit_of_all_that_they_could_have_seen() -> None:
    node = Node()
    host = node.connect()
    node.is_disk_held = True
    calls = [
        node.call(STOCK, "increment"),
        node.call(STOCK, "echo"),
        node.call(STOCK, "fail"),
        node.call(STOCK, "get"),
    ]
    host.run_all()
    assert [None] * 4 == [node.outcome(call) for call in calls]
    node.sync()
    assert None not in [node.outcome(call) for call in calls]
    assert b'["PNCounter", 1]' == node.reply(calls[3]).payload


def test_reply_of_an_actor_without_state_waits_for_no_disk() -> None:
    node = Node()
    host = node.connect()
    node.is_disk_held = True
    node.call(STOCK, "increment")
    call = node.call(ECHO, "echo")
    host.run_all()
    assert TYPE_URL == node.reply(call).type_url


def test_actor_without_state_that_answers_operations_is_told_so() -> None:
    node = Node()
    host = node.connect()
    call = node.call(ECHO, "echo")
    (turn,) = host.take()
    host.answer([(turn.number, "", b"", (object(),))], [])
    assert (ErrorCode.INVALID_OPERATION, Outcome.NOT_APPLIED) == node.failure(call)[1:3]


def test_read_actions_are_answered_by_the_node_in_the_order_of_the_calls() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    first = node.call(STOCK, "getState")
    node.call(STOCK, "increment")
    second = node.call(STOCK, "get")
    assert 2 == len(host.take())
    host.run(1)
    assert STATE_VALUE == node.reply(first).type_url
    assert b'["PNCounter", 1]' == node.reply(first).payload
    assert node.outcome(second) is None
    host.run_all()
    assert b'["PNCounter", 2]' == node.reply(second).payload


def test_several_reads_behind_one_turn_are_all_answered_after_it() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    reads = [node.call(STOCK, "get") for _ in range(3)]
    host.run_all()
    assert [b'["PNCounter", 1]'] * 3 == [node.reply(read).payload for read in reads]


def test_read_of_an_actor_that_has_no_state_yet_has_no_payload() -> None:
    node = Node()
    node.connect()
    for actor in (STOCK, ECHO):
        assert NO_PAYLOAD == node.reply(node.call(actor, "get")).type_url


def test_update_from_outside_waits_for_turns_in_flight_and_reaches_the_host() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    host.take()
    update = node.update(STOCK_KEY, "increment", 10)
    after = node.call(STOCK, "echo")
    assert node.outcome(update) is None
    host.run_all()
    assert STATE_CHANGED == node.reply(update).type_url
    assert b'["PNCounter", 11]' == node.reply(update).payload
    assert b"11" == node.reply(after).payload


def test_update_from_outside_says_whether_it_had_an_effect_or_why_not() -> None:
    node = Node()
    assert STATE_UNCHANGED == node.reply(node.update(LIST_KEY, "remove", "milk")).type_url
    refused = node.failure(node.update(LIST_KEY, "explode"))
    assert (ErrorCode.INVALID_OPERATION, Outcome.NOT_APPLIED) == refused[1:3]


def test_broken_disk_leaves_writes_unknown_and_refuses_later_ones() -> None:
    node = Node()
    host = node.connect()
    node.is_disk_held = True
    write = node.call(STOCK, "increment")
    host.run_all()
    read = node.call(STOCK, "get")
    node.break_disk()
    assert (ErrorCode.STORAGE_FAILED, Outcome.UNKNOWN) == node.failure(write)[1:3]
    assert (ErrorCode.STORAGE_FAILED, Outcome.NOT_APPLIED) == node.failure(read)[1:3]
    late = node.call(STOCK, "increment")
    host.run_all()
    assert (ErrorCode.STORAGE_FAILED, Outcome.NOT_APPLIED) == node.failure(late)[1:3]


def test_answers_that_nobody_asked_for_change_nothing() -> None:
    node = Node()
    host, other = node.connect(), node.connect()
    call = node.call(STOCK, "increment")
    (turn,) = host.take() or other.take()
    thief = other if host.queue else host
    for answers in ([(turn.number, "", b"", ())], [(999, "", b"", ())]):
        thief.answer(answers, [(998, "", ErrorCode.HANDLER_ERROR)])
    assert node.outcome(call) is None
    (host if host.queue else other).run_all()
    assert node.reply(call)
    assert 1 == node.value(STOCK_KEY)


def test_second_answer_to_a_turn_is_ignored() -> None:
    node = Node()
    host = node.connect()
    call = node.call(ECHO, "echo")
    (turn,) = host.take()
    host.answer(
        [(turn.number, "", b"1", ()), (turn.number, "", b"2", ())], [(turn.number, "", ErrorCode.HANDLER_ERROR)]
    )
    assert b"1" == node.reply(call).payload
