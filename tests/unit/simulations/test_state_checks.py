"""The checkers of the service `State` accept what they should and refuse what they must: histories written by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey, EventRun
from crdtmesh.sdk.watch import SetChange, WatchEvent
from simulations import checkers, state_checks
from simulations.history import Call, FinalState, History, Outcome, Route, WatchRecord
from simulations.scheduler import SECOND_NS

A = b"a" * 16
B = b"b" * 16
FADING = EntryKey("shop", "expiring-f1", "ORSet")
LINES = EntryKey("shop", "{batch-0}/lines", "ORSet")
TOTAL = EntryKey("shop", "{batch-0}/total", "ORSet")
SURE = EntryKey("shop", "sure-0", "ORSet")
ONCE = EntryKey("shop", "once-0", "PNCounter")
THREE = frozenset({"n1", "n2", "n3"})


def call(
    key: EntryKey,
    *operations: Operation,
    dot: tuple[bytes, int] | None = None,
    node: str = "n1",
    at: int = 0,
    value: PlainValue = None,
    ttl_ms: int | None = None,
) -> Call:
    """A call that was done and took one instant."""
    event = None if dot is None else EventRun(dot[0], dot[1], dot[1] + len(operations) - 1, 0)
    return Call(
        number=at,
        client=1,
        node=node,
        key=key,
        operations=operations,
        is_update=bool(operations),
        ran_on=node if operations else "",
        times_applied=0 if event is None else 1,
        invoked_ns=at,
        completed_ns=at,
        outcome=Outcome.OK,
        event=event,
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


def edge(made: Call, **changes: object) -> Call:
    return replace(made, route=Route.EDGE, **changes)  # type: ignore[arg-type]


def at_majority(made: Call, needed: int = 2, voters: frozenset[str] = THREE) -> Call:
    return edge(made, level="majority", needed=needed, voters=voters)


def write_and_read(*value: str, **changes: object) -> History:
    write = at_majority(call(SURE, add("x"), dot=(A, 1), at=1))
    read = at_majority(call(SURE, node="n2", at=9, value=value))
    return History([write, replace(read, **changes)])  # type: ignore[arg-type]


def test_read_at_a_majority_shows_what_a_majority_had_before_it_began() -> None:
    assert [] == state_checks.reads_at_levels(write_and_read("x", "y"), [])
    assert state_checks.reads_at_levels(write_and_read("y"), [])


def test_read_that_began_before_the_write_was_acknowledged_may_miss_it() -> None:
    assert [] == state_checks.reads_at_levels(write_and_read(invoked_ns=1), [])


def test_read_and_write_without_a_voter_in_common_promise_nothing() -> None:
    grown = frozenset({"n1", "n2", "n3", "n4"})
    assert [] == state_checks.reads_at_levels(write_and_read(voters=grown), [])
    assert state_checks.reads_at_levels(write_and_read(voters=grown, needed=3), [])


def test_voter_that_lost_its_disk_in_between_is_none_in_common() -> None:
    history = write_and_read()
    history.wipes = [("n1", 5)]
    assert [] == state_checks.reads_at_levels(history, [])
    history.wipes = [("n1", 10)]
    assert state_checks.reads_at_levels(history, [])


def test_read_at_this_node_promises_no_level() -> None:
    assert [] == state_checks.reads_at_levels(write_and_read(level="local"), [])


def test_read_with_a_token_shows_no_less_than_its_source() -> None:
    source = edge(call(SURE, add("x"), dot=(A, 1), at=0), value=("w", "x"))
    read = edge(call(SURE, node="n2", at=1, value=("x", "y", "z")), after=0)
    assert state_checks.tokens_cover(History([source, read]), [])
    for kept in (
        replace(read, value=("w", "x", "y")),
        replace(read, outcome=Outcome.FAILED),
        replace(read, after=None),
    ):
        assert [] == state_checks.tokens_cover(History([source, kept]), [])


def test_batch_is_seen_in_all_of_its_keys_or_in_none() -> None:
    batch = edge(call(LINES, add("x"), dot=(A, 1)), others=(TOTAL,))
    whole, part = {LINES.key: ("x", "y"), TOTAL.key: ("x",)}, {LINES.key: ("y",), TOTAL.key: ("x",)}
    scan = edge(call(EntryKey("shop", "{batch-0}", "ORSet"), at=5), is_list=True)
    for shown in (whole, {}):
        assert [] == state_checks.batches_whole(History([batch, replace(scan, value=shown)]), [])
    assert state_checks.batches_whole(History([batch, replace(scan, value=part)]), [])
    assert state_checks.batches_whole(History([batch]), [final({LINES: ("x",)})])


def test_batch_means_the_same_for_each_of_its_keys() -> None:
    history = History([edge(call(LINES, add("x"), dot=(A, 1)), others=(TOTAL,))])
    assert [] == checkers.meaning(history, [final({LINES: ("x",), TOTAL: ("x",)}, {A: 1})])
    assert checkers.meaning(history, [final({LINES: ("x",)}, {A: 1})])


def retried(*dots: tuple[bytes, int]) -> Call:
    made = edge(call(ONCE, increment(3), dot=dots[-1]), operation_id="1.0", attempts=len(dots))
    return replace(made, events=[EventRun(owner, first, first, 0) for owner, first in dots], times_applied=len(dots))


def test_operation_id_is_done_once_unless_the_first_time_is_lost() -> None:
    history = History([retried((A, 1), (B, 1))])
    assert [] == state_checks.done_once(history, [final({ONCE: 3}, {B: 1})])
    assert state_checks.done_once(history, [final({ONCE: 6}, {A: 1, B: 1})])
    assert [] == checkers.applied_once(history, [])


def test_operation_id_is_known_as_long_as_its_node_keeps_its_disk_and_its_clock() -> None:
    twice = [final({ONCE: 6}, {A: 1, B: 1})]
    for changes in ({"wipes": [("n1", 5)]}, {"clocks_jumped": True}):
        history = History([retried((A, 1), (B, 1))], ended_ns=9, **changes)
        assert [] == state_checks.done_once(history, twice)
        assert [] == checkers.counter_exact(history, twice)
    assert checkers.counter_exact(History([retried((A, 1), (B, 1))], ended_ns=9), twice)


def added(ttl_ms: int = 1_000, wall_ms: int = 10_000) -> Call:
    return replace(call(FADING, add("x"), dot=(A, 1), ttl_ms=ttl_ms), wall_ms=wall_ms)


def look(value: PlainValue, *, at: int = 5, wall_ms: int = 10_500, has: bool = True, node: str = "n1") -> Call:
    read = edge(call(FADING, at=at, value=value, node=node), wall_ms=wall_ms, latest_ms=wall_ms)
    return replace(read, visible={(0, A): ((1, 1),)} if has else {})


def test_element_is_shown_until_a_clock_says_that_its_time_is_over() -> None:
    assert [] == state_checks.expiry_in_time(History([added(), look(("x",))]), [])
    assert state_checks.expiry_in_time(History([added(), look(None)]), [])
    assert [] == state_checks.expiry_in_time(History([added(), look(None, has=False)]), [])
    assert [] == state_checks.expiry_in_time(History([added(), replace(look(None), latest_ms=11_000)]), [])


def test_element_is_gone_a_second_after_its_time() -> None:
    late = look(("x",), wall_ms=12_001)
    assert state_checks.expiry_in_time(History([added(), late]), [])
    assert [] == state_checks.expiry_in_time(History([added(), replace(late, wall_ms=12_000)]), [])
    assert [] == state_checks.expiry_in_time(History([added(), added(ttl_ms=5_000), late]), [])
    assert [] == state_checks.expiry_in_time(History([added(), late], clocks_erred=True), [])
    late = look(("x",), at=SECOND_NS, wall_ms=12_001)
    held_up = History([added(), late], held_up=[("n1", 0, SECOND_NS)])
    assert [] == state_checks.expiry_in_time(held_up, [])


def test_element_that_is_gone_stays_away_from_its_node() -> None:
    gone, again = look(None, at=5, wall_ms=11_500), look(("x",), at=9, wall_ms=11_600)
    assert state_checks.expiry_in_time(History([added(), gone, again]), [])
    assert [] == state_checks.expiry_in_time(History([added(), gone, replace(again, node="n2")]), [])
    assert [] == state_checks.expiry_in_time(History([added(), gone, again], wipes=[("n1", 7)]), [])
    assert [] == state_checks.expiry_in_time(History([added(), gone, again], clocks_jumped=True), [])


def watched(*events: WatchEvent, node: str = "n1") -> History:
    begin = (WatchEvent(kind="snapshot"), WatchEvent(kind="complete"))
    steps = [(node, event) for event in (*begin, *events)]
    return History(watches=[WatchRecord(0, "", "", steps)])


def changed(*elements: str, removed: Sequence[str] = ()) -> WatchEvent:
    change = SetChange(added=elements, removed=tuple(removed))
    return WatchEvent(kind="changed", system="shop", key=LINES.key, type_name="ORSet", change=change)


def holding(*elements: str, node: str = "n1") -> list[FinalState]:
    return [final({LINES: elements} if elements else {}, node=node)]


def test_watch_makes_what_its_node_holds() -> None:
    history = watched(changed("x"), changed("y", removed=["x"]))
    assert [] == state_checks.watches_exact(history, holding("y"))
    assert state_checks.watches_exact(history, holding("x", "y"))
    assert [] == state_checks.watches_exact(history, holding("x", "y", node="n2"))


def test_watch_that_was_ended_promises_nothing_of_the_end() -> None:
    history = watched(changed("x"))
    history.watches[0].is_over = True
    assert [] == state_checks.watches_exact(history, holding("x", "y"))


def test_change_that_comes_twice_is_refused() -> None:
    assert state_checks.watches_exact(watched(changed("x"), changed("x")), holding("x"))
