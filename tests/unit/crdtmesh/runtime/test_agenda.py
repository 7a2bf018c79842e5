"""Timers and calls for later: when they run, where, and what they survive."""

from typing import Any

from crdtmesh.runtime.agenda import PERHAPS_MAX
from crdtmesh.runtime.definition import ActorAddress, Kind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import NOOP_URL, CallExtra
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.runtime import Runtime
from tests.unit.crdtmesh.runtime.mesh import (
    ECHO,
    STOCK,
    SYSTEM,
    TYPE_URL,
    Host,
    Node,
    definition,
    deliver,
    link,
    unlink,
)


def answer_all(host: Host) -> list[str]:
    """Answers what is there; gives the actions."""
    turns = host.take()
    host.answer([(turn.number, TYPE_URL, b"", ()) for turn in turns], [])
    return [turn.action for turn in turns]


def later(node: Node, delay_ms: int) -> CallExtra:
    return CallExtra({"trace": "1"}, STOCK, scheduled_ms=node.wall_ms + delay_ms)


def ticking(actor: ActorAddress = ECHO, **changes: Any) -> Any:
    return definition(actor, timers=(("tick", 100),), actions=frozenset({"echo", "tick"}), **changes)


def test_timer_beats_from_one_period_after_the_activation_on() -> None:
    node = Node()
    host = node.connect(ticking())
    node.advance(500)
    assert [] == host.take()
    node.call(ECHO, "echo")
    beats = []
    for _ in range(10):
        beats.append(answer_all(host))
        node.advance(50)
    assert [["echo"], [], ["tick"], [], ["tick"], [], ["tick"], [], ["tick"], []] == beats


def test_beat_has_an_empty_payload_and_the_actor_itself_as_caller() -> None:
    node = Node()
    host = node.connect(ticking())
    node.call(ECHO, "echo")
    answer_all(host)
    node.advance(100)
    ((columns,),) = node.turns.values()
    assert ([NOOP_URL], [b""], [CallExtra({}, ECHO)]) == (
        columns.type_urls,
        columns.payloads,
        [extra for _, extra in columns.extras],
    )


def test_timer_goes_on_when_its_actor_is_out_of_memory() -> None:
    node = Node()
    host = node.connect(definition(ECHO, timers=(("tick", 60_000),), actions=frozenset({"echo", "tick"})))
    node.call(ECHO, "echo")
    answer_all(host)
    node.advance(30_000)
    assert 0 == node.runtime.active
    node.advance(30_000)
    assert ["tick"] == answer_all(host)


def test_beats_are_left_out_while_one_is_under_way_and_the_rate_stays() -> None:
    node = Node()
    host = node.connect(ticking())
    node.call(ECHO, "echo")
    answer_all(host)
    node.advance(100)
    node.advance(250)
    assert ["tick"] == answer_all(host)
    node.advance(49)
    assert [] == host.take()
    node.advance(1)
    assert ["tick"] == answer_all(host)


def test_timer_moves_with_its_actor() -> None:
    a, b = Node("a"), Node("b")
    hosts = {"a": a.connect(ticking()), "b": b.connect(ticking())}
    link(a, b)
    nodes = {"a": a, "b": b}
    # As long as they don't know each other both run it; then one of them leaves it to the other.
    for node in (a, b):
        node.runtime.directory_changed({})
        node.call(ECHO, "echo")
        answer_all(hosts[node.name])
    link(a, b)
    for node in (a, b):
        node.advance(100)
    deliver(a, b)
    for host in hosts.values():
        answer_all(host)
    beats = dict.fromkeys(hosts, 0)
    for _ in range(3):
        for node in nodes.values():
            node.advance(100)
        deliver(a, b)
        for name, host in hosts.items():
            beats[name] += len(answer_all(host))
    assert [0, 3] == sorted(beats.values())


def test_call_for_later_is_acknowledged_when_it_is_on_disk_and_made_when_its_time_has_come() -> None:
    node = Node()
    host = node.connect(definition(ECHO))
    node.is_disk_held = True
    call = node.call(ECHO, "echo", b"x", extra=later(node, 1_000))
    assert node.outcome(call) is None
    node.sync()
    node.is_disk_held = False
    assert ("", b"") == (node.reply(call).type_url, node.reply(call).payload)
    node.advance(999)
    assert [] == host.take()
    node.advance(1)
    ((columns,),) = node.turns.values()
    assert ([b"x"], [CallExtra({"trace": "1"}, STOCK)]) == (columns.payloads, [extra for _, extra in columns.extras])
    assert ["echo"] == answer_all(host)
    node.advance(60_000)
    assert [] == host.take()


def test_time_that_is_past_means_now() -> None:
    node = Node()
    host = node.connect(definition(ECHO))
    node.advance(0)
    call = node.call(ECHO, "echo", extra=later(node, -5))
    assert node.reply(call)
    node.advance(0)
    assert ["echo"] == answer_all(host)


def test_call_for_later_to_an_action_that_is_not_there_is_refused_at_once() -> None:
    node = Node()
    node.connect(definition(ECHO))
    call = node.call(ECHO, "ecko", extra=later(node, 1_000))
    assert (ErrorCode.UNKNOWN_ACTION, Outcome.NOT_APPLIED) == node.failure(call)[1:3]


def test_call_for_later_is_made_by_one_node_and_outlives_the_one_that_took_it() -> None:
    a, b = Node("a"), Node("b")
    hosts = [node.connect(definition(ECHO)) for node in (a, b)]
    link(a, b)
    calls = [a.call(ECHO, "echo", extra=later(a, 1_000)) for _ in range(8)]
    deliver(a, b)
    assert all(a.reply(call) for call in calls)
    for node in (a, b):
        node.advance(1_000)
    deliver(a, b)
    assert [0, 8] == sorted(len(answer_all(host)) for host in hosts)
    calls = [a.call(ECHO, "echo", extra=later(a, 1_000)) for _ in range(8)]
    deliver(a, b)
    unlink(a, b)
    b.runtime.directory_changed({})
    b.advance(1_000)
    assert 8 == len(answer_all(hosts[1]))


def test_call_for_later_survives_a_restart() -> None:
    node = Node()
    node.connect(definition(ECHO))
    node.call(ECHO, "echo", extra=later(node, 1_000))
    node.runtime = Runtime(
        RuntimeOptions(), placement=Placement("a", b"key"), replica=node.replica, encode_state=lambda *_: b"", now_ns=0
    )
    host = node.connect(definition(ECHO))
    node.advance(1_000)
    assert ["echo"] == answer_all(host)


def test_call_for_later_waits_for_somebody_who_offers_the_actor() -> None:
    node = Node()
    host = node.connect(definition(ECHO))
    node.call(ECHO, "echo", extra=later(node, 1_000))
    node.lose(host)
    node.advance(10_000)
    host = node.connect(definition(ECHO))
    node.advance(5_000)
    assert ["echo"] == answer_all(host)
    assert SYSTEM == ECHO.system


def test_timers_of_an_instance_end_when_it_is_forgotten() -> None:
    node = Node()
    room = ActorAddress(SYSTEM, "blue", "room")
    template = ticking(ActorAddress(SYSTEM, "room"), kind=Kind.UNNAMED)
    host = node.connect(template)
    node.call(room, "echo")
    assert ["echo"] == answer_all(host)
    node.advance(100)
    assert ["tick"] == answer_all(host)
    node.runtime.forget(room, wall_ms=node.wall_ms)
    node.flush()
    node.advance(1_000)
    assert [] == host.take()


def test_timer_of_an_instance_goes_on_at_another_node_when_its_owner_has_died() -> None:
    a, b = Node("a"), Node("b")
    room = ActorAddress(SYSTEM, "room")
    hosts = {node.name: node.connect(ticking(room, kind=Kind.UNNAMED)) for node in (a, b)}
    link(a, b)
    rooms = [ActorAddress(SYSTEM, f"room-{index}", "room") for index in range(8)]
    for instance in rooms:
        a.call(instance, "echo")
    deliver(a, b)
    answer_all(hosts["a"])
    assert answer_all(hosts["b"]), "some of eight instances are the other node's"
    unlink(a, b)
    b.runtime.directory_changed({})
    b.advance(0)
    b.advance(100)
    b.flush()
    beaten = {turn.actor for turn in hosts["b"].take() if turn.action == "tick"}
    assert set(rooms) == beaten


def test_timers_go_on_after_a_restart_without_a_call() -> None:
    node = Node()
    node.connect(ticking())
    node.call(ECHO, "echo")
    node.runtime = Runtime(
        RuntimeOptions(), placement=Placement("a", b"key"), replica=node.replica, encode_state=lambda *_: b"", now_ns=0
    )
    host = node.connect(ticking())
    node.advance(0)
    node.advance(100)
    assert ["tick"] == answer_all(host)


def test_call_for_later_whose_host_went_away_with_it_is_made_again() -> None:
    node = Node()
    host = node.connect(definition(ECHO))
    node.call(ECHO, "echo", extra=later(node, 1_000))
    node.advance(1_000)
    assert ["echo"] == [turn.action for turn in host.take()]
    node.lose(host)
    host = node.connect(definition(ECHO))
    node.advance(5_000)
    assert ["echo"] == answer_all(host)
    node.advance(60_000)
    assert [] == host.take()


def test_call_for_later_that_kills_its_host_again_and_again_is_given_up() -> None:
    node = Node()
    node.runtime.register([definition(ECHO)])
    node.call(ECHO, "echo", extra=later(node, 1_000))
    made = 0
    for _ in range(2 * PERHAPS_MAX):
        host = node.connect(definition(ECHO))
        node.advance(5_000)
        made += len(host.take())
        node.lose(host)
    assert PERHAPS_MAX + 1 == made


def test_clock_that_was_ahead_does_not_put_off_what_is_looked_at_again() -> None:
    node = Node()
    node.runtime.register([definition(ECHO)])
    node.call(ECHO, "echo", extra=later(node, 1_000))
    right_ms = node.wall_ms
    node.wall_ms += 3_600_000
    node.advance(0)
    node.wall_ms = right_ms + 5_000
    host = node.connect(definition(ECHO))
    node.advance(4_999)
    assert [] == host.take()
    node.advance(1)
    assert ["echo"] == answer_all(host)
