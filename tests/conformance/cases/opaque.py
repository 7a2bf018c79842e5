"""State that nobody merges, and instances of templates (sections 1.1, 2.1, 2.2, 3.1 to 3.7, 3.11, 6.4, 6.5, 6.14)."""

from __future__ import annotations

import asyncio

from tests.conformance.dialects import GO, JAVA, NODE, PYTHON, RUST, ActorSpec, AnyParts, Dialect
from tests.conformance.function import Answer
from tests.conformance.suite import (
    ERROR,
    NOT_FOUND,
    OK,
    PAYLOAD,
    PREFIX,
    Handler,
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

STATE: AnyParts = ("type.googleapis.com/shop.Till", b"\x0a\x01x\xff")
LATER: AnyParts = ("type.googleapis.com/shop.Till", b"\x0a\x01y\xfe")
TILL = ActorSpec(name="till", actions=["sell"], is_stateful=True)
CLERK = ActorSpec(name="clerk", actions=["say"], kind="UNNAMED", is_stateful=True)


def leaving(state: AnyParts | None, tags: dict[str, str] | None = None) -> Handler:
    """Answers that leave this behind."""

    async def handle(turn: Turn) -> Answer:
        return turn.answer(PAYLOAD, state=state, tags=tags)

    return handle


@each_dialect("0.2", "a state that this SDK's handlers answer with is what they get next")
async def carried(test: Run, dialect: Dialect) -> None:
    await test.register(TILL, dialect=dialect, handler=leaving(STATE))
    for _ in range(2):
        succeeded(await test.invoke("till", "sell", dialect=dialect))
    state = test.turns[-1].invocation.current_context.state

    expect(STATE, (state.type_url, state.value))
    expect(STATE, await test.state("till", dialect=dialect))


@case("3.4", "a state outlives its activation")
async def outlives(test: Run) -> None:
    spec = ActorSpec(name="till", actions=["sell"], is_stateful=True, state=STATE, deactivate_ms=300)
    await test.register(spec, handler=leaving(LATER, {"aisle": "4"}))
    succeeded(await test.invoke("till", "sell"))
    await asyncio.sleep(1.0)
    succeeded(await test.invoke("till", "sell"))
    context = test.turns[-1].invocation.current_context

    expect((LATER, {"aisle": "4"}), ((context.state.type_url, context.state.value), dict(context.tags)))


@case("3.6", "a handler that fails leaves the state")
async def failing(test: Run) -> None:
    async def fail(turn: Turn) -> Answer:
        return NODE.fail(turn.invocation)

    await test.register(ActorSpec(name="till", actions=["sell"], is_stateful=True, state=STATE))
    test.on("till", fail)
    failed(await test.invoke("till", "sell"))

    expect(STATE, await test.state("till"))


@case("3.5", "a checkpoint is answered like any other")
async def checkpoint(test: Run) -> None:
    async def checkpointing(turn: Turn) -> Answer:
        return turn.answer(PAYLOAD, state=STATE, is_checkpoint=True)

    await test.register(TILL, handler=checkpointing)
    reply = await test.invoke("till", "sell")

    succeeded(reply)
    expect(PAYLOAD, reply.payload)
    expect(STATE, await test.state("till"))


@case("3.1", "registering again keeps the state")
async def again(test: Run) -> None:
    await test.register(TILL, handler=leaving(STATE))
    succeeded(await test.invoke("till", "sell"))
    await test.register(ActorSpec(name="till", actions=["sell", "close"], is_stateful=True, state=LATER))

    expect(STATE, await test.state("till"))


def _init(name: str) -> None:
    @case("3.11", f"a stateful actor is warmed up at registration by its action {name}")
    async def init(test: Run) -> None:
        async def handle(turn: Turn) -> Answer:
            return turn.answer(PAYLOAD, state=STATE, tags={"begun": "1"})

        spec = ActorSpec(name="till", actions=["sell", name], is_stateful=True)
        await test.register(spec, handler=handle, dialect=GO)

        async def was_called() -> bool:
            return bool(test.turns)

        expect(True, await eventually(was_called))
        invocation = test.turns[0].invocation
        expect((name, "noop"), (invocation.action_name, invocation.WhichOneof("payload")))
        expect("till", invocation.current_context.self.name)
        expect(False, invocation.current_context.HasField("state"))
        expect(STATE, await test.state("till", dialect=GO))
        expect([name], [turn.invocation.action_name for turn in test.turns])

    del init


for _name in ("init", "Init", "setup", "Setup"):
    _init(_name)


@case("3.11", "what an init action answers is nobody's reply, and its failure is ignored")
async def failing_init(test: Run) -> None:
    async def handle(turn: Turn) -> Answer:
        return NODE.fail(turn.invocation) if turn.invocation.action_name == "init" else turn.echo()

    await test.register(ActorSpec(name="till", actions=["init", "sell"], is_stateful=True), handler=handle)

    succeeded(await test.invoke("till", "sell", PAYLOAD))
    expect({"init", "sell"}, {turn.invocation.action_name for turn in test.turns})


# --- instances


async def spawned(test: Run, name: str, dialect: Dialect = NODE, *, prefix: str = PREFIX) -> None:
    """An instance of the template `clerk`."""
    path = f"{prefix}/system/{test.system}/actors/spawn"
    response = await test.post(path, dialect.spawn(test.system, name, "clerk"), dialect=dialect, address=test.node)
    status = dialect.schema.SpawnResponse.FromString(response.body).status
    expect((200, OK, "Accepted"), (response.status, status.status, status.message))


async def known(test: Run, name: str, dialect: Dialect = NODE) -> None:
    """Waits until the calling node knows the instance."""

    async def check() -> bool:
        reply = await test.invoke(name, "no such action", dialect=dialect)
        return bool(reply.message.status.status != NOT_FOUND)

    expect(True, await eventually(check), name)


@each_dialect("3.7", "an instance that was spawned has its parent, and a state of its own")
async def instances(test: Run, dialect: Dialect) -> None:
    await test.register(CLERK, dialect=dialect)
    for name, state in (("ann", STATE), ("bob", LATER)):
        test.on(name, leaving(state), dialect)
        await spawned(test, name, dialect)
        await known(test, name, dialect)
        succeeded(await test.invoke(name, "say", PAYLOAD, dialect=dialect))
    for turn in test.turns:
        for who in (turn.invocation.actor, turn.invocation.current_context.self):
            expect("clerk", who.parent, "set for spawned instances")

    expect([STATE, LATER], [await test.state(name, dialect=dialect) for name in ("ann", "bob")])


@case("2.1", "spawning is served without the prefix, and as often as one likes")
async def without_prefix(test: Run) -> None:
    await test.register(CLERK)
    test.on("ann", leaving(STATE))
    for prefix in ("", PREFIX, ""):
        await spawned(test, "ann", prefix=prefix)
    await known(test, "ann")

    succeeded(await test.invoke("ann", "say"))


@case("3.7", "a register_ref spawns and calls in one")
async def register_ref(test: Run) -> None:
    await test.register(CLERK)
    test.on("ann", leaving(STATE))
    for _ in range(2):
        request = NODE.schema.InvocationRequest.FromString(NODE.invocation(test.system, "ann", "say", PAYLOAD))
        request.register_ref = "clerk"
        succeeded(await test.invoke_bytes(request.SerializeToString()))

    expect(["clerk"] * 2, [turn.invocation.actor.parent for turn in test.turns])
    expect(STATE, await test.state("ann"))


@case("2.2", "an SDK that puts the instance's name into register_ref means the parent of its id")
async def odd_register_ref(test: Run) -> None:
    await test.register(CLERK, dialect=GO)
    test.on("ann", leaving(STATE), GO)
    request = GO.schema.InvocationRequest.FromString(GO.invocation(test.system, "ann", "say", PAYLOAD))
    request.actor.id.parent, request.register_ref = "clerk", "ann"

    succeeded(await test.invoke_bytes(request.SerializeToString(), dialect=GO))
    expect("clerk", test.turns[0].invocation.actor.parent)


@case("6.5", "a template that names itself as its parent is a template")
async def own_parent(test: Run) -> None:
    await test.register(CLERK, dialect=NODE)
    test.on("ann", leaving(STATE))
    await spawned(test, "ann")
    await known(test, "ann")

    succeeded(await test.invoke("ann", "say", PAYLOAD))
    expect("clerk", test.turns[0].invocation.actor.parent)


@case("3.7", "an instance of a template that nobody registered is an error in words")
async def no_template(test: Run) -> None:
    await test.register(CLERK)
    response = await test.post(
        f"{PREFIX}/system/{test.system}/actors/spawn", PYTHON.spawn(test.system, "ann", "nobody"), address=test.node
    )
    status = PYTHON.schema.SpawnResponse.FromString(response.body).status

    expect((500, ERROR), (response.status, status.status))
    expect(True, "nobody" in status.message, status.message)
    failed(await test.invoke("ann", "say"), statuses=(NOT_FOUND, ERROR))


@case("3.3", "a template is not warmed up, and can be called by its own name")
async def template_itself(test: Run) -> None:
    spec = ActorSpec(name="clerk", actions=["init", "say"], kind="UNNAMED", is_stateful=True)
    await test.register(spec, dialect=JAVA)
    await asyncio.sleep(0.3)
    expect(0, len(test.turns), "before the first call")

    succeeded(await test.invoke("clerk", "say", PAYLOAD, dialect=JAVA))


@case("2.2", "an SDK whose handlers answer with no state keeps the one it has")
async def no_state(test: Run) -> None:
    spec = ActorSpec(name="till", actions=["sell"], is_stateful=True, state=STATE)
    await test.register(spec)
    test.on("till", leaving(None), RUST)
    succeeded(await test.invoke("till", "sell"))

    expect(STATE, await test.state("till"))


@case("3.7", "an instance that is spawned with a revision starts from it, once")
async def from_revision(test: Run) -> None:
    spec = ActorSpec(
        name="clerk", actions=["say"], kind="UNNAMED", is_stateful=True, tags={"crdtmesh.revisions": "8"}, snapshot_ms=1
    )
    await _one_clerk(test, spec)
    succeeded(await _say(test, STATE))
    await asyncio.sleep(0.01)
    succeeded(await _say(test, LATER))
    reply = await _spawn(test, "?revision=1")
    expect((200, "Accepted"), (reply.http.status, reply.message.status.message))
    succeeded(await _say(test, STATE))
    state = test.turns[-1].invocation.current_context.state
    expect(STATE, (state.type_url, state.value), "the first turn after it")

    succeeded(await _say(test, LATER))
    succeeded(await _say(test, LATER))
    state = test.turns[-1].invocation.current_context.state
    expect(LATER, (state.type_url, state.value), "the turns behind that")


@case("3.8", "a call is done once under its operation id, whoever is asked")
async def operation_id(test: Run) -> None:
    await test.register(TILL, handler=_adding)
    for address in (test.node, test.node, test.caller):
        for name in ("a", "b"):
            succeeded(
                await test.invoke("till", "sell", PAYLOAD, metadata={"crdtmesh.operation": name}, address=address)
            )

    expect(2, len(test.turns))
    failed(await test.invoke("till", "sell", metadata={"crdtmesh.operation": "x" * 129}), "1 to 128 characters")


async def _adding(turn: Turn) -> Answer:
    state = turn.invocation.current_context.state.value
    return turn.answer(PAYLOAD, state=("type.example/N", state + b"1"))


@case("3.15", "a revision that is not kept is an error that says which are, and the state stays")
async def no_such_revision(test: Run) -> None:
    await _one_clerk(test, CLERK)
    succeeded(await _say(test, STATE))
    reply = await _spawn(test, "?revision=7")

    expect((500, ERROR), (reply.http.status, reply.message.status.status))
    expect(True, "revision 7 is not kept" in reply.message.status.message, reply.message.status.message)
    expect(STATE, await test.state("clerk-1"))


async def _one_clerk(test: Run, spec: ActorSpec) -> None:
    await test.register(spec)
    test.on("clerk-1", _repeating)
    await spawned(test, "clerk-1")
    await known(test, "clerk-1")


async def _repeating(turn: Turn) -> Answer:
    """Leaves the payload as the state."""
    value = turn.invocation.value
    return turn.answer(None, state=(value.type_url, value.value))


async def _say(test: Run, state: AnyParts) -> Reply:
    return await test.invoke("clerk-1", "say", state)


async def _spawn(test: Run, query: str) -> Reply:
    path = f"{PREFIX}/system/{test.system}/actors/spawn{query}"
    response = await test.post(path, NODE.spawn(test.system, "clerk-1", "clerk"))
    return Reply(response, NODE.schema.SpawnResponse.FromString(response.body))
