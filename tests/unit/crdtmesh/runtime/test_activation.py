"""The life of an activation: on which host, until when, and what becomes of the host's copy."""

import re
from pathlib import Path

import crdtmesh.runtime.activation as module
from crdtmesh.runtime.activation import TRANSITIONS, Happening, Phase
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.events import OffersChanged
from tests.unit.crdtmesh.runtime.mesh import ECHO, LIST, SHOP, STOCK, STOCK_KEY, Node, definition


def test_the_drawn_table_is_the_one_that_runs() -> None:
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)]
    happenings = [Happening[name.upper()] for name in rows[0][1:]]
    drawn = {
        (Phase[row[0]], happening): Phase[cell]
        for row in rows[2:]
        for happening, cell in zip(happenings, row[1:], strict=True)
        if cell
    }
    assert dict(TRANSITIONS) == drawn
    assert set(Happening) == set(happenings)


def test_idle_actor_is_put_out_of_memory_and_its_next_turn_brings_the_whole_state() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    host.run_all()
    node.advance(9_999)
    host.take()
    assert [] == host.released
    node.advance(1)
    host.take()
    assert [STOCK] == host.released
    node.call(STOCK, "increment")
    host.run_all()
    assert [0, 1] == [update.value for update in host.updates]
    assert 2 == node.value(STOCK_KEY)


def test_idle_timeout_counts_from_the_last_turn() -> None:
    node = Node()
    host = node.connect(definition(ECHO, deactivation_timeout_ms=100))
    node.call(ECHO, "echo")
    for _ in range(5):
        node.advance(60)
        node.call(ECHO, "echo")
        host.run_all()
    assert [] == host.released
    node.advance(100)
    host.take()
    assert [ECHO] == host.released


def test_busy_actor_stays_in_memory_however_long_its_turn_takes() -> None:
    node = Node(timeout_default_ms=1_000_000)
    host = node.connect()
    call = node.call(STOCK, "increment")
    node.advance(100_000)
    host.run_all()
    assert [] == host.released
    assert node.reply(call)


def test_deactivation_timeout_of_zero_means_the_default() -> None:
    node = Node()
    host = node.connect(definition(ECHO, deactivation_timeout_ms=0))
    node.call(ECHO, "echo")
    host.run_all()
    node.advance(9_999)
    assert [] == host.released


def test_activations_are_spread_over_the_hosts_of_a_node_and_stay_there() -> None:
    node = Node()
    hosts = [node.connect(), node.connect()]
    for _ in range(2):
        for actor in (STOCK, LIST):
            node.call(actor, "echo")
    seen = [{turn.actor for turn in host.take()} for host in hosts]
    assert [{STOCK}, {LIST}] == seen


def test_second_registration_moves_the_actor_when_its_turns_in_flight_are_done() -> None:
    node = Node()
    old = node.connect()
    first = node.call(STOCK, "increment")
    assert 1 == len(old.take())
    new = node.connect(definition(STOCK, "PNCounter", actions=frozenset({"increment", "echo", "count"})))
    second = node.call(STOCK, "echo")
    assert [] == [*old.take(), *new.take()]
    old.run_all()
    new.run_all()
    assert node.reply(first)
    assert b"1" == node.reply(second).payload
    assert [STOCK] == old.released
    assert [False, False, True] == ["count" in offer.actions for offer in node.runtime.offers()]


def test_definition_of_the_remaining_host_counts_when_the_newer_one_is_lost() -> None:
    node = Node()
    old = node.connect()
    new = node.connect(definition(STOCK, "PNCounter", actions=frozenset({"count"})))
    node.lose(new)
    call = node.call(STOCK, "increment")
    old.run_all()
    assert node.reply(call)


def test_registration_with_another_type_works_on_another_entry() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    host.run_all()
    node.lose(host)
    host = node.connect(definition(STOCK, "ORSet"))
    call = node.call(STOCK, "add", b"milk")
    host.run_all()
    assert b"[]" == node.reply(call).payload
    assert 1 == node.value(STOCK_KEY)


def test_offers_are_what_has_a_host_and_each_change_is_announced() -> None:
    node = Node()
    assert [] == list(node.runtime.offers())
    node.runtime.register([definition(ActorAddress("shop", "dormant"))])
    host = node.connect()
    assert sorted(item.address for item in SHOP) == [offer.address for offer in node.runtime.offers()]
    assert ["", "crdtmesh.v1.ORSet", "crdtmesh.v1.PNCounter"] == [offer.state_type for offer in node.runtime.offers()]
    node.lose(host)
    assert [] == list(node.runtime.offers())
    assert [OffersChanged(), OffersChanged()] == node.events


def named(count: int) -> list[ActorAddress]:
    return [ActorAddress("shop", f"echo-{index}") for index in range(count)]


def test_the_longest_idle_actors_give_way_when_the_node_is_at_its_bound() -> None:
    node = Node(activations_max=2)
    actors = named(3)
    host = node.connect(*map(definition, actors))
    for actor in (actors[0], actors[1], actors[0]):
        node.call(actor, "echo")
        host.run_all()
        node.advance(10)
    call = node.call(actors[2], "echo")
    host.run_all()
    assert node.reply(call)
    assert [actors[1]] == host.released
    assert (2, 1) == (node.runtime.active, node.runtime.put_out_early)


def test_call_to_one_more_actor_is_refused_while_all_that_are_in_memory_are_busy() -> None:
    node = Node(activations_max=2)
    actors = named(3)
    host = node.connect(*map(definition, actors))
    busy = [node.call(actor, "echo") for actor in actors[:2]]
    failure = node.failure(node.call(actors[2], "echo"))
    assert (ErrorCode.LIMIT_REACHED, Outcome.NOT_APPLIED) == (failure.code, failure.outcome)
    assert "activations_max" in failure.message
    host.run_all()
    again = node.call(actors[2], "echo")
    host.run_all()
    assert all(node.reply(call) for call in (*busy, again))


def test_relief_puts_a_tenth_of_the_idle_actors_out_of_memory_and_no_busy_one() -> None:
    node = Node()
    actors = named(30)
    host = node.connect(*map(definition, actors))
    for actor in actors[:20]:
        node.call(actor, "echo")
    host.run_all()
    for actor in actors[20:]:
        node.call(actor, "echo")
    assert 3 == node.runtime.relieve(now_ns=node.now_ns)
    node.flush()
    host.take()
    assert actors[:3] == host.released
    for _ in range(40):
        node.runtime.relieve(now_ns=node.now_ns)
    assert 10 == node.runtime.active
