"""The actors of the benchmarks: 256 stateless echoes and 256 counters, on a host that `crdtmesh up --actors` starts."""

from __future__ import annotations

from benchmarks.load import ACTORS
from crdtmesh.sdk import Context, PNCounter, System, action

SYSTEM_NAME = "benchmarks"

ECHOES = tuple(f"echo-{number:04}" for number in range(ACTORS))
COUNTERS = tuple(f"counter-{number:04}" for number in range(ACTORS))

system = System(SYSTEM_NAME)


@system.actor(*ECHOES)
class Echo:
    """Has no state, and answers with what it was sent."""

    @action
    def echo(self, ctx: Context, text: str) -> str:
        """Returns its argument."""
        del ctx
        return text


@system.actor(*COUNTERS, state=PNCounter)
class Counter:
    """A replicated counter."""

    @action
    def increment(self, ctx: Context[PNCounter], amount: int) -> int:
        """Counts; returns the count."""
        ctx.state.increment(amount)
        return ctx.state.value

    @action
    def read(self, ctx: Context[PNCounter]) -> int:
        """Returns the count."""
        return ctx.state.value
