"""Answers go out whole, in as few messages as their size allows."""

from __future__ import annotations

from crdtmesh.sdk import answers
from crdtmesh.sdk.answers import Answers
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb


def test_all_answers_and_failures_go_out_in_one_message() -> None:
    queue = Answers()
    queue.add(1, "", b"", b"")
    queue.add(2, "t/x", b"p", b"m")
    queue.fail(3, "no", unknown_action=True)
    assert 3 == len(queue)
    (batch,) = queue.take_batches()
    assert ([1, 2], [0, 1], [b"", b"p"], [b"", b"m"]) == (
        list(batch.turn),
        list(batch.type_url),
        list(batch.payload),
        list(batch.mutations),
    )
    assert ["t/x"] == [binding.type_url for binding in batch.bindings]
    assert [(3, "no", True)] == [(item.turn, item.message, item.unknown_action) for item in batch.failures]
    assert 0 == len(queue)


def test_columns_without_content_are_left_out() -> None:
    queue = Answers()
    queue.add(1, "", b"", b"")
    (batch,) = queue.take_batches()
    assert ([1], 0, 0, 0) == (list(batch.turn), len(batch.type_url), len(batch.payload), len(batch.mutations))


def test_large_answers_are_cut_into_messages() -> None:
    queue = Answers()
    half = b"x" * (answers._BATCH_SIZE_BYTES_MAX // 2)
    for turn in range(5):
        queue.add(turn, "t/x", half, b"m")
    queue.fail(9, "no")
    batches = list(queue.take_batches())
    assert [0, 1, 2, 3, 4] == [turn for batch in batches for turn in batch.turn]
    assert 5 == len(batches)
    assert [1, 0, 0, 0, 0] == [len(batch.failures) for batch in batches] == [len(batch.bindings) for batch in batches]


def test_many_answers_are_cut_into_messages() -> None:
    queue = Answers()
    for turn in range(answers._BATCH_ITEMS_MAX + 1):
        queue.add(turn, "", b"", b"")
    assert [answers._BATCH_ITEMS_MAX, 1] == [len(batch.turn) for batch in queue.take_batches()]


def test_failure_text_is_bounded_and_always_encodable() -> None:
    queue = Answers()
    queue.fail(1, "\ud800" + "x" * 10_000)
    (batch,) = queue.take_batches()
    assert len(batch.failures[0].message) <= answers._MESSAGE_CHARS_MAX
    assert batch.SerializeToString()


def test_effects_go_with_their_turn_and_count_for_the_size() -> None:
    queue = Answers()
    large = pb.TurnEffects(turn=2)
    large.state.state.value = b"x" * answers._BATCH_SIZE_BYTES_MAX
    queue.add(1, "", b"", b"", pb.TurnEffects(turn=1))
    queue.add(2, "", b"", b"", large)
    queue.add(3, "", b"", b"")
    assert [([1], [1]), ([2], [2]), ([3], [])] == [
        (list(batch.turn), [effects.turn for effects in batch.effects]) for batch in queue.take_batches()
    ]
