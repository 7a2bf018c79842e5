"""Calls and what comes back (sections 0, 1.3, 1.8, 2.1, 2.2, 3.8, 3.11)."""

from __future__ import annotations

import asyncio

from tests.conformance.dialects import ALL, EMPTY, GO, NODE, ActorSpec, AnyParts, Dialect
from tests.conformance.function import Answer
from tests.conformance.suite import (
    ERROR,
    NOT_FOUND,
    PAYLOAD,
    PREFIX,
    Reply,
    Run,
    Turn,
    case,
    each_dialect,
    eventually,
    expect,
    failed,
    succeeded,
)

SAY = ActorSpec(name="clerk", actions=["say"])
STATE: AnyParts = ("type.googleapis.com/shop.Till", b"\x0a\x01x\xff")


@each_dialect("2.2", "a call with this SDK's headers and messages is answered")
async def called(test: Run, dialect: Dialect) -> None:
    await test.register(SAY, dialect=dialect)
    reply = await test.invoke("clerk", "say", PAYLOAD, dialect=dialect)

    succeeded(reply)
    expect(PAYLOAD, reply.payload)
    expect(test.system, reply.message.system.name)
    expect("clerk", reply.message.actor.id.name)


@case("2.2", "an SDK that leaves the system out of the id has it in the request")
async def no_system_in_id(test: Run) -> None:
    await test.register(SAY)
    request = NODE.schema.InvocationRequest.FromString(NODE.invocation(test.system, "clerk", "say", PAYLOAD))
    request.actor.id.system = ""

    succeeded(await test.invoke_bytes(request.SerializeToString()))
    expect(test.system, test.turns[0].invocation.actor.system)


@case("2.1", "a call is served without the prefix too")
async def without_prefix(test: Run) -> None:
    await test.register(SAY)
    body = NODE.invocation(test.system, "clerk", "say", PAYLOAD)
    response = await test.post(f"/system/{test.system}/actors/clerk/invoke", body)

    succeeded(Reply(response, NODE.schema.InvocationResponse.FromString(response.body)))


@case("2.1", "the body says which actor, not the path")
async def body_is_authoritative(test: Run) -> None:
    await test.register(SAY)
    body = NODE.invocation(test.system, "clerk", "say", PAYLOAD)
    for path in ("/system/nowhere/actors/nobody/invoke", "/system/%2e%2e/actors/a%2Fb%00c/invoke"):
        response = await test.post(PREFIX + path, body)
        succeeded(Reply(response, NODE.schema.InvocationResponse.FromString(response.body)))


@case("1.3", "value, noop and nothing are three payloads, there and back")
async def payloads(test: Run) -> None:
    await test.register(SAY)
    for payload in (PAYLOAD, "noop", None, EMPTY):
        reply = await test.invoke("clerk", "say", payload)
        succeeded(reply)
        expect(payload, reply.payload)


@case("0.4", "no type URL is rewritten, in no payload of any SDK")
async def type_urls(test: Run) -> None:
    await test.register(SAY)
    urls = [
        "type.googleapis.com/eigr.functions.protocol.JSONType",
        "type.googleapis.com/eigr.functions.protocol.Noop",
        "type.googleapis.com/eigr.spawn.Noop",
        "type.googleapis.com/spawn.JSONType",
        "type.example/a/b.C",
        "b.C",
    ]
    for url in urls:
        reply = await test.invoke("clerk", "say", (url, b"\x0a\x02{}"))
        expect((url, b"\x0a\x02{}"), reply.payload)
    expect(urls, [turn.invocation.value.type_url for turn in test.turns])


@case("3.8", "an answer may be large")
async def large(test: Run) -> None:
    await test.register(SAY)
    payload = ("type.example/b.C", bytes(range(256)) * 12_000)

    expect(payload, (await test.invoke("clerk", "say", payload)).payload)


@each_dialect("3.8", "an asynchronous call is answered at once, without a payload")
async def asynchronous(test: Run, dialect: Dialect) -> None:
    may_answer, was_asked = asyncio.Event(), asyncio.Event()

    async def slow(turn: Turn) -> Answer:
        was_asked.set()
        await may_answer.wait()
        return turn.echo()

    await test.register(SAY, handler=slow, dialect=dialect)
    reply = await test.invoke("clerk", "say", PAYLOAD, is_async=True, dialect=dialect)
    succeeded(reply)
    expect(None, reply.payload)
    async with asyncio.timeout(5):
        await was_asked.wait()
    may_answer.set()


@case("3.8", "asynchronous calls are in the mailbox before their answers")
async def enqueued_first(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", actions=["note"]), handler=_noting, dialect=GO)
    for number in range(10):
        await test.invoke("clerk", "note", ("type.example/N", b"%d" % number), is_async=True)

    expect(("type.example/N", b"0123456789"), await test.state("clerk"))


async def _noting(turn: Turn) -> Answer:
    """Appends the payload to the state."""
    before = turn.invocation.current_context.state.value
    return turn.answer(None, state=("type.example/N", before + turn.invocation.value.value))


@case("0.3", "an actor has one invocation at a time, in order")
async def one_at_a_time(test: Run) -> None:
    running = most = 0

    async def counting(turn: Turn) -> Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return turn.echo()

    await test.register(SAY, handler=counting)
    await asyncio.gather(*(test.invoke("clerk", "say", PAYLOAD) for _ in range(8)))

    expect((1, 8), (most, len(test.turns)))


@case("0.3", "actors work beside each other")
async def side_by_side(test: Run) -> None:
    both = asyncio.Barrier(2)

    async def meeting(turn: Turn) -> Answer:
        async with asyncio.timeout(5):
            await both.wait()
        return turn.echo()

    await test.register(SAY, ActorSpec(name="porter", actions=["say"]), handler=meeting)

    for reply in await asyncio.gather(test.invoke("clerk", "say"), test.invoke("porter", "say")):
        succeeded(reply)


# --- errors


@each_dialect("2.1", "an action that the actor does not have is an error that this SDK reads")
async def unknown_action(test: Run, dialect: Dialect) -> None:
    await test.register(SAY, dialect=dialect)

    failed(await test.invoke("clerk", "sing", dialect=dialect), "Action [sing] not found for Actor [clerk]")
    expect(0, len(test.turns))


@each_dialect("2.1", "an actor that nobody registered is an error at once")
async def unknown_actor(test: Run, dialect: Dialect) -> None:
    async with asyncio.timeout(5):
        reply = await test.invoke("nobody", "say", PAYLOAD, dialect=dialect)

    failed(reply, "nobody", statuses=(NOT_FOUND, ERROR))


@each_dialect("2.1", "a handler that fails as in this SDK is an error in words, and runs once")
async def handler_failed(test: Run, dialect: Dialect) -> None:
    async def failing(turn: Turn) -> Answer:
        return dialect.fail(turn.invocation)

    await test.register(SAY, dialect=dialect, handler=failing)
    failed(await test.invoke("clerk", "say", PAYLOAD, dialect=dialect))

    await asyncio.sleep(0.3)
    expect(1, len(test.turns), "a handler that ran is not run again")


@case("2.1", "a call without a system is an error")
async def no_system(test: Run) -> None:
    await test.register(SAY)
    request = NODE.schema.InvocationRequest(action_name="say")
    request.actor.id.name = "clerk"

    failed(await test.invoke_bytes(request.SerializeToString()), "system")
    failed(await test.invoke_bytes(b""), "system")


@case("2.1", "each error is one that every SDK reads")
async def readable(test: Run) -> None:
    await test.register(SAY)
    bodies = [
        NODE.invocation(test.system, "clerk", "sing"),
        NODE.invocation(test.system, "nobody", "say"),
        NODE.invocation("", "clerk", "say"),
        b"\xff",
    ]
    for body in bodies:
        response = await test.post(f"{PREFIX}/system/a/actors/b/invoke", body)
        expect(True, response.status >= 400)
        for dialect in ALL:
            status = dialect.schema.InvocationResponse.FromString(response.body).status
            expect(True, status.status in (ERROR, NOT_FOUND) and bool(status.message), dialect.name)


@case("3.8", "a call ends at its request-timeout")
async def request_timeout(test: Run) -> None:
    done = asyncio.Event()

    async def never(turn: Turn) -> Answer:
        del turn
        await done.wait()
        return None

    await test.register(SAY, handler=never)
    async with asyncio.timeout(5):
        failed(await test.invoke("clerk", "say", metadata={"request-timeout": "300"}))
    done.set()


@case("bad input", "a handler that never returns holds its actor no longer than its deadline")
async def never_returns(test: Run) -> None:
    stuck = True
    done = asyncio.Event()

    async def never(turn: Turn) -> Answer:
        if stuck:
            await done.wait()
        return turn.echo()

    await test.register(SAY, handler=never)
    failed(await test.invoke("clerk", "say", metadata={"request-timeout": "300"}))
    stuck = False
    succeeded(await test.invoke("clerk", "say", PAYLOAD))
    done.set()


@case("3.8", "a user function that works on a call whose deadline has passed sees its connection closed")
async def deadline_reaches_the_function(test: Run) -> None:
    done = asyncio.Event()

    async def never(turn: Turn) -> Answer:
        await done.wait()
        return turn.echo()

    await test.register(SAY, handler=never)
    failed(await test.invoke("clerk", "say", metadata={"request-timeout": "300"}))
    (asked,) = {turn.request.connection for turn in test.turns}

    async def is_closed() -> bool:
        return asked not in test.mesh.function.connections

    expect(True, await eventually(is_closed), "the connection of the call is closed")
    done.set()


@case("3.8", "a caller that goes away before the deadline ends the call, and nothing of it is kept")
async def cancelled(test: Run) -> None:
    done = asyncio.Event()

    async def late(turn: Turn) -> Answer:
        if turn.invocation.value.value == b"1":
            await done.wait()
        return await _noting(turn)

    await test.register(ActorSpec(name="clerk", actions=["note"]), handler=late, dialect=GO)
    call = asyncio.create_task(test.invoke("clerk", "note", ("type.example/N", b"1")))
    await test.give_up(call, turns=1)
    done.set()

    succeeded(await test.invoke("clerk", "note", ("type.example/N", b"2")))
    expect(("type.example/N", b"2"), await test.state("clerk"))


@case("bad input", "a request-timeout that is no number is none")
async def odd_timeouts(test: Run) -> None:
    await test.register(SAY)
    for text in ("soon", "-1", "", "0", "٣", "9" * 5_000):
        succeeded(await test.invoke("clerk", "say", PAYLOAD, metadata={"request-timeout": text}))


@case("bad input", "names that can be nobody's are told so")
async def odd_names(test: Run) -> None:
    await test.register(SAY)
    for name in ("x" * 10_000, "a\0b", "a\nb", "../clerk", "\x1b[2J"):
        failed(await test.invoke(name, "say"), statuses=(NOT_FOUND, ERROR))
        failed(await test.invoke("clerk", name), "Action [")
    failed(await test.invoke("", "say"), "name")
    failed(await test.invoke("clerk", ""), "Action []")
    expect(0, len(test.turns))


@case("bad input", "bytes that are no call are refused")
async def malformed(test: Run) -> None:
    await test.register(SAY)
    for body in (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"<html>", NODE.invocation(test.system, "clerk", "say")[:-1]):
        failed(await test.invoke_bytes(body), "InvocationRequest", http=400)
    expect(0, len(test.turns))


# --- the read actions


READS = ("get", "Get", "get_state", "getState", "GetState")


@case("3.11", "five read actions are answered with the state, without a call")
async def reads(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", actions=["say"], state=STATE))
    for action in READS:
        reply = await test.invoke("clerk", action)
        succeeded(reply)
        expect(STATE, reply.payload)
    expect(0, len(test.turns))


@each_dialect("3.11", "a read of an actor that has no state is answered with nothing")
async def no_state(test: Run, dialect: Dialect) -> None:
    if not dialect.sends_state:
        await test.register(SAY, dialect=dialect)
        reply = await test.invoke("clerk", "get", dialect=dialect)
        succeeded(reply)
        expect(None, reply.payload)


@case("3.11", "an actor that has one of the read actions itself gets all of them")
async def own_reads(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", actions=["say", "get_state"], state=STATE))

    succeeded(await test.invoke("clerk", "get_state", PAYLOAD))
    expect("get_state", test.turns[0].invocation.action_name)


@case("3.10", "the action of a timer can be called by its name")
async def timer_action(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", timer_actions=["tick"]))

    succeeded(await test.invoke("clerk", "tick", PAYLOAD))
