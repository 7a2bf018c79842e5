"""Several machines in one virtual world: what the rules add up to."""

from dataclasses import replace

import pytest

from gossip.config import LAN
from gossip.identity import NodeName
from gossip.messages import MemberState
from gossip.outputs import JoinFinished, LeaveFinished, MemberChange, NameConflict, ProbeFinished, ProbeOutcome
from gossip.swim import Swim
from tests.unit.gossip.harness import World, present, quick, state_of


def agree(world: World, names: set[str]) -> bool:
    return all(present(swim) == names for swim in world.nodes.values())


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("seed", [1, 2])
def test_everyone_learns_of_everyone(seed: int, loss: float) -> None:
    world = World(seed, loss=loss)
    world.cluster(12)

    world.run_until(lambda: agree(world, {f"n{i}" for i in range(1, 13)}), within=60)


def test_a_joiner_spreads_by_gossip_alone() -> None:
    world = World(3, config=quick())
    world.cluster(8)

    assert world.run_until(lambda: agree(world, {f"n{i}" for i in range(1, 9)}), within=10) < 3


def test_a_quiet_cluster_stays_quiet() -> None:
    world = World(4, config=quick())
    swims = world.cluster(6)
    world.run(20)
    before = world.datagrams
    world.run(60)

    # One ping and one ack for each member and probe interval, nothing else.
    assert 2 * 6 * 60 == world.datagrams - before
    assert not any(MemberChange.SUSPECTED in world.changes(a, b.local.name) for a in swims for b in swims)


@pytest.mark.parametrize("seed", range(3))
def test_a_crashed_member_is_declared_dead_by_all_in_time(seed: int) -> None:
    world = World(seed, loss=0.05)
    swims = world.cluster(8)
    world.run(10)
    world.kill(swims[7])

    took = world.run_until(lambda: all(state_of(s, "n8") is MemberState.DEAD for s in swims[:7]), within=60)

    assert took < 24


def test_a_lossy_network_alone_kills_nobody() -> None:
    world = World(5, loss=0.2)
    swims = world.cluster(6)
    world.run(120)

    assert not [c for s in swims for m in swims for c in world.changes(s, m.local.name) if c is MemberChange.DIED]


def test_a_member_that_one_node_can_not_reach_directly_is_reached_through_others() -> None:
    world = World(6, config=replace(LAN, is_stream_probe_enabled=False))
    swims = world.cluster(4)
    first, second = swims[0].local.endpoint, swims[1].local.endpoint
    world.cut = lambda a, b: {a, b} == {first, second}
    world.run(60)

    assert MemberChange.DIED not in world.changes(swims[0], "n2")
    assert MemberState.ALIVE is state_of(swims[2], "n1")


def test_a_member_behind_a_udp_filter_is_reached_by_stream() -> None:
    world = World(7, loss=1.0)
    swims = world.cluster(2)
    world.run(30)

    assert {"n1", "n2"} == present(swims[0])
    outcomes = {e.outcome for e in world.events["n1"] if isinstance(e, ProbeFinished)}
    assert {ProbeOutcome.STREAM_ONLY} == outcomes


def test_a_paused_member_refutes_and_stays() -> None:
    world = World(8)
    swims = world.cluster(5)
    world.run(5)
    slow = swims[4]
    world.kill(slow)
    world.run_until(lambda: state_of(swims[0], "n5") is MemberState.SUSPECT, within=20)
    world.nodes[slow.local.endpoint] = slow

    world.run_until(lambda: all(state_of(s, "n5") is MemberState.ALIVE for s in swims), within=20)
    assert MemberChange.DIED not in world.changes(swims[0], "n5")
    assert 1 < slow.local.incarnation


@pytest.mark.parametrize("has_died", [False, True])
def test_a_restarted_member_is_back_at_its_old_address(has_died: bool) -> None:
    world = World(9)
    swims = world.cluster(4)
    world.run(5)
    world.kill(swims[3])
    if has_died:
        world.run_until(lambda: state_of(swims[0], "n4") is MemberState.DEAD, within=60)
    again = world.add("n4", number=4, meta=b"second run")
    world.join(again, swims[0])

    def is_back() -> bool:
        entries = [s.member("n4") for s in swims[:3]]
        return all(e is not None and e.is_alive and e.meta == b"second run" for e in entries)

    assert world.run_until(is_back, within=30) < 3
    expected = MemberChange.JOINED if has_died else MemberChange.UPDATED
    assert expected is world.changes(swims[0], "n4")[-1]


def test_a_restarted_member_gets_its_name_back_at_a_new_address() -> None:
    world = World(10)
    swims = world.cluster(4)
    world.run(5)
    world.kill(swims[3])
    again = world.add("n4", number=99)
    world.join(again, swims[0])

    def is_back() -> bool:
        entries = [s.member("n4") for s in swims[:3]]
        return all(e is not None and e.is_alive and e.endpoint == again.local.endpoint for e in entries)

    world.run_until(lambda: state_of(swims[0], "n4") is MemberState.DEAD, within=30)
    assert any(isinstance(e, NameConflict) for e in world.events["n4"])
    # Not before the old address is declared dead, and then within two probe intervals.
    assert world.run_until(is_back, within=30) < 3


@pytest.mark.parametrize("has_refuted", [False, True])
def test_two_nodes_of_one_name_are_reported_on_both_and_the_first_stays(has_refuted: bool) -> None:
    world = World(11)
    swims = world.cluster(3)
    world.run(5)
    if has_refuted:  # now its incarnation is above that with which the second one starts
        world.act(swims[1], lambda now_ns: swims[1].set_meta(b"new", now_ns=now_ns))
        world.run(5)
    twin = world.add("n2", number=77)
    world.join(twin, swims[0])
    world.run(60)

    conflict = NameConflict(NodeName("n2"), swims[1].local.endpoint, twin.local.endpoint)
    for reporter in (swims[0], swims[1], twin):
        reported = {e for e in world.events_at[reporter.local.endpoint] if isinstance(e, NameConflict)}
        assert {conflict} == reported
    for swim in (swims[0], swims[2]):
        holder = swim.member("n2")
        assert holder is not None
        assert swims[1].local.endpoint == holder.endpoint


def test_a_member_that_leaves_is_left_and_not_dead() -> None:
    world = World(12)
    swims = world.cluster(5)
    world.run(5)
    world.act(swims[1], lambda now_ns: swims[1].leave(now_ns=now_ns))
    others = [s for s in swims if s is not swims[1]]

    world.run_until(lambda: all(state_of(s, "n2") is MemberState.LEFT for s in others), within=5)
    world.run_until(lambda: LeaveFinished(is_complete=True) in world.events["n2"], within=5)
    world.kill(swims[1])
    world.run(60)
    assert not any(MemberChange.DIED in world.changes(s, "n2") for s in others)


def test_a_lone_node_leaves_at_once() -> None:
    world = World(13)
    swim = world.add("n1")
    world.act(swim, lambda now_ns: swim.leave(now_ns=now_ns))

    assert LeaveFinished(is_complete=True) in world.events["n1"]


def test_nodes_that_leave_together_do_not_wait_for_each_other() -> None:
    world = World(16)
    swims = world.cluster(3)
    world.run(5)

    def leave(swim: Swim) -> None:
        world.act(swim, lambda now_ns: swim.leave(now_ns=now_ns))

    for swim in swims:
        leave(swim)
    world.run_until(
        lambda: all(LeaveFinished(is_complete=True) in world.events[name] for name in ("n1", "n2", "n3")), within=3
    )


def test_a_leave_that_nobody_takes_ends_in_time() -> None:
    world = World(14)
    swims = world.cluster(2)
    world.run(5)
    world.kill(swims[1])
    world.loss = 1.0
    leaver = swims[0]
    world.act(leaver, lambda now_ns: leaver.leave(now_ns=now_ns))
    world.run(5.1)

    assert [LeaveFinished] == [type(e) for e in world.events["n1"] if isinstance(e, LeaveFinished)]


def test_joining_nobody_is_an_answer_too() -> None:
    world = World(15)
    swim, gone = world.add("n1"), world.add("n2")
    world.kill(gone)
    world.join(swim, gone)
    world.run(1)

    assert [JoinFinished(gone.local.endpoint, "connection refused")] == [
        e for e in world.events["n1"] if isinstance(e, JoinFinished)
    ]


def test_the_halves_of_a_split_cluster_find_each_other_again() -> None:
    world = World(16)
    swims = world.cluster(6)
    world.run(5)
    left = {s.local.endpoint for s in swims[:3]}
    world.cut = lambda a, b: (a in left) != (b in left)
    world.run_until(lambda: present(swims[0]) == {"n1", "n2", "n3"}, within=60)
    world.run(120)  # long enough that the tables have forgotten the other half
    world.cut = lambda a, b: False

    world.run_until(lambda: agree(world, {f"n{i}" for i in range(1, 7)}), within=60)


def test_the_gone_are_forgotten() -> None:
    world = World(17)
    swims = world.cluster(3)
    world.run(5)
    world.kill(swims[2])
    world.run(90)

    assert state_of(swims[0], "n3") is None


def test_equal_seeds_give_equal_runs() -> None:
    def run(seed: int) -> list[object]:
        world = World(seed, loss=0.1)
        swims = world.cluster(6)
        world.run(10)
        world.kill(swims[5])
        world.run(40)
        return [world.datagrams, world.events]

    assert run(18) == run(18)
    assert run(18) != run(19)
