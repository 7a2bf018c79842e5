"""Changes of a vector bring the whole of it, whatever the intervals and whatever tables both sides have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.crdts.codec import Reader
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable, pack_dot
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication.vectors import (
    Changes,
    Vectors,
    apply_changes,
    changes_between,
    encode_vectors,
    read_vectors,
)

IDS = [bytes([byte]) * 16 for byte in (9, 3, 250, 77)]
dots = st.sets(st.tuples(st.integers(0, 3), st.integers(1, 14)))


def context(table: ReplicaTable, found: set[tuple[int, int]]) -> CausalContext:
    return CausalContext(table, [pack_dot(table.intern(IDS[who]), n) for who, n in sorted(found)])


@given(before=dots, after=dots, order=st.permutations(IDS))
def test_changes_bring_the_whole_vector_to_another_table(
    before: set[tuple[int, int]], after: set[tuple[int, int]], order: list[bytes]
) -> None:
    ours, theirs = ReplicaTable(), ReplicaTable()
    for replica_id in order:
        theirs.intern(replica_id)
    changes = changes_between(context(ours, before), context(ours, before | after))
    body = encode_vectors(ours, Vectors(b"mark", ((3, changes),)))
    reader = Reader(body, theirs)
    read = read_vectors(reader)
    reader.finish()
    [(shard, received)] = read.shards
    assert isinstance(received, Changes)
    assert (3, b"mark", context(theirs, before | after)) == (
        shard,
        read.base,
        apply_changes(context(theirs, before), received),
    )


@given(before=dots, column=st.lists(st.integers(-20, 40), max_size=8))
def test_any_column_is_changes_or_refused(before: set[tuple[int, int]], column: list[int]) -> None:
    table = ReplicaTable()
    base = context(table, before)
    try:
        changed = apply_changes(base, Changes(CausalContext(table), tuple(column)))
    except CodecError:
        return
    assert base.issubset(changed)
    assert set(base.replicas()) == set(changed.replicas())
