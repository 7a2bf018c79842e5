"""The server itself: paths, types, bounds, health, metrics (section 2.1 and 6.1)."""

from __future__ import annotations

import json

from tests.conformance.dialects import NODE, OCTETS, ActorSpec
from tests.conformance.suite import PAYLOAD, PREFIX, Failed, Reply, Run, case, expect, failed, succeeded
from tests.conformance.wire import Response, get, post, send

SAY = ActorSpec(name="clerk", actions=["say"])
BODY_MAX = 8_000_000


@case("2.1", "answers are octets on a connection that is kept")
async def headers(test: Run) -> None:
    await test.register(SAY)
    for action in ("say", "sing"):
        response = (await test.invoke("clerk", action, PAYLOAD)).http
        expect("application/octet-stream; charset=utf-8", response.headers["content-type"])
        expect("keep-alive", response.headers["connection"].lower())


def _taken(content_type: str | None) -> None:
    @case("2.1", f"a body of type {content_type} is read")
    async def taken(test: Run) -> None:
        await test.register(SAY)
        body = NODE.invocation(test.system, "clerk", "say", PAYLOAD)
        path = f"{PREFIX}/system/{test.system}/actors/clerk/invoke"
        response = await test.post(path, body, headers={"Content-Type": content_type})
        succeeded(Reply(response, NODE.schema.InvocationResponse.FromString(response.body)))

    del taken


for _type in (OCTETS, f"{OCTETS}; charset=utf-8", "application/protobuf", "Application/Octet-Stream", None):
    _taken(_type)


def _refused(name: str, value: str) -> None:
    @case("2.1", f"a body with {name}: {value} is refused in a message")
    async def refused(test: Run) -> None:
        await test.register(SAY)
        body = NODE.invocation(test.system, "clerk", "say", PAYLOAD)
        path = f"{PREFIX}/system/{test.system}/actors/clerk/invoke"
        response = await test.post(path, body, headers={name: value})
        failed(Reply(response, NODE.schema.InvocationResponse.FromString(response.body)), http=415)
        expect(0, len(test.turns))

    del refused


for _name, _value in (
    ("Content-Type", "application/json"),
    ("Content-Type", "text/plain"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Content-Encoding", "gzip"),
):
    _refused(_name, _value)


@case("2.1", "a body may come in chunks")
async def chunked(test: Run) -> None:
    body = NODE.registration(test.system, SAY)
    response = await test.post(f"{PREFIX}/system", body, is_chunked=True, address=test.node)
    expect(200, response.status)
    await test.register(SAY)
    path = f"{PREFIX}/system/{test.system}/actors/clerk/invoke"
    response = await test.post(path, NODE.invocation(test.system, "clerk", "say", PAYLOAD), is_chunked=True)

    succeeded(Reply(response, NODE.schema.InvocationResponse.FromString(response.body)))


@case("2.1", "a body above the limit is refused in a message, in chunks too")
async def too_large(test: Run) -> None:
    await test.register(SAY)
    body = NODE.invocation(test.system, "clerk", "say", ("type.example/b.C", bytes(BODY_MAX)))
    path = f"{PREFIX}/system/{test.system}/actors/clerk/invoke"
    for is_chunked in (False, True):
        response = await test.post(path, body, is_chunked=is_chunked)
        reply = Reply(response, NODE.schema.InvocationResponse.FromString(response.body))
        failed(reply, str(BODY_MAX), http=413)
    expect(0, len(test.turns))


def _unknown(method: str, path: str) -> None:
    @case("2.1", f"{method} {path} is not found")
    async def unknown(test: Run) -> None:
        response = await send(test.node, get(path, method=method))
        expect((404, b"Not found!"), (response.status, response.body))

    del unknown


for _method, _path in (
    ("GET", "/"),
    ("GET", "/api/v1"),
    ("GET", "/api/v2/system"),
    ("GET", "/api/v1/system"),
    ("DELETE", "/api/v1/system"),
    ("POST", "/api/v1/system/a"),
    ("POST", "/api/v1/system/a/actors/b"),
    ("GET", "/api/v1/system/a/actors/b/invoke"),
    ("POST", "/health"),
    ("GET", "/health/"),
    ("GET", "/../../etc/passwd"),
):
    _unknown(_method, _path)


def _healthy(path: str) -> None:
    @case("2.1", f"GET {path} says up")
    async def healthy(test: Run) -> None:
        for address in test.mesh.addresses:
            response = await send(address, get(path))
            expect((200, {"status": "up"}), (response.status, json.loads(response.body)))
            expect(True, response.headers["content-type"].startswith("application/json"))

    del healthy


for _path in ("/health", "/health/liveness", "/health/readiness", "/health/live", "/health/ready"):
    _healthy(_path)


@case("2.1", "GET /metrics is text for Prometheus, and names no actor")
async def metrics(test: Run) -> None:
    await test.register(ActorSpec(name="very-secret-name", actions=["say"]))
    succeeded(await test.invoke("very-secret-name", "say", PAYLOAD))
    response = await send(test.node, get("/metrics"))
    text = response.body.decode()

    expect(200, response.status)
    expect(True, response.headers["content-type"].startswith("text/plain"))
    expect(True, "# TYPE " in text)
    if "very-secret-name" in text or test.system in text:
        raise Failed("an actor's name stands in the metrics")


@case("bad input", "what is no HTTP closes the connection and nothing else")
async def no_http(test: Run) -> None:
    for line in (
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n \r\n\r\n",
    ):
        response = await _sent(test, line)
        expect(True, response is None or response.status >= 400)
    expect(200, (await send(test.node, get("/health"))).status)


@case("bad input", "headers without end are refused")
async def long_headers(test: Run) -> None:
    response = await _sent(test, b"GET /health HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")

    expect(True, response is None or response.status >= 400)
    expect(200, (await send(test.node, get("/health"))).status)


@case("bad input", "two lengths, or a length and chunks, are refused")
async def smuggling(test: Run) -> None:
    body = NODE.registration(test.system, SAY)
    for extra in ({"Content-length": "1"}, {"Transfer-Encoding": "chunked"}):
        response = await _sent(test, post(f"{PREFIX}/system", body, {**NODE.headers, **extra}))
        expect(True, response is None or response.status >= 400)


async def _sent(test: Run, request: bytes) -> Response | None:
    """The response, or None for a connection that was closed."""
    try:
        return await send(test.node, request)
    except (EOFError, ConnectionError):
        return None


@case("6.12", "a failing call on a kept connection leaves it usable")
async def keeps_connection(test: Run) -> None:
    await test.register(SAY)
    failed(await test.invoke("clerk", "sing"))
    succeeded(await test.invoke("clerk", "say", PAYLOAD))
