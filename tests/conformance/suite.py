"""What a case can do, and the list of all cases.

A case is a claim of the fact sheet, with the number of its section. It has an actor system of its own, so that cases
don't see each other. Run against several nodes it registers with the first and calls through another one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from tests.conformance.dialects import ALL, NODE, ActorSpec, AnyParts, Dialect
from tests.conformance.function import Answer, UserFunction
from tests.conformance.wire import Request, Response, post, send

OK, NOT_FOUND, ERROR = 1, 2, 3
PREFIX: Final = "/api/v1"
# What one node knows reaches the others by gossip and replication; seconds on a busy machine.
SPREAD_TIMEOUT_S: Final = 10.0
PAYLOAD: Final[AnyParts] = ("type.googleapis.com/shop.Sale", b"\x08\x03\xff\x00")


class Failed(AssertionError):
    """The node did not do what the case claims."""


@dataclass(frozen=True, slots=True)
class Case:
    """One claim.

    Attributes:
        section: of the fact sheet.
        claim: what is tried.
        run: raises when it is not so.
    """

    section: str
    claim: str
    run: Callable[[Run], Awaitable[None]]

    @property
    def name(self) -> str:
        """Section and claim."""
        return f"{self.section} {self.claim}"


CASES: Final[list[Case]] = []
Body = Callable[["Run"], Awaitable[None]]
DialectBody = Callable[["Run", Dialect], Awaitable[None]]


def case(section: str, claim: str) -> Callable[[Body], Body]:
    """Adds a case."""

    def add(body: Body) -> Body:
        CASES.append(Case(section, claim, body))
        return body

    return add


def each_dialect(section: str, claim: str) -> Callable[[DialectBody], DialectBody]:
    """Adds a case for each SDK."""

    def add(body: DialectBody) -> DialectBody:
        for dialect in ALL:

            async def run(test: Run, dialect: Dialect = dialect) -> None:
                await body(test, dialect)

            CASES.append(Case(section, f"{dialect.name}: {claim}", run))
        return body

    return add


@dataclass(frozen=True, slots=True)
class Turn:
    """One invocation that the user function got.

    Attributes:
        dialect: of the SDK that it plays.
        request: as it came.
        invocation: the `ActorInvocation` in it.
    """

    dialect: Dialect
    request: Request
    invocation: Any

    def answer(self, payload: AnyParts | str | None = None, **given: Any) -> bytes:
        """A good answer of this SDK."""
        return self.dialect.answer(self.invocation, payload, **given)

    def echo(self) -> bytes:
        """The payload that came, back."""
        return self.answer(payload_of(self.invocation))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a caller got.

    Attributes:
        http: the response.
        message: decoded.
    """

    http: Response
    message: Any

    @property
    def payload(self) -> AnyParts | str | None:
        """Type URL and bytes, `noop`, or None."""
        return payload_of(self.message)


Handler = Callable[[Turn], Awaitable[Answer]]


async def echo(turn: Turn) -> Answer:
    """Answers with what came."""
    return turn.echo()


@dataclass(slots=True)
class Mesh:
    """The nodes under test and the user function that they call.

    Attributes:
        addresses: HOST:PORT of each node.
        function: where the first node calls.
    """

    addresses: list[str]
    function: UserFunction = field(init=False)
    runs: dict[str, Run] = field(default_factory=dict)

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Begins to listen for calls."""
        self.function = UserFunction(self._answer, host=host, port=port)
        await self.function.start()

    async def run(self, case: Case) -> None:
        """Runs one case.

        Raises:
            Failed: it is not so.
        """
        test = Run(self, f"conformance-{secrets.token_hex(6)}")
        self.runs[test.system] = test
        try:
            await case.run(test)
        finally:
            await self.function.stop()
            await self.function.start()
            del self.runs[test.system]

    async def _answer(self, request: Request) -> Answer:
        """Hands an invocation to the run of its system; the classes of one dialect read that much of all."""
        actor = NODE.schema.ActorInvocation.FromString(request.body).actor
        test = self.runs.get(actor.system)
        return None if test is None else await test.take(request, actor.name)


class Run:
    """One run of a case.

    Attributes:
        mesh: all nodes.
        system: the case's own actor system.
        turns: all that the user function got, in order.
    """

    def __init__(self, mesh: Mesh, system: str) -> None:
        self.mesh = mesh
        self.system = system
        self.turns: list[Turn] = []
        self._handlers: dict[str, tuple[Dialect, Handler]] = {}
        others = mesh.addresses[1:] or mesh.addresses
        self.node = mesh.addresses[0]
        self.caller = others[int(system[-2:], 16) % len(others)]

    # --- the user function

    async def take(self, request: Request, actor: str) -> Answer:
        """Answers an invocation."""
        dialect, handler = self._handlers[actor]
        turn = Turn(dialect, request, dialect.schema.ActorInvocation.FromString(request.body))
        self.turns.append(turn)
        return await handler(turn)

    def on(self, actor: str, handler: Handler, dialect: Dialect = NODE) -> None:
        """What the user function does for an actor."""
        self._handlers[actor] = (dialect, handler)

    # --- the node

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        dialect: Dialect = NODE,
        address: str = "",
        headers: Mapping[str, str | None] | None = None,
        is_chunked: bool = False,
    ) -> Response:
        """One POST as the SDK sends it; a header of None is left out."""
        merged = {**dialect.headers, **(headers or {})}
        fields = {name: value for name, value in merged.items() if value is not None}
        return await send(address or self.caller, post(path, body, fields, is_chunked=is_chunked))

    async def register(
        self, *actors: ActorSpec, dialect: Dialect = NODE, handler: Handler = echo, address: str = "", system: str = ""
    ) -> Reply:
        """Registers actors, and waits until the other nodes know them; the registration must be accepted."""
        for actor in actors:
            self.on(actor.name, handler, dialect)
        body = dialect.registration(system or self.system, *actors)
        reply = await self.try_register(body, dialect=dialect, address=address)
        expect(200, reply.http.status, reply.message)
        for known in {self.caller, *self.mesh.addresses} - {address or self.node}:
            await self._known(known, actors[0].name, system or self.system)
        return reply

    async def try_register(self, body: bytes, *, dialect: Dialect = NODE, address: str = "") -> Reply:
        """Sends a registration."""
        response = await self.post(f"{PREFIX}/system", body, dialect=dialect, address=address or self.node)
        return Reply(response, dialect.schema.RegistrationResponse.FromString(response.body))

    async def invoke(
        self,
        actor: str,
        action: str,
        payload: AnyParts | str | None = None,
        *,
        dialect: Dialect = NODE,
        address: str = "",
        system: str = "",
        **given: Any,
    ) -> Reply:
        """One call."""
        system = system or self.system
        body = dialect.invocation(system, actor, action, payload, **given)
        return await self.invoke_bytes(body, dialect=dialect, address=address, actor=actor)

    async def invoke_bytes(
        self, body: bytes, *, dialect: Dialect = NODE, address: str = "", actor: str = "actor"
    ) -> Reply:
        """A call whose body is given."""
        path = f"{PREFIX}/system/{self.system}/actors/{quote(actor, safe='')}/invoke"
        response = await self.post(path, body, dialect=dialect, address=address)
        return Reply(response, dialect.schema.InvocationResponse.FromString(response.body))

    async def give_up(self, call: asyncio.Task[Reply], *, turns: int) -> None:
        """Ends the connection of a call during the last of so many turns; the node must end that turn's likewise."""

        async def has_begun() -> bool:
            return turns == len(self.turns)

        expect(True, await eventually(has_begun), f"{turns} turns have begun")
        asked = self.turns[-1].request.connection
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        async def is_closed() -> bool:
            return asked not in self.mesh.function.connections

        expect(True, await eventually(is_closed), "the connection to the user function is closed")

    async def state(self, actor: str, *, dialect: Dialect = NODE, address: str = "") -> AnyParts | str | None:
        """The state by a read action."""
        reply = await self.invoke(actor, "getState", dialect=dialect, address=address)
        succeeded(reply)
        return reply.payload

    async def _known(self, address: str, actor: str, system: str) -> None:
        async def check() -> bool:
            reply = await self.invoke(actor, "no such action", address=address, system=system)
            return bool(reply.message.status.status != NOT_FOUND)

        expect(True, await eventually(check), f"{address} does not know actor {actor}")


def payload_of(message: Any) -> AnyParts | str | None:
    """Type URL and bytes, `noop`, or None."""
    kind = message.WhichOneof("payload")
    return (message.value.type_url, message.value.value) if kind == "value" else kind


async def eventually(check: Callable[[], Awaitable[bool]], timeout_s: float = SPREAD_TIMEOUT_S) -> bool:
    """Repeats a check until it holds; False when the time is over."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + timeout_s
    while not await check():
        if loop.time() > until_s:
            return False
        await asyncio.sleep(0.02)
    return True


def expect(expected: object, actual: object, about: object = "") -> None:
    """Raises unless the two are equal."""
    if expected != actual:
        raise Failed(f"expected {expected!r:.300}, got {actual!r:.300} {about}")


def succeeded(reply: Reply) -> None:
    """The call went well: 200, status OK, no words."""
    expect(200, reply.http.status, reply.message)
    expect((OK, ""), (reply.message.status.status, reply.message.status.message))


def failed(reply: Reply, words: str = "", *, statuses: tuple[int, ...] = (ERROR,), http: int = 500) -> None:
    """The call failed: not 200, a message that says so in words, and no payload."""
    expect(http, reply.http.status, reply.message)
    status = reply.message.status
    if status.status not in statuses or words not in status.message or not status.message:
        raise Failed(f"a failure with {words!r} expected, got {status!r}")
