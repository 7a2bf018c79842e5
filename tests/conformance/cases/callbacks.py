"""What the user function gets, and what its answers mean (sections 2.3, 3.6, 3.8)."""

from __future__ import annotations

import asyncio

from tests.conformance.dialects import GO, JAVA, PYTHON, RUST, ActorSpec, AnyParts, Dialect
from tests.conformance.function import PATH, Answer
from tests.conformance.suite import (
    PAYLOAD,
    Handler,
    Run,
    Turn,
    case,
    each_dialect,
    expect,
    failed,
    succeeded,
)

SAY = ActorSpec(name="clerk", actions=["say"])
STATE: AnyParts = ("type.googleapis.com/shop.Till", b"\x0a\x01x\xff")
LATER: AnyParts = ("type.googleapis.com/shop.Till", b"\x0a\x01y\xfe")


@case("2.3", "the call goes to one path, by POST, as octets")
async def target(test: Run) -> None:
    await test.register(SAY)
    await test.invoke("clerk", "say", PAYLOAD)
    request = test.turns[0].request

    expect(f"POST {PATH} HTTP/1.1", request.line)
    expect("application/octet-stream", request.headers["content-type"])
    expect("keep-alive", request.headers["connection"].lower())
    expect(True, "host" in request.headers)


@case("6.7", "a call is one piece, with a length and not in chunks")
async def one_piece(test: Run) -> None:
    await test.register(SAY)
    for size in (0, 10, 1_000, 20_000):
        await test.invoke("clerk", "say", ("type.example/b.C", b"x" * size))
    for turn in test.turns:
        expect(1, turn.request.pieces, "reads of one request")
        expect(str(len(turn.request.body)), turn.request.headers["content-length"])
        expect(False, "transfer-encoding" in turn.request.headers)


@case("6.7", "connections are kept and used again")
async def kept(test: Run) -> None:
    await test.register(SAY, dialect=GO)
    for _ in range(5):
        succeeded(await test.invoke("clerk", "say", PAYLOAD, dialect=GO))

    expect(1, len({turn.request.connection for turn in test.turns}))


@case("2.3", "a connection that the user function closes is not used again")
async def closed(test: Run) -> None:
    await test.register(SAY, dialect=PYTHON)
    for _ in range(3):
        succeeded(await test.invoke("clerk", "say", PAYLOAD, dialect=PYTHON))

    expect(3, len({turn.request.connection for turn in test.turns}))


@case("3.8", "the user function learns who is called, by whom, and with which metadata")
async def context(test: Run) -> None:
    await test.register(SAY)
    metadata = {"trace": "7", "päge": "ü"}
    await test.invoke("clerk", "say", PAYLOAD, metadata=metadata, caller="customer")
    invocation = test.turns[0].invocation

    expect("say", invocation.action_name)
    for who in (invocation.actor, invocation.current_context.self):
        expect((test.system, "clerk", ""), (who.system, who.name, who.parent), "parent is empty for NAMED")
    for who in (invocation.caller, invocation.current_context.caller):
        expect("customer", who.name)
    expect(metadata, dict(invocation.current_context.metadata))


@case("3.8", "without a caller there is none")
async def no_caller(test: Run) -> None:
    await test.register(SAY)
    await test.invoke("clerk", "say", PAYLOAD)

    expect(False, test.turns[0].invocation.HasField("caller"))


@each_dialect("6.6", "no state is no field, where the SDK registered none")
async def no_state(test: Run, dialect: Dialect) -> None:
    await test.register(SAY, dialect=dialect)
    await test.invoke("clerk", "say", PAYLOAD, dialect=dialect)
    context = test.turns[0].invocation.current_context

    expect(dialect.sends_state, context.HasField("state"))
    expect(True, bool(context.state.type_url) or not context.HasField("state"))


# --- state, as long as the activation of an actor without durable state


def leaving(state: AnyParts | None, tags: dict[str, str] | None = None) -> Handler:
    """Answers that leave this behind."""

    async def handle(turn: Turn) -> Answer:
        return turn.answer(None, state=state, tags=tags)

    return handle


@case("3.6", "an actor begins with the state and tags that were registered")
async def initial(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", actions=["say"], state=STATE, tags={"aisle": "3"}))
    await test.invoke("clerk", "say", PAYLOAD)
    context = test.turns[0].invocation.current_context

    expect(STATE, (context.state.type_url, context.state.value))
    expect({"aisle": "3"}, dict(context.tags))


@case("0.2", "the state of an answer comes with the next call, unread")
async def carried(test: Run) -> None:
    await test.register(SAY, dialect=GO, handler=leaving(STATE))
    for _ in range(2):
        succeeded(await test.invoke("clerk", "say", dialect=GO))
    contexts = [turn.invocation.current_context for turn in test.turns]

    expect([False, True], [context.HasField("state") for context in contexts])
    expect(STATE, (contexts[1].state.type_url, contexts[1].state.value))
    expect(STATE, await test.state("clerk", dialect=GO))


@case("3.6", "an answer without a state keeps it")
async def kept_state(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", actions=["say"], state=STATE))
    test.on("clerk", leaving(None), RUST)
    succeeded(await test.invoke("clerk", "say"))

    expect(STATE, await test.state("clerk"))


@case("3.6", "tags replace, also when there are none")
async def tags(test: Run) -> None:
    await test.register(ActorSpec(name="clerk", actions=["say"], state=STATE, tags={"aisle": "3", "till": "1"}))
    test.on("clerk", leaving(None, {"aisle": "4"}), JAVA)
    await test.invoke("clerk", "say")
    test.on("clerk", leaving(None), JAVA)
    await test.invoke("clerk", "say")
    await test.invoke("clerk", "say")
    seen = [dict(turn.invocation.current_context.tags) for turn in test.turns]

    expect([{"aisle": "3", "till": "1"}, {"aisle": "4"}, {}], seen)


@case("3.6", "the metadata of an answer are ignored")
async def metadata_ignored(test: Run) -> None:
    async def meddling(turn: Turn) -> Answer:
        turn.invocation.current_context.metadata["added"] = "1"
        return turn.answer(None)

    await test.register(SAY, handler=meddling)
    await test.invoke("clerk", "say")
    await test.invoke("clerk", "say", metadata={"trace": "8"})

    expect({"trace": "8"}, {k: v for k, v in test.turns[1].invocation.current_context.metadata.items() if k != "added"})


@case("3.5", "a checkpoint is answered like any other")
async def checkpoint(test: Run) -> None:
    async def checkpointing(turn: Turn) -> Answer:
        return turn.answer(PAYLOAD, state=STATE, is_checkpoint=True)

    await test.register(SAY, handler=checkpointing)
    reply = await test.invoke("clerk", "say")

    succeeded(reply)
    expect(PAYLOAD, reply.payload)
    expect(STATE, await test.state("clerk"))


@case("3.4", "an idle actor is put out of memory, one that is called is not")
async def idle(test: Run) -> None:
    spec = ActorSpec(name="clerk", actions=["say"], state=STATE, deactivate_ms=800)
    await test.register(spec, handler=leaving(LATER))
    await test.invoke("clerk", "say")
    for _ in range(4):
        await asyncio.sleep(0.3)
        expect(LATER, await test.state("clerk"), "called all the time")
    await asyncio.sleep(1.5)

    expect(STATE, await test.state("clerk"), "idle for longer than its timeout")


# --- answers that are none


def _bad_answer(claim: str, make: Handler, words: str = "") -> None:
    @case("2.3", f"{claim} is a failure, once, and leaves the state")
    async def bad(test: Run) -> None:
        await test.register(ActorSpec(name="clerk", actions=["say"], state=STATE), handler=make)
        failed(await test.invoke("clerk", "say", PAYLOAD), words)

        expect(1, len(test.turns))
        expect(STATE, await test.state("clerk"))

    del bad


def _http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _good_body(turn: Turn, **names: str) -> bytes:
    response = turn.dialect.schema.ActorInvocationResponse(
        actor_name=names.get("name", "clerk"), actor_system=names.get("system", turn.invocation.actor.system)
    )
    response.updated_context.state.type_url, response.updated_context.state.value = LATER
    return bytes(response.SerializeToString())


async def _status_201(turn: Turn) -> Answer:
    return _http("201 Created", _good_body(turn))


async def _status_400(turn: Turn) -> Answer:
    return _http("400 Bad Request", _good_body(turn))


async def _redirect(turn: Turn) -> Answer:
    del turn
    return _http("302 Found", b"", "Location: http://169.254.169.254/latest/meta-data/")


async def _redirect_home(turn: Turn) -> Answer:
    return _http("307 Temporary Redirect", b"", f"Location: http://{turn.request.headers['host']}{PATH}")


async def _empty(turn: Turn) -> Answer:
    return turn.dialect.response(b"")


async def _page(turn: Turn) -> Answer:
    return turn.dialect.response(b"<!doctype html><title>Hello</title>")


async def _garbage(turn: Turn) -> Answer:
    return turn.dialect.response(b"\xff\xff\xff")


async def _other_actor(turn: Turn) -> Answer:
    return turn.dialect.response(_good_body(turn, name="porter"))


async def _other_system(turn: Turn) -> Answer:
    return turn.dialect.response(_good_body(turn, system="elsewhere"))


async def _no_context(turn: Turn) -> Answer:
    return GO.fail(turn.invocation)


async def _nothing(turn: Turn) -> Answer:
    del turn
    return None


async def _broken_off(turn: Turn) -> Answer:
    del turn
    return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf"


async def _no_http(turn: Turn) -> Answer:
    del turn
    return b"\x16\x03\x01\x00\x05hello\r\n\r\n"


async def _too_long(turn: Turn) -> Answer:
    del turn
    return b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"


async def _two_lengths(turn: Turn) -> Answer:
    body = _good_body(turn)
    return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def _compressed(turn: Turn) -> Answer:
    import gzip

    return _http("200 OK", gzip.compress(_good_body(turn)), "Content-Encoding: gzip")


for _claim, _make, _words in (
    ("a status of 201", _status_201, "201"),
    ("a status of 400 with a good body", _status_400, "400"),
    ("a redirect to a metadata service", _redirect, "redirect (HTTP 302)"),
    ("a redirect to the user function itself", _redirect_home, "redirect (HTTP 307)"),
    ("an empty answer", _empty, "empty"),
    ("a page of HTML", _page, ""),
    ("an answer that is no message", _garbage, ""),
    ("an answer for another actor", _other_actor, "porter"),
    ("an answer for another system", _other_system, "elsewhere"),
    ("an answer without updated_context", _no_context, "updated_context"),
    ("a closed connection", _nothing, ""),
    ("an answer that breaks off", _broken_off, ""),
    ("an answer that is no HTTP", _no_http, "HTTP"),
    ("an answer of 100 GB", _too_long, ""),
    ("an answer with two lengths", _two_lengths, ""),
    ("a compressed answer", _compressed, ""),
):
    _bad_answer(_claim, _make, _words)
