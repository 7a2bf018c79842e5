"""What the actors of a run are like, drawn from the seed."""

import random
from dataclasses import replace
from typing import Final

from simulations.plan import ActorPlan, HostilePlan, RunPlan
from simulations.scheduler import MILLISECOND_NS

# The other clients go on beside, to keep the mesh busy; most of the time is for actors here.
STATE_CLIENTS_MAX: Final = 2


def draw_actors(rng: random.Random) -> ActorPlan:
    """The parameters of the actors of one run."""
    return ActorPlan(
        clients=rng.randint(2, 5),
        think_ns_mean=rng.choice((50, 200, 500)) * MILLISECOND_NS,
        stickiness=rng.choice((0.0, 0.5, 1.0)),
        ledgers=rng.randint(1, 3),
        later=rng.choice((0.05, 0.3)),
        later_ms_max=rng.choice((1_000, 20_000)),
        handler_ns_max=rng.choice((1, 100, 1_000)) * MILLISECOND_NS,
        turns_waiting=rng.choice((0.0, 0.5, 1.0)),
        turns_failing=rng.choice((0.0, 0.1)),
        timer_ms=rng.choice((500, 2_000)),
    )


def with_actors(plan: RunPlan, actors: ActorPlan) -> RunPlan:
    """The run with these actors in it. Forged messages are left out: peers are trusted to say what they did."""
    workload = replace(plan.workload, clients=min(plan.workload.clients, STATE_CLIENTS_MAX), overload_clients=0)
    hostile = plan.hostile
    if hostile is not None and hostile.mutate:
        hostile = HostilePlan(replay=hostile.replay, garbage=hostile.garbage)
    # Without it, nodes that have not found each other yet are each a majority of one, which promises nothing.
    replication = replace(plan.replication, expected_nodes=plan.nodes)
    return replace(plan, actors=actors, workload=workload, hostile=hostile, replication=replication)
