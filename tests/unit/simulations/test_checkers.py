"""Each checker accepts what it should and refuses what it must: histories written by hand."""

from collections.abc import Mapping
from dataclasses import replace

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey, EventRun
from gossip.messages import MemberState
from simulations import checkers
from simulations.history import Call, FinalState, History, Outcome
from simulations.workload import TTL_LONG_MS

A = b"a" * 16
B = b"b" * 16
COUNTER = EntryKey("shop", "counter-0", "PNCounter")
UP = EntryKey("shop", "up-0", "PNCounter")
SET = EntryKey("shop", "set-0", "ORSet")
REGISTER = EntryKey("shop", "register-0", "LWWRegister")


def call(
    key: EntryKey,
    *operations: Operation,
    dot: tuple[bytes, int] | None = None,
    sees: Mapping[bytes, int] | None = None,
    outcome: Outcome = Outcome.OK,
    node: str = "n1",
    at: int = 0,
    value: PlainValue = None,
    ttl_ms: int | None = None,
) -> Call:
    """A call that took one instant; `sees` gives, for each replica id, up to which number events were applied."""
    event = None if dot is None else EventRun(dot[0], dot[1], dot[1] + len(operations) - 1, 0)
    visible = {(0, replica_id): ((1, last),) for replica_id, last in (sees or {}).items()}
    return Call(
        number=at,
        client=1,
        node=node,
        key=key,
        operations=operations,
        is_update=bool(operations),
        ran_on=node if operations and outcome is not Outcome.FAILED else "",
        times_applied=0 if event is None else 1,
        invoked_ns=at,
        completed_ns=at,
        outcome=outcome,
        event=event,
        visible=visible,
        value=value,
        ttl_ms=ttl_ms,
    )


def final(
    values: Mapping[EntryKey, PlainValue], applied: Mapping[bytes, int] | None = None, node: str = "n1"
) -> FinalState:
    intervals = {(0, replica_id): ((1, last),) for replica_id, last in (applied or {}).items()}
    return FinalState(node, repr(sorted(values.items())).encode(), values, intervals)


def increment(amount: int) -> Operation:
    return Operation("increment", (amount,))


def add(element: PlainValue) -> Operation:
    return Operation("add", (element,))


def remove(element: PlainValue) -> Operation:
    return Operation("remove", (element,))


def write(value: PlainValue) -> Operation:
    return Operation("set", (value,))


def test_unequal_bytes_are_no_convergence() -> None:
    same = [final({SET: ("x",)}), final({SET: ("x",)}, node="n2")]
    assert [] == checkers.convergence(History(), same)
    assert checkers.convergence(History(), [same[0], final({SET: ("y",)}, node="n2")])


def test_acknowledged_event_must_be_applied_on_every_node() -> None:
    history = History([call(COUNTER, increment(1), dot=(A, 1))])
    assert [] == checkers.no_lost_update(history, [final({}, {A: 1})])
    assert checkers.no_lost_update(history, [final({}, {A: 1}), final({}, node="n2")])


def test_unknown_update_may_be_lost() -> None:
    history = History([call(COUNTER, increment(1), dot=(A, 1), outcome=Outcome.UNKNOWN)])
    assert [] == checkers.no_lost_update(history, [final({})])


def test_promise_ends_with_the_disk_that_it_was_made_on_and_not_with_another() -> None:
    history = History([call(COUNTER, increment(1), dot=(A, 1), at=5)], wipes=[("n1", 9)])
    assert [] == checkers.no_lost_update(history, [final({})])
    for wipe in (("n2", 9), ("n1", 3)):
        history.wipes = [wipe]
        assert checkers.no_lost_update(history, [final({})])


def test_event_applied_in_part_is_refused() -> None:
    history = History([call(SET, add("x"), add("y"), dot=(A, 1))])
    assert [] == checkers.all_or_nothing(history, [final({}), final({}, {A: 2})])
    assert checkers.all_or_nothing(history, [final({}, {A: 1})])


def test_counter_lies_between_acknowledged_and_acknowledged_plus_unknown() -> None:
    history = History(
        [
            call(UP, increment(5), dot=(A, 1)),
            call(UP, increment(2), dot=(B, 1), outcome=Outcome.UNKNOWN),
            call(UP, increment(9), outcome=Outcome.FAILED),
        ]
    )
    assert [] == checkers.counter_exact(history, [final({UP: 5}, {A: 1})])
    assert [] == checkers.counter_exact(history, [final({UP: 7}, {A: 1, B: 1})])
    for value in (4, 8, 16):
        assert checkers.counter_exact(history, [final({UP: value}, {A: 1, B: 1})])


def test_counter_within_bounds_must_still_equal_its_applied_events() -> None:
    history = History(
        [
            call(COUNTER, increment(5), dot=(A, 1)),
            call(COUNTER, increment(2), dot=(B, 1), outcome=Outcome.UNKNOWN),
        ]
    )
    assert checkers.meaning(history, [final({COUNTER: 7}, {A: 1})])


def test_call_takes_effect_at_most_once_and_a_failed_one_never() -> None:
    once = call(COUNTER, increment(5), dot=(A, 1))
    assert [] == checkers.applied_once(History([once]), [])
    once.times_applied = 2
    assert checkers.applied_once(History([once]), [])
    assert checkers.applied_once(History([call(COUNTER, increment(5), dot=(A, 1), outcome=Outcome.FAILED)]), [])


def test_unknown_decrement_widens_the_lower_bound() -> None:
    history = History(
        [
            call(COUNTER, increment(5), dot=(A, 1)),
            call(COUNTER, Operation("decrement", (2,)), dot=(B, 1), outcome=Outcome.UNKNOWN),
        ]
    )
    assert [] == checkers.counter_exact(history, [final({COUNTER: 3}, {A: 1, B: 1})])
    assert checkers.counter_exact(history, [final({COUNTER: 2}, {A: 1, B: 1})])


def test_add_wins_over_a_removal_that_did_not_see_it() -> None:
    history = History([call(SET, add("x"), dot=(A, 1)), call(SET, remove("x"), dot=(B, 1))])
    assert [] == checkers.meaning(history, [final({SET: ("x",)}, {A: 1, B: 1})])
    assert checkers.meaning(history, [final({SET: ()}, {A: 1, B: 1})])


def test_removed_element_must_not_come_back() -> None:
    for removal in (remove("x"), Operation("clear")):
        history = History([call(SET, add("x"), dot=(A, 1)), call(SET, removal, dot=(B, 1), sees={A: 1})])
        assert [] == checkers.meaning(history, [final({}, {A: 1, B: 1})])
        assert checkers.meaning(history, [final({SET: ("x",)}, {A: 1, B: 1})])


def test_removal_of_the_newest_add_removes_the_adds_which_that_one_saw() -> None:
    history = History(
        [
            call(SET, add("x"), dot=(A, 1)),
            call(SET, add("x"), dot=(A, 2), sees={A: 1}),
            call(SET, remove("x"), dot=(B, 1)),
        ]
    )
    history.calls[2].visible = {(0, A): ((2, 2),)}
    assert [] == checkers.meaning(history, [final({}, {A: 2, B: 1})])
    assert checkers.meaning(history, [final({SET: ("x",)}, {A: 2, B: 1})])


def test_removal_without_event_promises_that_what_it_saw_is_gone() -> None:
    history = History([call(SET, add("x"), dot=(A, 1)), call(SET, remove("x"), sees={A: 1})])
    assert checkers.meaning(history, [final({SET: ("x",)}, {A: 1})])


def test_element_that_nobody_added_is_an_invention() -> None:
    assert checkers.meaning(History([call(SET, add("x"), dot=(A, 1))]), [final({SET: ("x", "y")}, {A: 1})])


def test_elements_that_python_takes_for_equal_are_told_apart() -> None:
    history = History([call(SET, add(1), add(True), dot=(A, 1))])
    assert [] == checkers.meaning(history, [final({SET: (1, True)}, {A: 2})])
    assert checkers.meaning(history, [final({SET: (1,)}, {A: 2})])
    assert checkers.meaning(history, [final({SET: (1, 1.0)}, {A: 2})])


def test_register_holds_a_write_that_no_other_write_has_seen() -> None:
    history = History(
        [
            call(REGISTER, write("old"), dot=(A, 1)),
            call(REGISTER, write("new"), dot=(A, 2), sees={A: 1}),
            call(REGISTER, write("concurrent"), dot=(B, 1), sees={A: 1}),
        ]
    )
    applied = {A: 2, B: 1}
    for value in ("new", "concurrent"):
        assert [] == checkers.meaning(history, [final({REGISTER: value}, applied)])
    for wrong in ("old", "invented", None):
        assert checkers.meaning(history, [final({REGISTER: wrong}, applied)])


def test_cleared_register_is_empty() -> None:
    history = History(
        [call(REGISTER, write("x"), dot=(A, 1)), call(REGISTER, Operation("clear"), dot=(B, 1), sees={A: 1})]
    )
    assert [] == checkers.meaning(history, [final({}, {A: 1, B: 1})])
    assert checkers.meaning(history, [final({REGISTER: "x"}, {A: 1, B: 1})])


def test_reads_on_one_node_do_not_go_back() -> None:
    history = History([call(UP, at=1, value=5), call(UP, at=2, value=5)])
    assert [] == checkers.session_order(history, [])
    history.calls.append(call(UP, at=3, value=4))
    assert checkers.session_order(history, [])
    history.wipes = [("n1", 2)]
    assert [] == checkers.session_order(history, [])


def test_reads_on_another_node_may_be_behind() -> None:
    history = History([call(UP, at=1, value=5), call(UP, at=2, value=4, node="n2")])
    assert [] == checkers.session_order(history, [])


def test_read_holds_what_the_node_acknowledged_before() -> None:
    history = History([call(UP, increment(3), dot=(A, 1), at=1), call(UP, at=2, value=2)])
    assert checkers.session_order(history, [])
    history.calls[1].value = 3
    assert [] == checkers.session_order(history, [])


def test_open_call_is_a_call_that_blocked() -> None:
    assert checkers.answered(History([call(UP, increment(1), outcome=Outcome.OPEN)]), [])
    assert [] == checkers.answered(History([call(UP, increment(1), outcome=Outcome.UNKNOWN)]), [])


def test_membership_is_complete_when_everyone_sees_exactly_the_running() -> None:
    a, d, s = MemberState.ALIVE, MemberState.DEAD, MemberState.SUSPECT
    whole = {"a": {"a": a, "b": a, "c": d}, "b": {"a": a, "b": a}}
    assert [] == checkers.unexpected_members(whole, running=["a", "b"])
    assert checkers.unexpected_members(whole, running=["a", "b", "c"])
    assert checkers.unexpected_members({"a": {"a": a}, "b": whole["b"]}, running=["a", "b"])
    for doubtful in ({**whole["a"], "c": a}, {**whole["a"], "c": s}, {**whole["a"], "b": s}):
        assert checkers.unexpected_members({"a": doubtful}, running=["a", "b"])


def test_state_is_answered_soon_unless_its_node_is_held_up() -> None:
    slow = call(UP, at=1, value=0)
    slow.completed_ns = 5_000_000_000
    history = History([slow])
    assert checkers.progress(history, [])
    history.held_up = [("n1", 0, 4_500_000_000)]
    assert [] == checkers.progress(history, [])
    history.held_up = [("n2", 0, 4_500_000_000)]
    assert checkers.progress(history, [])


def test_queues_are_empty_after_quiet_and_no_identity_is_invented() -> None:
    assert [] == checkers.nothing_queued(History(), [final({})])
    assert checkers.nothing_queued(History(), [FinalState("n1", b"", {}, {}, queued_bytes=1)])
    history = History(identities=1)
    assert [] == checkers.known_identities(history, [final({}, {A: 1})])
    assert checkers.known_identities(history, [final({}, {A: 1, B: 1})])


def test_level_holds_against_as_many_lost_disks_as_it_counted_less_one() -> None:
    write = call(COUNTER, increment(1), dot=(A, 1), at=5)
    write.level, write.needed = "majority", 2
    history = History([write], wipes=[("n1", 9)])
    assert checkers.no_lost_update(history, [final({})])
    history.wipes.append(("n2", 10))
    assert [] == checkers.no_lost_update(history, [final({})])
    history.wipes = [("n2", 10), ("n3", 11)]
    assert checkers.no_lost_update(history, [final({})])


def test_alarms_that_only_a_lie_explains_fail_a_run() -> None:
    assert [] == checkers.unexpected_alarms({"alarm.clock_drift": 3})
    assert checkers.unexpected_alarms({"alarm.audit_mismatch": 1})


def test_peace_knows_no_doubt_and_nothing_unknown() -> None:
    fine = call(UP, increment(1), dot=(A, 1))
    own = call(UP, increment(1), outcome=Outcome.FAILED)
    own.reason = "HANDLER_ERROR: drawn"
    assert [] == checkers.unexpected_in_peace(History([fine, own]), {"member.joined": 2})
    assert checkers.unexpected_in_peace(History([fine]), {"member.suspected": 1})
    assert checkers.unexpected_in_peace(History([call(UP, increment(1), outcome=Outcome.UNKNOWN)]), {})


EXPIRING = EntryKey("shop", "expiring-0", "ORSet")


def test_what_was_to_live_long_must_be_there() -> None:
    calls = [call(EXPIRING, add("a"), dot=(A, 1), ttl_ms=TTL_LONG_MS), call(EXPIRING, add("b"), dot=(A, 2), ttl_ms=1)]
    history = History(calls=calls, ended_ns=60_000_000_000)
    assert [] == checkers.expiry(history, [final({EXPIRING: ("a",)})])
    assert 1 == len(checkers.expiry(history, [final({EXPIRING: ("b",)})]))
    assert 1 == len(checkers.expiry(history, [final({})]))


def test_what_has_expired_must_be_gone_when_no_clock_erred() -> None:
    history = History(calls=[call(EXPIRING, add("a"), dot=(A, 1), ttl_ms=1)], ended_ns=60_000_000_000)
    assert [] == checkers.expiry(history, [final({})])
    assert 1 == len(checkers.expiry(history, [final({EXPIRING: ("a",)})]))
    history.clocks_erred = True
    assert [] == checkers.expiry(history, [final({EXPIRING: ("a",)})])


def test_nodes_may_hide_what_expires_at_different_times() -> None:
    shown, hidden = final({EXPIRING: ("a",)}, node="n1"), replace(final({}), node="n2")
    same = replace(hidden, digest=shown.digest)
    assert [] == checkers.convergence(History(), [shown, same])


BRIEF = EntryKey("shop", "brief-0", "ORSet")
SECOND = 1_000_000_000


def test_an_update_that_did_not_wait_may_be_lost_when_no_node_is_left_that_has_it() -> None:
    made = call(BRIEF, add("a"), dot=(A, 1))
    history = History(calls=[made])
    history.crashed([{(0, A): ((1, 1),)}], lambda key: 100, now_ns=SECOND)
    assert history.promised(made)
    history.crashed([{}], lambda key: 100, now_ns=2 * SECOND)
    assert not history.promised(made)


def test_an_update_that_had_the_time_to_be_written_is_owed_after_any_crash() -> None:
    made = call(BRIEF, add("a"), dot=(A, 1), at=1)
    history = History(calls=[made])
    history.crashed([{}], lambda key: 100, now_ns=60 * SECOND)
    assert history.promised(made)
    history.crashed([{}], lambda key: -1, now_ns=60 * SECOND)
    assert not history.promised(made)


def test_an_update_that_waited_for_the_disk_is_owed_after_any_crash() -> None:
    made = call(SET, add("a"), dot=(A, 1))
    history = History(calls=[made])
    history.crashed([{}], lambda key: 0, now_ns=1)
    assert history.promised(made)
