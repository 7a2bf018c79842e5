import pytest

from crdtmesh.edge.columns import (
    BATCH_ITEMS_MAX,
    BATCH_SIZE_BYTES_MAX,
    HANDLES_MAX,
    BoundNames,
    MalformedBatch,
    NameBinder,
    bound,
    column,
    cuts,
)
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.wire.gen.crdtmesh.v1.actors_pb2 import Binding
from crdtmesh.wire.gen.spawn.actors.actor_pb2 import ActorId

MILK = ActorAddress("shops", "milk")


def test_what_one_end_binds_the_other_end_reads() -> None:
    binder, names = NameBinder(), BoundNames()
    actor, action, url = binder.actor(MILK), binder.action("add"), binder.type_url("x/y")

    names.bind(binder.take_new())

    assert (MILK, "add", "x/y") == (names.actors[actor], names.actions[action], names.type_urls[url])


def test_a_name_is_bound_once() -> None:
    binder = NameBinder()
    first = binder.actor(MILK)
    assert 1 == len(binder.take_new())

    assert first == binder.actor(MILK)
    assert [] == binder.take_new()


def test_no_type_url_needs_no_binding() -> None:
    binder = NameBinder()

    assert 0 == binder.type_url("")
    assert [] == binder.take_new()
    assert [""] == bound(BoundNames().type_urls, [0], "type_url")


def test_a_handle_bound_again_takes_the_new_name() -> None:
    names = BoundNames()
    names.bind([Binding(handle=1, action="add"), Binding(handle=1, action="remove")])

    assert ["remove"] == bound(names.actions, [1], "action")


@pytest.mark.parametrize("handle", [0, HANDLES_MAX + 1, 2**32 - 1])
def test_a_handle_out_of_range_is_malformed(handle: int) -> None:
    with pytest.raises(MalformedBatch, match=f"1 to {HANDLES_MAX} expected, got {handle}"):
        BoundNames().bind([Binding(handle=handle, action="add")])


def test_the_last_handle_is_in_range() -> None:
    names = BoundNames()
    names.bind([Binding(handle=HANDLES_MAX, actor=ActorId(system="shops", name="milk"))])

    assert [MILK] == bound(names.actors, [HANDLES_MAX], "actor")


def test_a_binding_of_nothing_is_malformed() -> None:
    with pytest.raises(MalformedBatch, match="names nothing"):
        BoundNames().bind([Binding(handle=1)])


def test_a_handle_that_was_not_bound_is_malformed() -> None:
    with pytest.raises(MalformedBatch, match="actor handle 7 is not bound"):
        bound(BoundNames().actors, [7], "actor")


def test_handles_never_pass_the_bound_however_many_names_there_are() -> None:
    binder = NameBinder()
    names = BoundNames()

    for start in range(0, 3 * HANDLES_MAX, BATCH_ITEMS_MAX):
        batch = [f"action-{number}" for number in range(start, start + BATCH_ITEMS_MAX)]
        handles = [binder.action(name) for name in batch]
        names.bind(binder.take_new())

        assert batch == bound(names.actions, handles, "action")
    assert HANDLES_MAX >= max(names.actions)


def test_a_column_left_out_holds_defaults() -> None:
    assert [0, 0, 0] == list(column([], 3, 0, "timeout_ms"))
    assert [1, 2] == list(column([1, 2], 2, 0, "timeout_ms"))


def test_a_column_of_another_length_is_malformed() -> None:
    with pytest.raises(MalformedBatch, match="column payload of 3 items expected, got 2"):
        column([b"", b""], 3, b"", "payload")


def test_a_small_batch_is_not_cut() -> None:
    assert [slice(0, 2)] == list(cuts([b"a", b"b"]))
    assert [slice(0, 0)] == list(cuts([]))


def test_cuts_cover_every_item_once_and_keep_under_the_bounds() -> None:
    payloads = [bytes(BATCH_SIZE_BYTES_MAX // 3)] * 10 + [b""] * (2 * BATCH_ITEMS_MAX)

    parts = [payloads[cut] for cut in cuts(payloads)]

    assert payloads == [payload for part in parts for payload in part]
    assert all(parts)
    assert BATCH_ITEMS_MAX >= max(map(len, parts))
    assert BATCH_SIZE_BYTES_MAX >= max(sum(map(len, part)) for part in parts)


def test_only_a_single_item_may_exceed_the_size_of_a_batch() -> None:
    large = bytes(BATCH_SIZE_BYTES_MAX + 1)

    assert [slice(0, 1), slice(1, 2), slice(2, 3)] == list(cuts([b"a", large, b"b"]))
