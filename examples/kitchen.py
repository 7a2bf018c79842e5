"""An egg timer and a clock: a call for later, which outlives its node, and a timer of an actor.

    crdtmesh up --system kitchen --actors examples.kitchen:system
    crdtmesh invoke kitchen/eggs boil '{"seconds": 60}'
    crdtmesh invoke kitchen/eggs show
    crdtmesh invoke --delay 5 kitchen/eggs boil 60

The eggs' state says what they are; the clock counts how often it ticked, every half second.
"""

from typing import Literal

from crdtmesh.sdk import Context, System, action, timer

system = System("kitchen")

EggsState = dict[str, str]


@system.actor("eggs", state=EggsState, initial={"eggs": "raw"})
class Eggs:
    """They boil for a while."""

    @action
    def boil(self, ctx: Context[EggsState], seconds: float = 300.0) -> Literal["boiling"]:
        """Puts them on; they are done after so many seconds, whatever becomes of this node."""
        ctx.state["eggs"] = "boiling"
        ctx.effect("eggs", "take_out", delay=seconds)
        return "boiling"

    @action
    def take_out(self, ctx: Context[EggsState]) -> None:
        """What the call for later does."""
        ctx.state["eggs"] = "done"

    @action
    def show(self, ctx: Context[EggsState]) -> str:
        """Raw, boiling or done."""
        return ctx.state["eggs"]


@system.actor("clock", state=dict[str, int], write="local")
class Clock:
    """It ticks on one node, and goes on at another one when that dies."""

    @timer(every=0.5)
    def tick(self, ctx: Context[dict[str, int]]) -> None:
        """Called by the node."""
        ctx.state["ticks"] = ctx.state.get("ticks", 0) + 1

    @action
    def ticks(self, ctx: Context[dict[str, int]]) -> int:
        """How often it ticked."""
        return ctx.state.get("ticks", 0)
