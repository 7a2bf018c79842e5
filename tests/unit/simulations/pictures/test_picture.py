"""What is on the picture of a run, worked out from its trace."""

from typing import Any

import pytest

from simulations.pictures.picture import Band, Moment, Picture, picture_of
from simulations.pictures.window import Window, arrows_in, window_of
from simulations.scheduler import SECOND_NS
from simulations.tracefile import Header

HEADER = Header(seed=1, replay="replay it", plan="a plan")
ADD = "(Operation(name='add', arguments=('e1',)), Operation(name='remove', arguments=('e2',)))"


def note(t: int, kind: str, **rest: Any) -> dict[str, Any]:
    return {"t": t, "kind": kind, **rest}


def start(node: str, t: int = 0) -> dict[str, Any]:
    return note(t, "start", node=node, count=1)


def message(t: int, kind: str, source: str = "n1", target: str = "n2", digest: str = "d") -> dict[str, Any]:
    return note(t, kind, **{"from": source, "to": target}, size=9, digest=digest, what="ping")


def call(t: int, number: int, key: str = "ORSet-0") -> dict[str, Any]:
    return note(t, "call", node="n1", number=number, route="state", key=key, operations=ADD)


def drawn(*lines: dict[str, Any], header: Header = HEADER) -> Picture:
    return picture_of(header, lines)


def times(picture: Picture) -> list[tuple[int, int | None]]:
    return [(arrow.sent_ns, arrow.came_ns) for arrow in picture.arrows]


def test_nodes_of_the_first_hour_come_first_and_by_number() -> None:
    assert ["n2", "n10", "x1.3"] == drawn(start("x1.3"), start("n10"), start("n2")).nodes


def test_message_leads_from_where_it_was_sent_to_where_it_came_in() -> None:
    picture = drawn(
        message(1, "datagram_sent"), message(5, "datagram"), message(6, "payload_sent"), message(7, "payload")
    )
    assert [(1, 5), (6, 7)] == times(picture)
    assert ["gossip", "link"] == [arrow.layer for arrow in picture.arrows]


def test_message_that_came_in_nowhere_is_lost() -> None:
    assert [(1, None)] == times(drawn(message(1, "datagram_sent"), message(2, "datagram", "n1", "n3")))[:1]


def test_two_equal_messages_are_told_apart_by_their_order() -> None:
    sent = [message(1, "datagram_sent"), message(2, "datagram_sent")]
    assert [(1, 3), (2, 4)] == times(drawn(*sent, message(3, "datagram"), message(4, "datagram")))


def test_copy_made_under_way_leads_from_the_same_send() -> None:
    assert [(1, 3), (1, 4)] == times(drawn(message(1, "datagram_sent"), message(3, "datagram"), message(4, "datagram")))


def test_message_that_nobody_sent_begins_where_it_comes_in() -> None:
    assert [(4, 4)] == times(drawn(message(4, "payload")))


def test_node_is_down_from_its_crash_to_its_start() -> None:
    lines = [
        start("n1"),
        note(3, "fault.crash_disk_lost", nodes="n1"),
        start("n1", 7),
        note(8, "fault.crash", nodes="n1"),
    ]
    down = [Band(node="n1", kind="down", begin_ns=3, end_ns=7, text="crashed, disk lost")]
    assert [*down, Band(node="n1", kind="down", begin_ns=8, end_ns=9, text="crashed")] == drawn(
        *lines, note(9, "heal")
    ).bands


def test_cut_shows_on_both_nodes_until_it_opens() -> None:
    both = [("n1", "n2"), ("n2", "n1")]
    cuts = [note(2, "cut", **{"from": a, "to": b}) for a, b in both]
    opens = [note(6, "open", **{"from": a, "to": b}) for a, b in both]
    bands = drawn(start("n1"), start("n2"), *cuts, *opens).bands
    expected = [("n1", 2, 6, "cut off from n2"), ("n2", 2, 6, "cut off from n1")]
    assert expected == [(band.node, band.begin_ns, band.end_ns, band.text) for band in bands]


def test_cut_in_one_direction_says_which() -> None:
    cut = note(2, "cut", **{"from": "n1", "to": "n2"})
    bands = drawn(start("n1"), start("n2"), cut, note(9, "heal")).bands
    assert {("n1", "does not reach n2"), ("n2", "does not hear n1")} == {(band.node, band.text) for band in bands}


def test_node_is_held_up_for_as_long_as_the_fault_lasts() -> None:
    bands = drawn(start("n1"), note(2, "lasts", node="n1", what="held up", duration_ns=5)).bands
    assert [Band(node="n1", kind="slow", begin_ns=2, end_ns=7, text="held up")] == bands


def test_call_shows_what_was_asked_and_what_became_of_it() -> None:
    reply = note(4, "reply", node="n1", number=7, outcome="ok", reason="", value="3")
    [operation] = drawn(call(1, 7), note(2, "applied", node="n3", number=7), reply).operations
    assert ("ORSet-0 add('e1'); remove('e2')", 1, 4) == (operation.text, operation.begin_ns, operation.end_ns)
    assert ("ok", "3", "n3", 2) == (operation.outcome, operation.detail, operation.ran_on, operation.ran_ns)


def test_call_without_a_reply_is_open_to_the_end() -> None:
    [operation] = drawn(call(1, 7), note(9, "heal")).operations
    assert ("open", 9) == (operation.outcome, operation.end_ns)


def test_call_that_a_failure_names_is_marked_and_others_of_its_entry_a_little() -> None:
    failures = ("no_lost_update: call 7 was acknowledged by n1", "meaning: GSet-0 on n1 lacks e1")
    header = Header(seed=1, replay="", plan="", failures=failures, calls=(7,))
    picture = drawn(call(1, 7), call(2, 8), call(3, 9, "GSet-0"), header=header)
    assert ["broken", "", "near"] == [operation.mark for operation in picture.operations]
    assert [7] == [operation.number for operation in picture.broken()]


def test_faults_of_an_instant_are_moments_and_those_that_last_are_not() -> None:
    lines = [note(1, "fault.clock_jump", nodes="n1"), note(2, "fault.pause", nodes="n1"), note(3, "heal")]
    expected = [
        Moment(at_ns=1, kind="fault", node="n1", text="clock jump"),
        Moment(at_ns=3, kind="heal", node="", text="heal"),
    ]
    assert expected == drawn(*lines).moments


def long_run(*, broken: bool) -> Picture:
    header = Header(seed=1, replay="", plan="", calls=(7,) if broken else ())
    return drawn(call(0, 6), call(50 * SECOND_NS, 7), note(100 * SECOND_NS, "heal"), header=header)


def test_window_is_about_the_broken_call_or_is_the_whole_run() -> None:
    assert Window(49 * SECOND_NS, 53 * SECOND_NS) == window_of(long_run(broken=True), None, None)
    assert Window(0, 100 * SECOND_NS) == window_of(long_run(broken=False), None, None)


@pytest.mark.parametrize(
    ("around", "seconds", "begin_s", "end_s"),
    [("7", 8, 48, 56), ("6", 4, 0, 4), ("20s", 4, 19, 23), ("99.5s", 4, 96, 100), ("20s", 500, 0, 100)],
)
def test_window_around_a_call_or_a_time_stays_within_the_run(
    around: str, seconds: float, begin_s: int, end_s: int
) -> None:
    window = window_of(long_run(broken=True), around, seconds)
    assert Window(begin_s * SECOND_NS, end_s * SECOND_NS) == window


@pytest.mark.parametrize(("around", "message"), [("8", "no call 8"), ("x", "expected the number"), ("-1s", "expected")])
def test_window_around_nothing_is_refused(around: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window_of(long_run(broken=True), around, None)


def test_messages_nearest_to_the_broken_call_are_drawn_if_there_are_too_many() -> None:
    header = Header(seed=1, replay="", plan="", calls=(7,))
    lines = [message(t, "payload", digest=str(t)) for t in range(10)]
    arrows, left_out = arrows_in(drawn(call(5, 7), *lines, header=header), Window(0, 100), 3)
    assert ([4, 5, 6], 7) == ([arrow.sent_ns for arrow in arrows], left_out)
