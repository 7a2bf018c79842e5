"""What an answer sets off, and what runs by itself (sections 1.7b, 2.2, 3.9, 3.10, 3.12, 3.13, 6.3, 6.9, 6.11)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.conformance.dialects import JAVA, NODE, PYTHON, SPRINGBOOT, ActorSpec, AnyParts, Dialect
from tests.conformance.function import Answer
from tests.conformance.suite import (
    PAYLOAD,
    Handler,
    Run,
    Turn,
    case,
    each_dialect,
    echo,
    eventually,
    expect,
    failed,
    succeeded,
)

OUTPUT: AnyParts = ("type.googleapis.com/shop.Receipt", b"\x08\x09")
SELL = ActorSpec(name="till", actions=["sell"])
# A chain of stages is shorter than the least; the most is what a node may be made to do by one call.
HOPS_LEAST = 8
HOPS_MOST = 64
PRINT = ActorSpec(name="printer", actions=["print"])


def then(workflow: Callable[[Any], object]) -> Handler:
    """Answers with an output, and this workflow."""

    async def handle(turn: Turn) -> Answer:
        return turn.answer(OUTPUT, workflow=workflow)

    return handle


async def till_and_printer(test: Run, workflow: Callable[[Any], object], dialect: Dialect = NODE) -> None:
    """The till answers with a workflow, the printer with what it gets."""
    await test.register(SELL, PRINT, dialect=dialect, handler=echo)
    test.on("till", then(workflow), dialect)


def calls(test: Run, actor: str) -> list[Turn]:
    """What the user function got for an actor."""
    return [turn for turn in test.turns if turn.invocation.actor.name == actor]


async def called(test: Run, actor: str, count: int = 1) -> None:
    """Waits for calls to an actor."""

    async def check() -> bool:
        return len(calls(test, actor)) >= count

    expect(True, await eventually(check), f"{count} calls to {actor}")


def routing(kind: str) -> Callable[[Any], object]:
    """A pipe or a forward to the printer."""

    def fill(workflow: Any) -> None:
        to = getattr(workflow, kind)
        to.actor, to.action_name = "printer", "print"

    return fill


@each_dialect("3.12", "a pipe gives the next actor the output, and the caller its answer")
async def pipe(test: Run, dialect: Dialect) -> None:
    await till_and_printer(test, routing("pipe"), dialect)
    reply = await test.invoke("till", "sell", PAYLOAD, dialect=dialect, metadata={"trace": "7"})

    succeeded(reply)
    expect(OUTPUT, reply.payload)
    (turn,) = calls(test, "printer")
    expect("till", turn.invocation.caller.name)
    expect({"trace": "7"}, dict(turn.invocation.current_context.metadata))


@each_dialect("3.12", "a forward gives the next actor the input, and the caller its answer")
async def forward(test: Run, dialect: Dialect) -> None:
    await till_and_printer(test, routing("forward"), dialect)
    reply = await test.invoke("till", "sell", PAYLOAD, dialect=dialect)

    succeeded(reply)
    expect(PAYLOAD, reply.payload)


@case("3.12", "a caller that goes away ends the call that its own was forwarded to")
async def abandoned_route(test: Run) -> None:
    done = asyncio.Event()

    async def late(turn: Turn) -> Answer:
        await done.wait()
        return turn.echo()

    await till_and_printer(test, routing("forward"))
    test.on("printer", late)
    await test.give_up(asyncio.create_task(test.invoke("till", "sell", PAYLOAD)), turns=2)
    done.set()


@case("3.12", "a route that fails is the caller's failure")
async def broken_route(test: Run) -> None:
    def fill(workflow: Any) -> None:
        workflow.pipe.actor, workflow.pipe.action_name = "printer", "no such action"

    await till_and_printer(test, fill)
    failed(await test.invoke("till", "sell", PAYLOAD), "no such action")


@case("bad input", "a cycle of forwards ends, and says how many there may be in a row")
async def cycle(test: Run) -> None:
    def to(name: str) -> Callable[[Any], object]:
        def fill(workflow: Any) -> None:
            workflow.forward.actor, workflow.forward.action_name = name, "sell"

        return fill

    tills = ("till", "other")
    await test.register(*(ActorSpec(name=name, actions=["sell"]) for name in tills), handler=echo)
    for name, other in zip(tills, reversed(tills), strict=True):
        test.on(name, then(to(other)))
    failed(await test.invoke("till", "sell", PAYLOAD), "in a row")
    expect(True, HOPS_LEAST <= len(test.turns) <= HOPS_MOST, f"{len(test.turns)} calls, {HOPS_LEAST} to {HOPS_MOST}")


def effect(test: Run, *, scheduled: Callable[[], int] = lambda: 0) -> Callable[[Any], object]:
    """A side effect on the printer."""

    def fill(workflow: Any) -> None:
        request = workflow.effects.add().request
        request.system.name = test.system
        request.actor.id.name, request.actor.id.system = "printer", test.system
        request.action_name, request.scheduled_to = "print", scheduled()
        request.value.type_url, request.value.value = PAYLOAD
        setattr(request, "async", True)

    return fill


@each_dialect("3.12", "a side effect is called, and the caller gets the answer of his own call")
async def side_effect(test: Run, dialect: Dialect) -> None:
    await till_and_printer(test, effect(test), dialect)
    reply = await test.invoke("till", "sell", dialect=dialect)

    succeeded(reply)
    expect(OUTPUT, reply.payload)
    await called(test, "printer")
    value = calls(test, "printer")[0].invocation.value
    expect(PAYLOAD, (value.type_url, value.value))


DELAY_MS = 700
WHEN = {
    "an absolute time": lambda: int(time.time() * 1000) + DELAY_MS,
    "a delay": lambda: DELAY_MS,
}


def _scheduled(label: str, when: Callable[[], int]) -> None:
    @case("3.9", f"a call that is scheduled by {label} is answered at once, and runs then")
    async def call(test: Run) -> None:
        await test.register(PRINT, dialect=JAVA)
        request = JAVA.schema.InvocationRequest.FromString(JAVA.invocation(test.system, "printer", "print", PAYLOAD))
        request.scheduled_to = when()
        began = time.monotonic()
        reply = await test.invoke_bytes(request.SerializeToString(), dialect=JAVA)
        succeeded(reply)
        expect(None, reply.payload)
        await called(test, "printer")

        expect(True, time.monotonic() - began >= (DELAY_MS - 50) / 1000, "not before its time")

    @case("3.9", f"a side effect that is scheduled by {label} runs then")
    async def of_effect(test: Run) -> None:
        await till_and_printer(test, effect(test, scheduled=when))
        began = time.monotonic()
        succeeded(await test.invoke("till", "sell"))
        await called(test, "printer")

        expect(True, time.monotonic() - began >= (DELAY_MS - 50) / 1000, "not before its time")

    del call, of_effect


for _label, _when in WHEN.items():
    _scheduled(_label, _when)


@case("3.9", "a call that was scheduled for a time that is over runs at once")
async def overdue(test: Run) -> None:
    await test.register(PRINT)
    request = NODE.schema.InvocationRequest.FromString(NODE.invocation(test.system, "printer", "print", PAYLOAD))
    request.scheduled_to = int(time.time() * 1000) - 60_000
    succeeded(await test.invoke_bytes(request.SerializeToString()))

    await called(test, "printer")


# --- channels


def broadcasting(channel: str, action: str = "") -> Callable[[Any], object]:
    """A broadcast of the payload; older SDKs name the action."""

    def fill(workflow: Any) -> None:
        workflow.broadcast.channel_group = channel
        if action:
            workflow.broadcast.action_name = action
        workflow.broadcast.value.type_url, workflow.broadcast.value.value = PAYLOAD

    return fill


def _heard(dialect: Dialect, subscribed: str, named: str, ran: str) -> None:
    claim = f"{dialect.name}: a broadcast runs {ran}" + (f" when {named} is named" if named else "")

    @case("3.13", claim + (f" of a subscription to {subscribed}" if subscribed else ""))
    async def heard(test: Run) -> None:
        channel = f"channel-{test.system}"
        listener = ActorSpec(
            name="printer",
            actions=["receive", "print", "shout"],
            is_stateful=True,
            channels=[(channel, subscribed)],
        )
        await test.register(listener, SELL, dialect=dialect, handler=echo)
        test.on("till", then(broadcasting(channel, named)), dialect)

        async def reached() -> bool:
            succeeded(await test.invoke("till", "sell", dialect=dialect))
            return bool(calls(test, "printer"))

        expect(True, await eventually(reached))
        invocation = calls(test, "printer")[0].invocation
        expect(ran, invocation.action_name)
        expect(PAYLOAD, (invocation.value.type_url, invocation.value.value))

    del heard


_heard(NODE, "print", "", "print")
_heard(NODE, "", "", "receive")
_heard(JAVA, "", "", "receive")
_heard(PYTHON, "", "", "receive")
_heard(PYTHON, "", "shout", "shout")
_heard(SPRINGBOOT, "", "shout", "shout")


# --- timers


@case("6.9", "a timer's period is in milliseconds, and its call a noop from the actor itself")
async def timer(test: Run) -> None:
    spec = ActorSpec(name="till", actions=["sell"], timer_actions=["tick"], timer_ms=150, is_stateful=True)
    await test.register(spec, handler=echo)
    await called(test, "till", 3)
    invocation = calls(test, "till")[0].invocation

    expect(("tick", "noop"), (invocation.action_name, invocation.WhichOneof("payload")))
    expect("till", invocation.caller.name)
