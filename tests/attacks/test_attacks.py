"""Attacks that no other test tries as a whole; see `table` for all of them."""

from __future__ import annotations

import ast
import secrets
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.persistence.sqlite import SqliteOptions, SqliteStore
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist, SendTo
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import StateUpdate
from crdtmesh.runtime.placement import owner
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from crdtmesh.wire.turn_messages import STATE_MUTATIONS, decode_answer
from gossip.codec import encode
from gossip.config import LAN
from gossip.identity import Endpoint, NodeName, address_of
from gossip.messages import Alive
from gossip.outputs import SendDatagram
from gossip.packets import PacketLayers
from gossip.security import Keyring
from gossip.swim import Swim
from tests.unit.crdtmesh.replication.mesh import LIST, Mesh, add, remove

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000
VERSIONS = bytes([1, 5, 2, 2, 5, 4])


class Cluster:
    """Members that know each other and send sealed packets; everything that crossed is recorded."""

    def __init__(self, count: int) -> None:
        rng = Random(1)
        keyring = Keyring([bytes(32)])
        config = replace(LAN, keyring=keyring, label="home", push_pull_interval_s=0)
        layers = PacketLayers(label=b"home", keyring=keyring, entropy=secrets.token_bytes)
        self.now_ns = 0
        self.recorded: list[tuple[Endpoint, bytes]] = []
        self.members: dict[Endpoint, Swim] = {}
        for number in range(count):
            at = Endpoint(f"10.0.0.{number + 1}", 7946)
            self.members[at] = Swim(
                config, name=f"n{number}", endpoint=at, rng=rng, now_ns=0, entropy=secrets.token_bytes
            )
        hello = [(swim.local.name, at) for at, swim in self.members.items()]
        for swim in self.members.values():
            for name, at in hello:
                claim = Alive(
                    incarnation=1,
                    node=NodeName(name),
                    address=address_of(at.host),
                    port=7946,
                    meta=b"",
                    versions=VERSIONS,
                )
                swim.receive(layers.seal([encode(claim)], crc=False), at, now_ns=0)

    def run(self, seconds: int) -> None:
        """Lets time pass; every packet arrives within a tenth of a second."""
        for _ in range(seconds * 10):
            self.now_ns += SECOND // 10
            for at, swim in self.members.items():
                swim.tick(now_ns=self.now_ns)
                for output in swim.take_outgoing():
                    if isinstance(output, SendDatagram):
                        self.recorded.append((at, output.data))
                        if output.destination in self.members:
                            self.members[output.destination].receive(output.data, at, now_ns=self.now_ns)
                swim.take_events()

    def tables(self) -> list[list[tuple[object, ...]]]:
        """What each knows of all."""
        return [
            sorted((member.name, member.state.name, member.incarnation, member.meta) for member in swim.members())
            for swim in self.members.values()
        ]


def test_a_recorded_run_that_is_replayed_changes_no_table() -> None:
    cluster = Cluster(4)
    cluster.run(10)
    for number, swim in enumerate(cluster.members.values()):
        swim.set_meta(b"\xff\x80" + bytes([number]), now_ns=cluster.now_ns)
    cluster.run(20)
    before, recorded = cluster.tables(), list(cluster.recorded)
    assert 1 == len({str(table) for table in before})
    assert 100 < len(recorded)

    for source, packet in recorded:
        for swim in cluster.members.values():
            swim.receive(packet, source, now_ns=cluster.now_ns)
    cluster.run(5)
    assert before == cluster.tables()


def test_dots_of_the_next_start_can_not_be_removed_ahead() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    recorded: list[SendTo] = []
    for _ in range(20):
        mesh.update("a", LIST, add("milk"))
        mesh.drain()
        mesh.update("b", LIST, remove("milk"))
        mesh["b"].sync()
        recorded += mesh.take_sent("b")
        for message in recorded[-5:]:
            mesh.deliver("b", message)
    mesh.restart("a", keep_disk=False)
    mesh.connect("a", "b")
    mesh.settle()

    mesh.update("a", LIST, add("milk"))
    for message in recorded:
        mesh.deliver("b", message)
    mesh.settle()
    assert [["milk"], ["milk"]] == [list(value) for value in mesh.values(LIST)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "type_url",
    [
        STATE_MUTATIONS + "x",
        STATE_MUTATIONS.replace("crdtmesh.v1", "evil.crdtmesh.v1"),
        STATE_MUTATIONS.replace("type.googleapis.com", "evil.example"),
        STATE_MUTATIONS.rpartition("/")[2],
        STATE_MUTATIONS.upper(),
        f"{STATE_MUTATIONS}/{STATE_MUTATIONS}",
        "/" + STATE_MUTATIONS,
    ],
)
def test_a_type_url_that_only_ends_alike_is_no_state(type_url: str) -> None:
    actor = ActorAddress("shop", "list")
    answer = protocol_pb2.ActorInvocationResponse(actor_name="list", actor_system="shop")
    answer.updated_context.state.type_url = type_url
    state = StateUpdate(actor, "PNCounter", True, 0)

    _, _, did = decode_answer(answer.SerializeToString(), actor=actor, state=state, wall_ms=0)

    assert isinstance(did, InvalidOperation)


def test_no_node_transcodes_protobuf_and_json() -> None:
    users = {(path.name, name.rpartition(".")[2]) for path, name in _imports() if "json_format." in name}

    # What the command line prints of an answer, in a process of its own.
    assert {("values.py", "MessageToDict"), ("values.py", "SerializeToJsonError")} == users


def test_no_module_can_run_what_it_reads() -> None:
    banned = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "copyreg"}
    assert [] == [(path, name) for path, name in _imports() if name.partition(".")[0] in banned]
    calls = [
        (path, node.func.id)
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"eval", "exec", "compile"}
    ]
    assert [] == calls


def test_names_chosen_without_the_secret_spread_evenly() -> None:
    nodes = [f"n{number}" for number in range(8)]
    guess = b"home"
    chosen = []
    for number in range(60_000):
        address = ActorAddress("shop", f"actor-{number}")
        if owner(address, nodes, guess) == "n0":
            chosen.append(address)
    secret = bytes(range(32))
    landed = Counter(owner(address, nodes, secret) for address in chosen)

    assert 5_000 < len(chosen)
    fair = len(chosen) / len(nodes)
    assert all(0.8 * fair < landed[node] < 1.2 * fair for node in nodes)


NAMES = (
    "../../etc/passwd",
    "a\0b",
    "/",
    ".",
    "..",
    "'; DROP TABLE state; --",
    "ä€𝄞",
    "x" * 200,
    "\n\r\x1b[31m",
    "CON",
    " ",
)


def test_names_of_actors_touch_no_file_and_come_back_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    keys = [EntryKey(f"s{name[:40]}", name, "ORSet") for name in NAMES]

    def opened() -> tuple[Replica, SqliteStore]:
        store = SqliteStore(SqliteOptions(directory=folder, node="n", cluster="c"), lambda seq, error: None)
        store.open()
        replica = Replica(
            ReplicationOptions(), node="n", replica_id=secrets.token_bytes(16), rng=Random(1), now_ns=0, wall_ms=1
        )
        replica.load(store.load())
        return replica, store

    replica, store = opened()
    before = sorted(path.name for path in folder.iterdir())
    for key in keys:
        replica.update(key, [add(key.key)], ticket=None, wall_ms=1)
    for output in replica.take_outgoing():
        if isinstance(output, Persist):
            store.write(output.seq, output.records)
    store.close()
    replica, store = opened()
    found = []
    for key in keys:
        view = replica.read(key)
        assert view is not None
        found.append(list(view.value()))  # type: ignore[arg-type]
    after = sorted(path.name for path in folder.iterdir())
    store.close()

    assert [[key.key] for key in keys] == found
    assert set(after) <= {*before, "state.sqlite3-wal", "state.sqlite3-shm"}
    assert [folder] == list(tmp_path.iterdir())


def _sources() -> list[Path]:
    return [path for name in ("crdtmesh", "gossip") for path in sorted((ROOT / name).rglob("*.py"))]


def _imports() -> list[tuple[Path, str]]:
    found = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(path, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found += [(path, f"{node.module}.{alias.name}") for alias in node.names]
                found.append((path, node.module))
    return found
