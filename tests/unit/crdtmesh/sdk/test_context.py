"""What a handler asks to be done next, in Spawn's messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crdtmesh.sdk import ActorRef, Context
from crdtmesh.sdk.times import scheduled_ms
from crdtmesh.wire import payloads


def context() -> Context[None]:
    return Context(None, ref=ActorRef("shops", "till"))


def test_effects_name_actor_action_payload_and_time() -> None:
    ctx = context()
    ctx.effect("stock", "sell", 2)
    ctx.effect("mary", "greet", parent="customer", delay=1.5, metadata={"k": "v"})
    assert ctx.asks is not None
    first, second = (effect.request for effect in ctx.asks.workflow.effects)
    assert ("shops", "stock", "sell", 0) == (
        first.actor.id.system,
        first.actor.id.name,
        first.action_name,
        first.scheduled_to,
    )
    assert 2 == payloads.decode(first.value.type_url, first.value.value)
    assert ("customer", 1_500, {"k": "v"}) == (
        second.actor.id.parent,
        second.scheduled_to,
        dict(second.metadata),
    )
    assert second.WhichOneof("payload") is None


def test_one_broadcast_a_turn() -> None:
    ctx = context()
    ctx.broadcast("sold", {"item": "milk"})
    assert ctx.asks is not None
    assert "sold" == ctx.asks.workflow.broadcast.channel_group
    with pytest.raises(ValueError, match="one broadcast"):
        ctx.broadcast("sold")


def test_pipe_gives_the_result_and_forward_replaces_it() -> None:
    ctx = context()
    assert [1] == ctx.pipe("next", "take", [1], parent="stage")
    assert ctx.asks is not None
    assert ("next", "take", "stage") == (
        ctx.asks.workflow.pipe.actor,
        ctx.asks.workflow.pipe.action_name,
        ctx.asks.workflow.pipe.register_ref,
    )
    assert ctx.forward("other", "take") is None
    assert "forward" == ctx.asks.workflow.WhichOneof("routing")


def test_a_turn_that_asks_for_nothing_has_no_workflow() -> None:
    assert context().asks is None


def test_times_are_absolute_and_delays_relative() -> None:
    assert 0 == scheduled_ms(None, None)
    assert 1_700_000_000_000 == scheduled_ms(datetime.fromtimestamp(1_700_000_000, UTC), None)
    assert 1 == scheduled_ms(None, 0)
    assert 2_500 == scheduled_ms(None, 2.5)


@pytest.mark.parametrize(
    ("at", "delay", "words"),
    [
        (datetime(2030, 1, 1), None, "time zone"),  # noqa: DTZ001 - that is what is refused
        (datetime(2030, 1, 1, tzinfo=UTC), 1.0, "both"),
        (None, -1.0, "delay"),
        (None, 1e12, "use at"),
        (None, float("nan"), "delay"),
    ],
)
def test_times_that_are_none_are_refused(at: Any, delay: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        scheduled_ms(at, delay)
