"""State of a replicated type: on every node, changed by mutations. Beyond the sheet; its values are `crdtmesh.v1`'s."""

from __future__ import annotations

from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1.values_pb2 import Mutations, Value
from tests.conformance.dialects import ALL, NODE, ActorSpec, AnyParts, Dialect
from tests.conformance.function import Answer
from tests.conformance.suite import (
    PAYLOAD,
    Handler,
    Run,
    Turn,
    case,
    each_dialect,
    eventually,
    expect,
    failed,
    succeeded,
)

VALUE = "type.googleapis.com/crdtmesh.v1.Value"
MUTATIONS = "type.googleapis.com/crdtmesh.v1.Mutations"


def counter(**given: object) -> ActorSpec:
    """A counter, declared by a tag as released SDKs can."""
    return ActorSpec(
        name="stock",
        actions=["deliver"],
        is_stateful=True,
        tags={"crdtmesh.type": "crdtmesh.v1.PNCounter"},
        **given,  # type: ignore[arg-type]
    )


def mutations(name: str, *arguments: int | str) -> AnyParts:
    """One operation."""
    message = Mutations()
    operation = message.operations.add(name=name)
    for argument in arguments:
        operation.arguments.add().CopyFrom(values.data_from_plain(argument))
    return MUTATIONS, message.SerializeToString()


def doing(state: AnyParts | None) -> Handler:
    """Answers with this in the place of the state."""

    async def handle(turn: Turn) -> Answer:
        return turn.answer(PAYLOAD, state=state)

    return handle


def plain(payload: AnyParts | str | None) -> object:
    """The value in a payload."""
    assert isinstance(payload, tuple), payload
    expect(VALUE, payload[0])
    return values.plain_from_value(Value.FromString(payload[1]))[1]


@each_dialect("crdt", "mutations change a state that a tag declared, and the next call has it")
async def counted(test: Run, dialect: Dialect) -> None:
    await test.register(counter(), dialect=dialect, handler=doing(mutations("increment", 3)))
    for _ in range(2):
        succeeded(await test.invoke("stock", "deliver", dialect=dialect))
    states = [turn.invocation.current_context.state for turn in test.turns]

    expect([0, 3], [plain((state.type_url, state.value)) for state in states])
    expect(6, plain(await test.state("stock", dialect=dialect)))


@case("crdt", "a set is given and changed as a whole state")
async def gathered(test: Run) -> None:
    async def add(turn: Turn) -> Answer:
        return turn.answer(None, state=mutations("add", turn.invocation.value.value.decode()))

    spec = ActorSpec(name="list", actions=["add"], is_stateful=True, tags={"crdtmesh.type": "crdtmesh.v1.ORSet"})
    await test.register(spec, handler=add)
    for item in ("milk", "bread", "milk"):
        succeeded(await test.invoke("list", "add", ("type.example/S", item.encode())))

    expect(["bread", "milk"], sorted(plain(await test.state("list"))))  # type: ignore[call-overload]


@case("crdt", "an answer without a state, or with the value that came, changes nothing")
async def unchanged(test: Run) -> None:
    await test.register(counter(), handler=doing(mutations("increment", 3)))
    await test.invoke("stock", "deliver")

    async def same(turn: Turn) -> Answer:
        state = turn.invocation.current_context.state
        return turn.answer(None, state=(state.type_url, state.value))

    for handler in (doing(None), same):
        test.on("stock", handler, ALL[2])
        succeeded(await test.invoke("stock", "deliver"))

    expect(3, plain(await test.state("stock")))


@case("crdt", "an answer with another value, another type or an unknown operation is an error, and changes nothing")
async def refused(test: Run) -> None:
    await test.register(counter(), handler=doing(mutations("increment", 3)))
    await test.invoke("stock", "deliver")
    for state in (
        (VALUE, values.value_from_plain("PNCounter", 4).SerializeToString()),
        ("type.googleapis.com/shop.Till", b"\x08\x01"),
        (MUTATIONS, b"\xff"),
        mutations("explode"),
        mutations("increment", "many"),
        mutations("increment", -1),
    ):
        test.on("stock", doing(state))
        failed(await test.invoke("stock", "deliver"))

    expect(3, plain(await test.state("stock")))


@case("crdt", "a handler that fails changes nothing")
async def failing(test: Run) -> None:
    async def fail(turn: Turn) -> Answer:
        return NODE.fail(turn.invocation)

    await test.register(counter(), handler=fail)
    failed(await test.invoke("stock", "deliver"))

    expect(None, await test.state("stock"))


@case("crdt", "a type that does not exist is refused, with the nearest name")
async def no_such_type(test: Run) -> None:
    spec = ActorSpec(
        name="stock", actions=["deliver"], is_stateful=True, tags={"crdtmesh.type": "crdtmesh.v1.PNCountr"}
    )
    reply = await test.try_register(NODE.registration(test.system, spec))

    expect(500, reply.http.status)
    expect(True, "PNCounter" in reply.message.status.message, reply.message.status.message)


@case("crdt", "every node answers reads of the state")
async def everywhere(test: Run) -> None:
    await test.register(counter(), handler=doing(mutations("increment", 3)))
    succeeded(await test.invoke("stock", "deliver"))
    for address in test.mesh.addresses:

        async def has_it(address: str = address) -> bool:
            payload = await test.state("stock", address=address)
            return payload is not None and plain(payload) == 3

        expect(True, await eventually(has_it), address)
