"""Updates of the text library in any order."""

import contextlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pycrdt")

from pycrdt import Doc, Text

from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.text_updates import parse
from crdtmesh.text.sequence import Sequence

# Of a simulated run (seed 34): four writers, one of whom builds on an update that was lost with a disk. Applied once
# each, they read as one of eleven different texts, depending on their order: the library forgets some that wait.
UPDATES = (
    "0101ec84eda984c3e8080004010474657874085b302e333730355d00",
    "0101ec84eda984c3e8080844a5e3f5da8ddbd20d00085b312e333837335d00",
    "0101ec84eda984c3e8081044ec84eda984c3e80808085b312e333837345d00",
    "0101a7b482be908dec060044a5e3f5da8ddbd20d00085b302e333835335d00",
    "0101a7b482be908dec060844a7b482be908dec0600085b312e333838375d00",
    "0101a7b482be908dec061044a7b482be908dec0608085b312e333930325d00",
    "0101bda58b83d28482010044a5e3f5da8ddbd20d00085b302e333830395d00",
    "0101ec84eda984c3e8081844ec84eda984c3e80810085b312e333936315d00",
    "0101bda58b83d28482010044ec84eda984c3e80800085b312e333936385d00",
    "0101bda58b83d28482010844bda58b83d284820100085b302e333937305d00",
    "0101ec84eda984c3e8080844ec84eda984c3e80800085b302e343038375d00",
)


def test_text_does_not_depend_on_the_order_of_updates_that_wait_for_others() -> None:
    rng = random.Random(1)
    updates = [bytes.fromhex(update) for update in UPDATES]
    read = set()
    for _ in range(100):
        rng.shuffle(updates)
        sequence = Sequence(1)
        for update in updates:
            sequence.apply(update)
            if rng.random() < 0.3:
                str(sequence)
        read.add(str(sequence))
    assert {"[0.3970][1.3968][1.3961][1.3874][0.4087][0.3705]"} == read


def written(count: int, length: int, seed: int) -> list[bytes]:
    """What three writers made of a text in random order, with merged updates of theirs among it."""
    rng = random.Random(seed)
    writers = [Sequence(10 + number) for number in range(3)]
    made: list[bytes] = []
    for _ in range(count):
        writer = rng.choice(writers)
        text = str(writer)
        if made and rng.random() < 0.5:
            writer.apply(rng.choice(made))
        elif text and rng.random() < 0.4:
            at = rng.randrange(len(text))
            made.append(writer.delete(at, rng.randint(1, min(length, len(text) - at))))
        else:
            made.append(writer.insert(rng.randint(0, len(text)), rng.choice(["a", "é😀", "xyz" * 3])))
        if rng.random() < 0.1:
            made.append(writer.own_history([]))
    return made


@pytest.mark.parametrize("seed", range(20))
def test_text_does_not_depend_on_order_repetition_or_what_is_missing(seed: int) -> None:
    rng = random.Random(seed)
    updates = [update for update in written(40, 4, seed) if rng.random() < 0.8]
    read = set()
    for _ in range(5):
        rng.shuffle(updates)
        sequence = Sequence(1)
        for update in updates + updates[::3]:
            sequence.apply(update)
            if rng.random() < 0.2:
                str(sequence)
        read.add(str(sequence))
    assert 1 == len(read)


@pytest.mark.parametrize("seed", range(20))
def test_text_is_what_the_library_makes_of_all_updates(seed: int) -> None:
    updates = written(40, 4, seed)
    sequence = Sequence(1)
    alone: Doc[Any] = Doc(client_id=2)
    for update in updates:
        sequence.apply(update)
    for update in updates * 2:
        alone.apply_update(update)
    assert str(alone.get("text", type=Text)) == str(sequence)


def test_updates_that_wait_do_not_get_into_the_library() -> None:
    """There each would cost as much as all that wait before it, and a peer can send any number of them."""
    writer = Sequence(7)
    updates = [writer.insert(number, "x") for number in range(2_000)]
    sequence = Sequence(1)
    for update in reversed(updates[1:]):
        sequence.apply(update)
    assert "" == str(sequence)
    assert b"\x00\x00" == sequence._doc.get_update()
    sequence.apply(updates[0])
    assert "x" * 2_000 == str(sequence)


def test_deletion_shows_for_what_is_there_and_later_for_the_rest() -> None:
    writer = Sequence(7)
    updates = [writer.insert(0, "ab"), writer.insert(2, "cd")]
    deleted = writer.delete(1, 2)
    sequence = Sequence(1)
    for update, expected in ((deleted, ""), (updates[0], "a"), (updates[1], "ad")):
        sequence.apply(update)
        assert expected == str(sequence)


@given(data=st.data())
def test_update_that_was_tampered_with_is_refused_or_does_no_harm(data: st.DataObject) -> None:
    """Whatever is accepted can be read, gone on with, and taken in by others."""
    updates = written(12, 3, data.draw(st.integers(0, 50)))
    at = data.draw(st.integers(0, len(updates) - 1))
    broken = bytearray(updates[at])
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    sequence = Sequence(1)
    for update in (*updates[:at], bytes(broken), *updates[at:]):
        with contextlib.suppress(CodecError):
            sequence.apply(update)
    text = str(sequence)
    added = sequence.insert(len(text), "!")
    assert text + "!" == str(sequence)
    parse(added)
    parse(sequence.own_history([]))
    sequence.delete(0, len(text) + 1)
    assert "" == str(sequence)
