"""No bytes of a peer make a replica raise, and bytes that it refuses change nothing."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import Rejected, SendTo
from crdtmesh.replication.parts import WHOLE, Assembler, split
from crdtmesh.replication.wire import Kind
from tests.unit.crdtmesh.replication.mesh import LIST, PRICE, STOCK, Mesh, add, increment, remove


def recorded() -> tuple[Mesh, list[bytes]]:
    """A mesh of two that disagree, and one payload of each kind for `b`."""
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.drain()
    payloads: list[bytes] = []
    mesh.update("a", LIST, add("milk"), add("eggs"), remove("milk"))
    mesh.update("a", STOCK, increment(300))
    mesh.update("a", PRICE, Operation("set", (1.5,)))
    mesh["a"].sync()
    payloads += [message.payload for message in mesh.take_sent("a")]
    mesh.update("b", LIST, add("milk"))
    mesh["b"].sync()
    mesh["b"].sent.clear()
    mesh.disconnect("a", "b")
    mesh.connect("a", "b")
    for source in "aba":
        mesh[source].sync()
        for message in mesh.take_sent(source):
            payloads.append(message.payload)
            if source == "b" or len(payloads) < 3:
                mesh.deliver(source, message)
    return mesh, payloads


def recorded_of_levels() -> list[bytes]:
    """One payload and more of each kind by which voters are asked and answer."""
    mesh = Mesh("ab")
    mesh.update("a", LIST, add("milk"))
    mesh.connect_all()
    payloads = record(mesh)
    mesh.enlist("a", "b")
    mesh.acknowledge("a", STOCK, increment(), level="all", ticket="write")
    mesh["a"].sync()
    mesh.take_sent("a")  # lost, so that it is asked for urgently
    mesh.advance(1)
    payloads += record(mesh)
    mesh.read_at("b", LIST, level="all", ticket="read")
    return payloads + record(mesh)


def record(mesh: Mesh) -> list[bytes]:
    """Delivers everything until nothing moves, and gives what that was."""
    payloads = []
    is_moving = True
    while is_moving:
        is_moving = False
        for name in "ab":
            mesh[name].sync()
            for message in mesh.take_sent(name):
                is_moving = True
                payloads.append(message.payload)
                mesh.deliver(name, message)
    return payloads


def half_handed_over() -> tuple[Mesh, list[bytes]]:
    """A mesh in which `a` hands over a shard to `b`, its last chunk not yet delivered; and what was sent so far."""
    mesh = Mesh("ab", options=ReplicationOptions(audit_interval_ns=SECOND_NS))
    mesh.update("a", LIST, add("milk"), add("eggs"), remove("milk"))
    mesh.update("b", LIST, add("milk"))
    mesh["a"].sync()
    mesh["b"].sync()
    mesh.forget_all("a")
    mesh.connect_all()
    payloads: list[bytes] = []
    while True:
        for name in "ab":
            mesh[name].sync()
            for message in mesh.take_sent(name):
                payloads.append(message.payload)
                if message.payload[1] == Kind.STAGE and len(payloads) > 1 and payloads[-2][1] == Kind.STAGE:
                    return mesh, payloads
                mesh.deliver(name, message)
        mesh.advance(0.1)


def recorded_of_shards() -> list[bytes]:
    """One payload of each kind by which a whole shard is handed over and audited, and the row of the log."""
    mesh, payloads = half_handed_over()
    mesh.deliver("a", SendTo("b", payloads[-1]))
    payloads += record(mesh)
    rows = [WHOLE + row for row in mesh["b"].disk.log if row[0] == Kind.TAKEOVER]
    mesh.advance(2)
    return [*payloads, *rows, *record(mesh)]


def recorded_of_explaining() -> list[bytes]:
    """A question what a peer knows of a key, and its answer."""
    mesh, _ = recorded()
    mesh["a"].replica.explain_at("b", LIST, ticket="t", timeout_ns=SECOND_NS, now_ns=mesh.now_ns)
    return record(mesh)


RECORDED = [*recorded()[1], *recorded_of_levels(), *recorded_of_shards(), *recorded_of_explaining()]
CHUNKS = [payload for payload in RECORDED if payload[1] == Kind.STAGE]


@st.composite
def damaged(draw: st.DrawFn, payloads: Sequence[bytes] = RECORDED) -> bytes:
    """A real payload with some bytes changed, cut or inserted; or random ones."""
    payload = bytearray(draw(st.sampled_from(payloads)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(payload)))
        kind = draw(st.sampled_from(["change", "cut", "insert"]))
        if kind == "change" and at < len(payload):
            payload[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del payload[at:]
        else:
            payload[at:at] = draw(st.binary(max_size=4))
    return bytes(payload)


@given(st.one_of(damaged(), st.binary(max_size=200), st.binary(max_size=200).map(lambda body: WHOLE + body)))
def test_refused_payload_changes_nothing_and_none_raises(payload: bytes) -> None:
    mesh, _ = recorded()
    replica = mesh["b"].replica
    mesh["b"].sync()
    mesh["b"].events.clear()
    before = replica.summary(), mesh.digests("b")
    mesh.deliver("a", SendTo("b", payload))
    mesh["b"].flush()
    if mesh["b"].of(Rejected):
        after_refusal = replica.summary()
        if "stale_repair" in mesh.rejections("b"):
            # It was understood, so the replica ids in it are known from here on.
            after_refusal = [
                each._replace(replica_ids=before[0][at].replica_ids) for at, each in enumerate(after_refusal)
            ]
        assert before == (after_refusal, mesh.digests("b"))
        assert [] == mesh["b"].unsynced
    # What was taken for good is on disk in a form that loads again.
    mesh["b"].sync()
    after = mesh.digests("b")
    mesh.restart("b")
    assert after == {system: mesh["b"].replica.digest(system).hex() for system in after}


@given(damaged(CHUNKS))
def test_damaged_chunk_of_a_shard_never_raises_and_what_is_taken_over_loads_again(payload: bytes) -> None:
    mesh, _ = half_handed_over()
    mesh.deliver("a", SendTo("b", payload))
    mesh["b"].sync()
    after = mesh.digests("b")
    mesh.restart("b")
    assert after == {system: mesh["b"].replica.digest(system).hex() for system in after}


def test_every_message_of_a_repair_and_a_push_is_damaged_above() -> None:
    assert {kind.value for kind in Kind} == {payload[1] for payload in RECORDED}


@given(st.binary(min_size=1, max_size=600_000), st.randoms(use_true_random=False))
def test_message_comes_back_from_its_parts_in_any_order(message: bytes, random: object) -> None:
    payloads = split(message, 7)
    assert hasattr(random, "shuffle")
    random.shuffle(payloads)
    assembler = Assembler()
    assert message == [assembler.receive(payload) for payload in payloads][-1]
