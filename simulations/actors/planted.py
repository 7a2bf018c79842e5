"""Bugs of placement, hand-over and calls for later to plant: what the checkers of actors must catch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crdtmesh.crdts.operations import Operation
from crdtmesh.runtime import opaque
from crdtmesh.runtime.activation import Activation, Happening
from crdtmesh.runtime.lives import Lives
from crdtmesh.runtime.opaque import OpaqueState, to_plain
from crdtmesh.runtime.own_work import OwnWork
from crdtmesh.runtime.placement import LOCAL, Placement
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.routes import Routes
from crdtmesh.runtime.schedules import Schedules
from crdtmesh.runtime.timed import Timed
from crdtmesh.runtime.turn import Turn, TurnPhase
from simulations.actors.plan import with_actors
from simulations.patching import Patch
from simulations.plan import ActorPlan, FaultPlan, RunPlan
from simulations.planted import Planted
from simulations.scheduler import MILLISECOND_NS, SECOND_NS


def begin_without_asking_a_majority(patch: Patch) -> None:
    """A new owner reads at a majority before its first turn: its own copy may be behind."""
    patch.setattr(OwnWork, "load", lambda self, activation, now_ns: False)


def run_wherever_it_is_called(patch: Patch) -> None:
    """An actor with an opaque state runs at its owner, and nowhere else."""

    def where(self: Placement, address: Any, *, has_local_host: bool, **rest: Any) -> Any:
        return LOCAL if has_local_host else original(self, address, has_local_host=has_local_host, **rest)

    original = Placement.where
    patch.setattr(Placement, "where", where)
    patch.setattr(Placement, "owns", lambda self, address, offering: True)


def acknowledge_a_majority_with_one_disk(patch: Patch) -> None:
    """A write at a majority is acknowledged when a majority has it."""

    def hold(self: Replies, turn: Turn, key: Any, level: Any, type_url: str, payload: bytes, *, now_ns: int) -> None:
        del key, level, now_ns
        self.hold(turn, type_url, payload)

    patch.setattr(Replies, "hold_until_level", hold)


def hand_over_without_draining(patch: Patch) -> None:
    """An activation that moves ends its turns in flight first: they have run."""

    def move(self: Lives, activation: Activation, now_ns: int) -> None:
        turns = [*activation.in_flight, *activation.mailbox]
        activation.host.turn_count -= len(activation.in_flight)
        activation.happen(Happening.REDEFINED)
        activation.happen(Happening.DRAINED)
        self._put_out(activation)
        self.place_again(turns, now_ns)

    patch.setattr(Lives, "_move", move)


def leave_later_calls_to_their_owner(patch: Patch) -> None:
    """A call for later whose owner may die is looked at again by the others."""
    patch.setattr(Schedules, "again", lambda self, key, now_ns: None)


def keep_one_loser(patch: Patch) -> None:
    """Every value that lost is put aside under a name of its own."""

    def set_aside(stamp: str, loser: OpaqueState) -> Operation:
        del stamp
        return Operation("put", ("last", to_plain(loser)))

    patch.setattr(opaque, "set_aside", set_aside)


def send_again_what_was_sent(patch: Patch) -> None:
    """A call that a peer may have run is not run again."""

    def down(self: Routes, name: str) -> Any:
        peer = self._peers.get(name)
        sent = [] if peer is None else list(peer.sent.values())
        if peer is not None:
            peer.sent.clear()
        caller, unsent = original(self, name)
        for turn in sent:
            turn.phase = TurnPhase.QUEUED
        return caller, [*unsent, *sent]

    original = Routes.down
    patch.setattr(Routes, "down", down)


def let_timers_die_with_their_node(patch: Patch) -> None:
    """Who becomes the owner of an actor with timers begins with them."""
    patch.setattr(Timed, "owners_changed", lambda self: None)


def _busy(plan: RunPlan, **changes: Any) -> RunPlan:
    actors = ActorPlan(
        clients=4,
        think_ns_mean=50 * MILLISECOND_NS,
        stickiness=0.0,
        ledgers=1,
        handler_ns_max=200 * MILLISECOND_NS,
        turns_failing=0.0,
        timer_ms=500,
    )
    workload = replace(plan.workload, clients=1, padding=0, levels=0.0)
    return with_actors(replace(plan, hostless=0, workload=workload), replace(actors, **changes))


def mesh_is_split(plan: RunPlan) -> RunPlan:
    """Cuts that last until both sides take each other for dead, and clients on both."""
    faults = FaultPlan(partitions=3, partition_ns_max=15 * SECOND_NS)
    plan = replace(plan, faults=faults, hostile=None, stays_down=False)
    return _busy(plan, later=0.0, handler_ns_max=MILLISECOND_NS)


def owners_change(plan: RunPlan) -> RunPlan:
    """Nodes come and go while handlers wait."""
    faults = replace(plan.faults, crashes=12, disk_losses=0.0, down_ns_max=3 * SECOND_NS, partitions=2, joins=4)
    return _busy(replace(plan, faults=faults), later=0.0, turns_waiting=1.0, handler_ns_max=SECOND_NS)


def calls_wait(plan: RunPlan) -> RunPlan:
    """Half of all calls are for later, and who is to make them dies."""
    faults = replace(plan.faults, crashes=12, disk_losses=0.0, down_ns_max=8 * SECOND_NS, partitions=2)
    return _busy(replace(plan, faults=faults), later=0.5, later_ms_max=8_000)


def mesh_is_cut(plan: RunPlan) -> RunPlan:
    """Cuts all the time, and actors that are served on both sides."""
    faults = replace(plan.faults, partitions=8, partition_ns_max=3 * SECOND_NS, crashes=0, joins=0)
    return _busy(replace(plan, faults=faults), later=0.0)


PLANTED: Sequence[Planted] = (
    Planted(acknowledge_a_majority_with_one_disk, mesh_is_split),
    Planted(begin_without_asking_a_majority, mesh_is_split),
    Planted(hand_over_without_draining, owners_change),
    Planted(keep_one_loser, mesh_is_cut),
    Planted(leave_later_calls_to_their_owner, calls_wait),
    Planted(let_timers_die_with_their_node, owners_change),
    Planted(run_wherever_it_is_called, owners_change),
    Planted(send_again_what_was_sent, mesh_is_cut),
)
"""All of them."""
