"""Timers and topics are actions, in whatever order the decorators stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from crdtmesh.sdk import Context, ORSet, System, action, listens, timer
from crdtmesh.sdk.errors import DefinitionError


@dataclass
class Note:
    text: str = ""


class Clock:
    @timer(every=0.5)
    @action(name="beat")
    def tick(self, ctx: Context) -> None: ...

    @listens("hours", "days")
    def ring(self, ctx: Context, hour: int) -> None: ...


class Needy:
    @timer(every=1)
    def tick(self, ctx: Context, count: int) -> None: ...


def test_marks_make_actions_with_their_period_and_topics() -> None:
    system = System("s")
    system.actor("clock")(Clock)
    actions = system.actors["clock"].actions
    assert (500, ()) == (actions["beat"].timer_ms, actions["beat"].topics)
    assert (None, ("hours", "days")) == (actions["ring"].timer_ms, actions["ring"].topics)


@pytest.mark.parametrize("every", [0, -1, 0.0001, 1e9, float("nan")])
def test_periods_that_can_not_be_are_refused(every: float) -> None:
    with pytest.raises(DefinitionError, match="every"):
        timer(every=every)


def test_a_timer_passes_no_argument_and_a_channel_needs_its_action() -> None:
    with pytest.raises(DefinitionError, match="give its parameters defaults"):
        System("s").actor("needy")(Needy)
    with pytest.raises(DefinitionError, match="'receive'"):
        System("s").actor("clock", channels=["hours"])(Clock)
    with pytest.raises(DefinitionError, match="topics"):
        listens()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"state": ORSet, "initial": {}}, "opaque"),
        ({"placement": "available"}, "opaque"),
        ({"state": Note, "placement": "anywhere"}, "placement"),
        ({"state": Note, "write": "most"}, "write"),
        ({"state": Note, "initial": {"text": "x"}}, "initial"),
        ({"idle_timeout": 0}, "idle_timeout"),
        ({"revisions": 1}, "for opaque states"),
        ({"state": dict, "revisions": 33}, "expected 0 to 32, got 33"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        System("s").actor("a", **options)
