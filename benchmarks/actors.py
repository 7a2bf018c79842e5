"""The actors of the benchmarks, 256 of each kind, on a host that `crdtmesh up --actors` starts."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.load import ACTORS
from crdtmesh.sdk import Context, PNCounter, System, action

SYSTEM_NAME = "benchmarks"

ECHOES = tuple(f"echo-{number:04}" for number in range(ACTORS))
NOTES = tuple(f"note-{number:04}" for number in range(ACTORS))
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


@dataclass
class Text:
    """An opaque state."""

    text: str = ""


@system.actor(*NOTES, state=Text)
class Note:
    """Keeps a text."""

    @action
    def write(self, ctx: Context[Text], text: str) -> str:
        """Replaces the text; returns the one before."""
        before, ctx.state.text = ctx.state.text, text
        return before

    @action
    def read(self, ctx: Context[Text]) -> str:
        """Returns the text."""
        return ctx.state.text
