"""Membership alone: its traffic, its detection times, stopped members, hostile packets; and the commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gossip.codec import encode
from gossip.messages import Suspect
from gossip.outputs import Event, MemberChange, MemberEvent, NameConflict
from gossip.swim import Swim
from simulations.__main__ import main
from simulations.membership.fuzz import FuzzFailure, flood, run_blocks
from simulations.membership.lifeguard import LifeguardOptions, Point, run_point, summary
from simulations.membership.scale import ScaleOptions, analytic, report
from simulations.membership.world import Node, World


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.stdout


def output(*arguments: str) -> dict[str, Any]:
    code, out = invoke(*arguments)
    assert 0 == code
    parsed: dict[str, Any] = json.loads(out)
    return parsed


def test_traffic_is_flat_and_at_most_two_messages_and_a_fifth() -> None:
    figures = report(ScaleOptions(sizes=(8, 32, 128), periods=10, trials=0))
    assert figures["messages_per_member_period"]["max"] <= 2.2
    assert figures["spread"] <= 0.05


def test_a_crash_is_found_as_fast_as_the_curves_say() -> None:
    figures = report(ScaleOptions(sizes=(32,), periods=1, trials=12))["sizes"][0]
    times, expected = figures["times_s"], figures["analytic_s"]
    # The mean of twelve exponential times lies within a factor of two of the true one in 98 of 100 seeds.
    assert expected["first_probe"] / 2 < times["first_probe"]["mean"] < 2 * expected["first_probe"]
    assert 1.0 == pytest.approx(times["first_suspicion"]["mean"] - times["first_probe"]["mean"], abs=0.01)
    assert times["first_death"]["median"] < expected["first_death_latest"] / 2
    assert {0} == {time["missing"] for time in times.values()}


def test_expected_times_grow_with_the_logarithm_of_the_size() -> None:
    small, large = analytic(10), analytic(1000)
    assert 0.9 == small["first_probe"]
    assert 3 == pytest.approx((large["all_suspect"] - large["first_suspicion"]) / (2 * 0.2 * 2.302585 / 3), abs=0.01)


def test_swim_command_writes_figures_and_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the pictures")
    figures = output("swim", "--members", "8", "--periods", "2", "--trials", "1", "--json", "--folder", str(tmp_path))
    assert figures == json.loads((tmp_path / "swim.json").read_text())
    assert (tmp_path / "swim.png").read_bytes().startswith(b"\x89PNG")


def test_lifeguard_command_answers_with_both_ratios() -> None:
    arguments = ["--members", "8", "--concurrent", "1", "--duration", "1", "--interval", "1", "--seconds", "2"]
    figures = output("lifeguard", *arguments, "--jobs", "1", "--json")
    assert {"members", "fp_swim", "fp_lifeguard", "ratio", "fp_healthy_ratio"} <= set(figures)
    assert {"swim", "local_health", "dynamic_suspicion", "buddy", "lifeguard"} == set(figures["variants"])


@pytest.mark.parametrize("arguments", [("swim", "--members", "2"), ("lifeguard", "--concurrent", "128")])
def test_sizes_out_of_range_are_refused(arguments: tuple[str, ...]) -> None:
    assert 2 == invoke(*arguments)[0]


def test_stopped_member_is_declared_dead_and_a_run_repeats() -> None:
    point = Point("swim", 12, 1, 30.0, 1.0, 31.0, 1, True)
    counts = run_point(point)
    assert counts.stopped >= 11
    assert counts == run_point(point)


def test_no_ratio_without_false_positives_to_compare_with() -> None:
    assert summary(LifeguardOptions(), [])["ratio"] is None


def test_stopped_member_finds_what_waited() -> None:
    world = World(1)
    nodes = world.settle(4)
    world.run(3)
    world.pause(nodes[:1])
    world.run(3)
    assert nodes[0].inbox
    sent = world.datagrams
    world.resume(nodes[:1])
    assert world.datagrams > sent
    world.run(3)
    assert all(member.is_alive for node in nodes for member in node.swim.members())


def test_doubts_ripen_in_a_member_that_blocks_at_its_next_send() -> None:
    world = World(1)
    nodes = world.settle(4)
    world.run(3)
    accused = nodes[1].swim.local
    claim = encode(Suspect(accused.incarnation, accused.name, nodes[2].swim.local.name))
    nodes[0].swim.receive(claim, nodes[2].endpoint, now_ns=world.now_ns)
    died: list[tuple[str, str]] = []

    def observe(node: Node, event: Event) -> None:
        if isinstance(event, MemberEvent) and event.change is MemberChange.DIED:
            died.append((node.name, event.member.name))

    world.observer = observe
    world.pause(nodes[:1], blocks_at_send=True)
    world.run(30)
    assert ("m1", "m2") in died
    world.resume(nodes[:1])
    world.run(60)
    assert all(member.is_alive for node in nodes for member in node.swim.members())


def test_member_that_stops_again_has_caught_up_with_a_step_per_50_us() -> None:
    world = World(1)
    nodes = world.settle(32)
    world.run(3)
    world.pause(nodes[:1], blocks_at_send=True)
    world.run(60)
    waiting = len(nodes[0].inbox or ())
    world.resume(nodes[:1])
    world.run(0.001)
    world.pause(nodes[:1], blocks_at_send=True)
    left = len(nodes[0].inbox or ())
    assert waiting - 20 <= left < waiting
    world.resume(nodes[:1])
    world.run(1)
    assert nodes[0].inbox is None


def test_hundred_thousand_hostile_packets_do_no_harm() -> None:
    results = list(run_blocks(packets=100_000, seed=3))
    assert 100_000 == sum(result.packets for result in results)
    assert all(result.rejected > result.packets / 4 for result in results)


def test_failing_packet_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Swim, "receive", broken)
    with pytest.raises(FuzzFailure, match="seed 3, block 0, packet"):
        list(run_blocks(packets=100, seed=3))


def test_flood_of_synthetic_members_stops_at_the_cap_and_the_real_ones_stay() -> None:
    figures = flood(members=50_000, members_max=2_000)
    assert 2_000 == figures["members"]
    assert figures["rss_growth_bytes"] < 32 * 1024 * 1024


def test_both_nodes_of_one_name_hear_of_it_and_the_established_one_stays() -> None:
    world = World(1)
    first, second, third = (world.add(name) for name in ("a", "b", "c"))
    for node in (second, third):
        _join(world, node, first)
    world.run(3)
    conflicts: set[str] = set()

    def observe(node: Node, event: Event) -> None:
        if isinstance(event, NameConflict):
            conflicts.add(str(node.endpoint))

    world.observer = observe
    claimant = world.add("b", host="10.7.7.7")
    _join(world, claimant, first)
    world.run(20)

    assert {str(first.endpoint), str(second.endpoint), str(claimant.endpoint)} <= conflicts
    for node in (first, third):
        held = node.swim.member("b")
        assert held is not None
        assert second.endpoint == held.endpoint


def _join(world: World, node: Node, other: Node) -> None:
    world.act(node, lambda now_ns: node.swim.join([other.endpoint], now_ns=now_ns))
