"""Texts: what operations do, who wins, when updates are merged, and life without the library."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from crdtmesh.crdts import deltas
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError, InvalidOperation
from crdtmesh.crdts.mutation import LocalMutation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State
from crdtmesh.crdts.text import MERGED_COUNT, TEXT, Pieces

Texts = list[State[Pieces]]


def replicas(count: int, start: str = "") -> Texts:
    table = ReplicaTable()
    made = [State(TEXT, table, replica_id=bytes([65 + n]) * 16) for n in range(count)]
    if start:
        made[0].apply(Operation("insert", (0, start)))
    for each in made[1:]:
        each.join(made[0])
    return made


def meet(*texts: State[Pieces]) -> object:
    for each in texts:
        for other in texts:
            each.join(other)
    assert 1 == len({each.encode() for each in texts})
    assert 1 == len({each.value for each in texts})
    return texts[0].value


def insert(text: State[Pieces], index: int, written: str) -> None:
    text.apply(Operation("insert", (index, written)))


def test_indices_are_code_points() -> None:
    (text,) = replicas(1, "é😀")
    insert(text, 1, "ä")
    insert(text, 3, "x")
    assert "éä😀x" == text.value
    text.apply(Operation("delete", (1, 2)))
    assert "éx" == str(text.value)


def test_concurrent_inserts_are_all_kept_and_rows_do_not_mix() -> None:
    a, b = replicas(2, "()")
    for number in range(5):
        insert(a, 1 + number, "a")
        insert(b, 1 + number, "b")
    assert meet(a, b) in {"(aaaaabbbbb)", "(bbbbbaaaaa)"}


def test_text_begun_twice_is_that_of_the_smaller_dot_and_no_mixture() -> None:
    a, b = replicas(2)
    insert(a, 0, "from a")
    insert(b, 0, "from b")
    assert "from a" == meet(a, b)
    insert(b, 0, "> ")
    assert "> from a" == meet(a, b)


def test_clear_ends_the_text_and_what_is_written_into_it_meanwhile() -> None:
    a, b = replicas(2, "old")
    a.apply(Operation("clear"))
    insert(b, 3, " and more")
    assert "" == meet(a, b)
    insert(b, 0, "new")
    assert "new" == meet(a, b)


def test_set_begins_a_new_text() -> None:
    a, b = replicas(2, "old")
    a.apply(Operation("set", ("new",)))
    insert(b, 0, "not so ")
    assert "new" == meet(a, b)


@pytest.mark.parametrize(
    "operation",
    [
        Operation("insert", (5, "x")),
        Operation("insert", (-1, "x")),
        Operation("insert", (True, "x")),
        Operation("insert", (0, 1)),
        Operation("insert", (0, "\ud800")),
        Operation("delete", (0, 5)),
        Operation("delete", (4, 1)),
        Operation("set", (None,)),
        Operation("append", ("x",)),
    ],
)
def test_wrong_use_is_refused_and_changes_nothing(operation: Operation) -> None:
    (text,) = replicas(1, "text")
    before = text.encode()
    with pytest.raises(InvalidOperation):
        text.apply(operation)
    assert (before, "text") == (text.encode(), text.value)


def test_operation_without_effect_makes_no_delta() -> None:
    (text,) = replicas(1, "text")
    assert text.apply(Operation("insert", (2, ""))) is None
    assert text.apply(Operation("delete", (2, 0))) is None
    (empty,) = replicas(1)
    assert empty.apply(Operation("clear")) is None
    assert empty.apply(Operation("set", ("",))) is None


def test_delta_that_was_dropped_leaves_nothing_behind() -> None:
    a, b = replicas(2, "text")
    dropped = a.delta()
    before = TEXT.value(dropped.store)
    insert(a, 0, "kept ")
    scratch = State(TEXT, a.table, replica_id=bytes(16))
    scratch.join(dropped)
    store = scratch.delta().store
    for _ in range(2):
        TEXT.mutate(store, Operation("insert", (0, "dropped ")), _mutation(scratch))
    assert before == TEXT.value(store)
    assert "kept text" == meet(a, b)


def _mutation(state: State[Pieces]) -> LocalMutation:
    replica = state.table.intern(bytes(16))
    return LocalMutation(state.table, replica, last_n=0, clock=HybridClock(bytes(16)), now_ms=0)


@pytest.mark.parametrize("seed", range(5))
def test_updates_are_merged_and_the_text_stays_the_same(seed: int) -> None:
    rng = random.Random(seed)
    a, b = replicas(2, "begin")
    sent = []
    for number in range(400):
        text = rng.choice([a, b])
        length = len(str(text.value))
        name, what = ("insert", rng.choice(["x", "é😀"])) if rng.random() < 0.7 else ("delete", min(2, length))
        delta = text.apply(Operation(name, (rng.randint(0, length - (what if name == "delete" else 0)), what)))  # type: ignore[operator]
        if delta is not None:
            sent.append(delta)
        if number % 20 == 0:
            meet(a, b)
    read = meet(a, b)
    pieces = len(list(TEXT.dots(a.delta().store)))
    assert len(sent) > 3 * pieces > 3
    late = State(TEXT, a.table, replica_id=b"z" * 16)
    rng.shuffle(sent)
    for delta in sent:
        late.join(delta)
    late.join(a)
    assert (read, a.encode()) == (late.value, late.encode())


def test_clear_beats_the_merged_update_that_it_has_not_seen() -> None:
    a, b = replicas(2, "begin")
    for number in range(MERGED_COUNT + 8):
        if number == MERGED_COUNT - 3:
            b.join(a)
        insert(a, 0, "x")
    assert len(list(TEXT.dots(a.delta().store))) < MERGED_COUNT
    b.apply(Operation("clear"))
    assert "" == meet(a, b)


def test_open_text_forgets_an_update_that_is_removed_alone() -> None:
    """Parts of a delta may arrive one by one, so that what replaces an update comes later."""
    (text,) = replicas(1, "text")
    assert "text" == text.value
    for part in text.decompose():
        if any(piece.update for piece in part.store.live.values()):
            text.join(part._replace(store=Pieces()))
    assert "" == str(text.value)


def test_update_that_is_no_update_is_refused_and_changes_nothing() -> None:
    text, other = replicas(2, "text")
    state = text.delta()
    broken = {dot: piece._replace(update=piece.update and b"no update") for dot, piece in state.store.live.items()}
    before = other.encode()
    with pytest.raises(CodecError, match="in a text's update"):
        other.join_encoded(deltas.encode_delta(TEXT, state._replace(store=Pieces(broken))))
    assert before == other.encode()
    assert "text" == other.value


def test_deletion_whose_update_would_not_fit_a_frame_is_refused_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crdtmesh.crdts.text.UPDATE_BYTES_MAX", 50)
    (text,) = replicas(1, "ab" * 30)
    for index in range(30):
        text.apply(Operation("delete", (index, 1)))
    before = text.encode()
    with pytest.raises(InvalidOperation, match="do it in parts"):
        text.apply(Operation("delete", (0, 30)))
    assert before == text.encode()
    insert(text, 0, "x")
    assert "x" + "b" * 30 == str(text.value)


def test_node_without_the_library_keeps_and_passes_on_what_it_can_not_read() -> None:
    (text,) = replicas(1, "text")
    program = (
        "import sys; sys.modules['pycrdt'] = None\n"
        "from crdtmesh.crdts import *\n"
        "state = State(TEXT, ReplicaTable(), replica_id=b'z' * 16)\n"
        f"state.join_encoded({text.encode()!r})\n"
        "assert state.value is None\n"
        "try: state.apply(Operation('insert', (0, 'x')))\n"
        "except InvalidOperation as error: assert 'crdtmesh[text]' in str(error)\n"
        "else: raise SystemExit('changed without the library')\n"
        "sys.stdout.write(state.encode().hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert text.encode().hex() == done.stdout
    assert "text" == TEXT.value(deltas.decode_delta(TEXT, bytes.fromhex(done.stdout), ReplicaTable()).store)


def test_writer_whose_own_updates_wait_for_a_lost_one_takes_none_of_their_numbers_again() -> None:
    from crdtmesh.text.sequence import Sequence

    a, b = replicas(2, ".")
    first = b.apply(Operation("insert", (0, "1")))
    insert(b, 1, "2")
    assert first is not None
    # Somebody who has heard of the first insertion alone, and of no text, clears all that there is.
    third = State(TEXT, a.table, replica_id=b"C" * 16)
    third.join(first)
    third.apply(Operation("clear"))
    b.join(third)
    for written in ("3", "4"):
        insert(b, 0, written)
    begun = [Sequence.begins(piece.update) for piece in b.delta().store.live.values() if piece.update]
    assert len(begun) == len(set(begun))
    assert {"3", "4", "."} <= set(str(meet(a, b)))
