"""Registration and spawn (sections 1.7, 2.1, 2.2, 3.1 to 3.3)."""

from __future__ import annotations

import asyncio

from tests.conformance.dialects import NODE, PYTHON, RUST, ActorSpec, Dialect
from tests.conformance.suite import (
    ERROR,
    NOT_FOUND,
    OK,
    PAYLOAD,
    PREFIX,
    Failed,
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


@each_dialect("2.1", "registration is Accepted, by a proxy that names itself and its protocol")
async def accepted(test: Run, dialect: Dialect) -> None:
    reply = await test.register(SAY, dialect=dialect)

    status, proxy = reply.message.status, reply.message.proxy_info
    expect((OK, "Accepted"), (status.status, status.message))
    expect((1, 2, "spawn"), (proxy.protocol_major_version, proxy.protocol_minor_version, proxy.proxy_name))
    expect(True, bool(proxy.proxy_version))


@case("2.1", "registration is served without the prefix too")
async def without_prefix(test: Run) -> None:
    response = await test.post("/system", NODE.registration(test.system, SAY), address=test.node)

    expect("Accepted", NODE.schema.RegistrationResponse.FromString(response.body).status.message)


@each_dialect("1.7a", "channels in this SDK's encoding do not stop a registration")
async def channels(test: Run, dialect: Dialect) -> None:
    await test.register(ActorSpec(name="clerk", actions=["say"], channels=[("test", "say")]), dialect=dialect)

    succeeded(await test.invoke("clerk", "say", PAYLOAD, dialect=dialect))


@case("1.7a", "a channel group that is no text and no channel is refused")
async def garbage_channel(test: Run) -> None:
    raw = PYTHON.registration(test.system, ActorSpec(name="clerk", actions=["say"], channels=[("abcd", "")]))
    broken = raw.replace(b"\x0a\x04abcd", b"\x0a\x04\xff\xfebc")
    expect(True, broken != raw)

    refused(await test.try_register(broken))


@case("3.1", "registering again replaces a definition and keeps the other actors")
async def again(test: Run) -> None:
    await test.register(SAY, ActorSpec(name="porter", actions=["carry"]))
    await test.register(ActorSpec(name="clerk", actions=["sing"]))

    succeeded(await test.invoke("clerk", "sing", PAYLOAD))
    failed(await test.invoke("clerk", "say", PAYLOAD), "Action [say] not found for Actor [clerk]")
    succeeded(await test.invoke("porter", "carry", PAYLOAD))


@case("3.1", "registering the same again changes nothing")
async def the_same_again(test: Run) -> None:
    for _ in range(3):
        await test.register(SAY)
        succeeded(await test.invoke("clerk", "say", PAYLOAD))


@case("3.1", "a definition without state, settings and metadata is taken")
async def bare(test: Run) -> None:
    request = NODE.schema.RegistrationRequest()
    request.actor_system.name = test.system
    request.actor_system.registry.actors["clerk"].actions.add(name="say")
    expect(200, (await test.try_register(request.SerializeToString())).http.status)

    async def echoed(turn: Turn) -> bytes:
        return turn.echo()

    test.on("clerk", echoed)
    expect(True, await eventually(lambda: _is_ok(test, "clerk", "say")))


async def _is_ok(test: Run, actor: str, action: str) -> bool:
    return bool((await test.invoke(actor, action, PAYLOAD)).message.status.status == OK)


@case("3.1", "a deactivation strategy without its oneof, and one of 0, mean the default")
async def no_timeout(test: Run) -> None:
    request = NODE.schema.RegistrationRequest.FromString(NODE.registration(test.system, SAY))
    settings = request.actor_system.registry.actors["clerk"].settings
    for timeout_ms in (None, 0, -5):
        settings.deactivation_strategy.Clear()
        settings.deactivation_strategy.SetInParent()
        if timeout_ms is not None:
            settings.deactivation_strategy.timeout.timeout = timeout_ms
        expect(200, (await test.try_register(request.SerializeToString())).http.status)


@case("3.2", "actors of one name in two systems are two actors")
async def two_systems(test: Run) -> None:
    other = f"{test.system}-b"
    test.mesh.runs[other] = test
    try:
        await test.register(SAY)
        failed(await test.invoke("clerk", "say", system=other), statuses=(NOT_FOUND, ERROR))
        await test.register(ActorSpec(name="clerk", actions=["sing"]), system=other)

        succeeded(await test.invoke("clerk", "say", PAYLOAD))
        succeeded(await test.invoke("clerk", "sing", PAYLOAD, system=other))
        expect([test.system, other], [turn.invocation.actor.system for turn in test.turns])
    finally:
        del test.mesh.runs[other]


@case("3.3", "an actor of unknown kind is a named one")
async def unknown_kind(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", actions=["say"], kind="UNKNOW_KIND"))

    succeeded(await test.invoke("clerk", "say", PAYLOAD))


@case("6.15", "a user function that does not listen yet is waited for")
async def not_listening_yet(test: Run) -> None:
    await test.mesh.function.stop()
    await test.register(SAY, dialect=RUST)
    call = asyncio.create_task(test.invoke("clerk", "say", PAYLOAD, dialect=RUST))
    await asyncio.sleep(0.5)
    await test.mesh.function.start()

    succeeded(await call)
    expect(1, len(test.turns))


@case("6.15", "a user function that went away and came back is called again")
async def restarted(test: Run) -> None:
    await test.register(SAY, dialect=PYTHON)
    succeeded(await test.invoke("clerk", "say", PAYLOAD, dialect=PYTHON))
    await test.mesh.function.stop()
    await test.mesh.function.start()

    succeeded(await test.invoke("clerk", "say", PAYLOAD, dialect=PYTHON))


@case("6.16", "names are told apart by case")
async def case_sensitive(test: Run) -> None:
    await test.register(SAY)

    failed(await test.invoke("Clerk", "say"), statuses=(NOT_FOUND, ERROR))
    failed(await test.invoke("clerk", "Say"), "Action [Say] not found")
    failed(await test.invoke("clerk", "say", system=test.system.upper()), statuses=(NOT_FOUND, ERROR))
    expect(0, len(test.turns))


@case("2.1", "spawning from a template that nobody registered is an error in words")
async def no_template(test: Run) -> None:
    path = f"{PREFIX}/system/{test.system}/actors/spawn"
    for suffix in ("", "?revision=7"):
        response = await test.post(path + suffix, NODE.spawn(test.system, "clerk-1", "clerk"))
        message = NODE.schema.SpawnResponse.FromString(response.body)

        expect((500, ERROR), (response.status, message.status.status))
        expect(True, message.status.message.startswith("Error on create Actors"))


@case("2.1", "a revision that is no number is an error in words")
async def no_revision(test: Run) -> None:
    path = f"{PREFIX}/system/{test.system}/actors/spawn?revision=newest"
    response = await test.post(path, NODE.spawn(test.system, "clerk-1", "clerk"))

    expect(500, response.status)
    expect(ERROR, NODE.schema.SpawnResponse.FromString(response.body).status.status)


# --- what can't be registered changes nothing


BAD_NAMES = {
    "of 0 bytes": "",
    "of 10,000 bytes": "x" * 10_000,
    "with NUL": "a\0b",
    "with a newline": "a\nb",
    "with an escape": "a\x1b[2Jb",
}


def _bad_name(label: str, name: str) -> None:
    @case("bad input", f"an actor system whose name is one {label} is refused")
    async def system(test: Run) -> None:
        refused(await test.try_register(NODE.registration(name, SAY)))

    @case("bad input", f"an actor whose name is one {label} is refused with all others of the request")
    async def actor(test: Run) -> None:
        refused(await test.try_register(NODE.registration(test.system, SAY, ActorSpec(name=name, actions=["say"]))))
        failed(await test.invoke("clerk", "say"), statuses=(NOT_FOUND, ERROR))

    @case("bad input", f"an action whose name is one {label} is refused")
    async def action(test: Run) -> None:
        refused(await test.try_register(NODE.registration(test.system, ActorSpec(name="clerk", actions=[name]))))

    del system, actor, action


for _label, _name in BAD_NAMES.items():
    _bad_name(_label, _name)


@case("bad input", "an actor named as a path is an actor, and no path")
async def path_name(test: Run) -> None:
    for name in ("../../etc/passwd", "a/b", "..", "a%2Fb", "a b"):
        await test.register(ActorSpec(name=name, actions=["say"]))
        path = f"{PREFIX}/system/{test.system}/actors/clerk/invoke"
        response = await test.post(path, NODE.invocation(test.system, name, "say", PAYLOAD))

        succeeded(Reply(response, NODE.schema.InvocationResponse.FromString(response.body)))


@case("bad input", "a kind that does not exist is refused")
async def no_such_kind(test: Run) -> None:
    request = NODE.schema.RegistrationRequest.FromString(NODE.registration(test.system, SAY))
    request.actor_system.registry.actors["clerk"].settings.kind = 99

    refused(await test.try_register(request.SerializeToString()))


@case("bad input", "bytes that are no registration are refused")
async def malformed(test: Run) -> None:
    for body in (b"\xff", b"\x12\xff\xff\xff\xff\x0f", b"{}", NODE.registration(test.system, SAY)[:-1]):
        reply = await test.try_register(body)

        expect((400, ERROR), (reply.http.status, reply.message.status.status))
    failed(await test.invoke("clerk", "say"), statuses=(NOT_FOUND, ERROR))


def refused(reply: Reply) -> None:
    """The registration was refused, in a message that SDKs read."""
    expect((500, ERROR), (reply.http.status, reply.message.status.status))
    if not reply.message.status.message.startswith("Error on create Actors"):
        raise Failed(f"words expected, got {reply.message}")
