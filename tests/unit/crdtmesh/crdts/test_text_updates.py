"""Updates of texts from outside: what is none is refused before the library sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.crdts import CodecError, Operation, ReplicaTable, State, deltas
from crdtmesh.crdts.text import TEXT, Pieces
from crdtmesh.crdts.text_updates import CLIENT_MAX, CLOCK_MAX, UPDATE_BYTES_MAX, Block, pack, pack_number, parse

ROOT = b"\x01\x04text"


def numbers(*each: int) -> bytes:
    return b"".join(map(pack_number, each))


def one(block: bytes, *, client: int = 5, clock: int = 0, rest: bytes = b"\x00") -> bytes:
    """An update of one block, and what is deleted."""
    return numbers(1, 1, client, clock) + block + rest


WRITTEN = b"\x04" + ROOT + b"\x02ab"
HUGE = pack_number((1 << 32) - 1)


@pytest.mark.parametrize(
    "update",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HUGE, id="more clients than bytes"),
        pytest.param(b"\x01" + HUGE + b"\x05\x00", id="more blocks than bytes"),
        pytest.param(b"\x01" + pack_number(1 << 63) + b"\x05\x00", id="more blocks than any machine holds"),
        pytest.param(b"\x01\x00\x05\x00\x00", id="client without a block"),
        pytest.param(b"\x00" + HUGE, id="more clients with deletions than bytes"),
        pytest.param(b"\x00\x01\x05" + HUGE, id="more deletions than bytes"),
        pytest.param(b"\x00\x01\x05\x01\x00" + HUGE, id="deletion beyond the greatest clock"),
        pytest.param(b"\x00\x01\x05\x01\x00\x00", id="deletion of nothing"),
        pytest.param(b"\xff" * 30, id="number without an end"),
        pytest.param(b"\x81\x80\x00" + one(WRITTEN)[1:], id="number in a longer form"),
        pytest.param(one(WRITTEN) + b"\x00", id="bytes behind the end"),
        pytest.param(one(WRITTEN)[:-1], id="no deletions"),
        pytest.param(one(b""), id="no block"),
        pytest.param(one(WRITTEN, client=CLIENT_MAX + 1), id="client id of more than 53 bits"),
        pytest.param(one(WRITTEN, clock=CLOCK_MAX - 1), id="clock that overflows"),
        pytest.param(one(WRITTEN, clock=CLOCK_MAX + 1), id="clock beyond the greatest"),
        pytest.param(one(b"\x04" + ROOT + b"\x00"), id="no characters"),
        pytest.param(one(b"\x04" + ROOT + HUGE + b"ab"), id="text longer than the update"),
        pytest.param(one(b"\x04" + ROOT + b"\x02\xff\xfe"), id="text that is no UTF-8"),
        pytest.param(one(b"\x04\x01\x04rout\x02ab"), id="another root"),
        pytest.param(one(b"\x04\x00\x05\x00\x02ab"), id="parent that is an element"),
        pytest.param(one(b"\x24" + ROOT + b"\x01k\x02ab"), id="value under a key"),
        pytest.param(one(b"\x01" + ROOT + HUGE), id="place beyond the greatest clock"),
        pytest.param(one(b"\x01" + ROOT + b"\x00"), id="place of nothing"),
        pytest.param(one(b"\x00" + HUGE), id="gone beyond the greatest clock"),
        pytest.param(one(b"\x00\x00"), id="nothing is gone"),
        pytest.param(one(b"\x80\x05\x07\x01"), id="neighbours of what is gone"),
        pytest.param(one(b"\x0a\x05"), id="gap"),
        pytest.param(one(b"\x02" + ROOT + HUGE), id="JSON"),
        pytest.param(one(b"\x03" + ROOT + b"\x02ab"), id="bytes"),
        pytest.param(one(b"\x05" + ROOT + b"\x02{}"), id="embedded"),
        pytest.param(one(b"\x06" + ROOT + b"\x01b\x04true"), id="format"),
        pytest.param(one(b"\x07" + ROOT + b"\x02"), id="nested type"),
        pytest.param(one(b"\x08" + ROOT + HUGE), id="values without end"),
        pytest.param(one(b"\x08" + ROOT + b"\x01" + b"\x75\x01" * 10_000), id="values nested without end"),
        pytest.param(one(b"\x09" + ROOT + b"\x04guid\x01"), id="document"),
        pytest.param(one(b"\x84\x05\x00\x02ab"), id="beside itself"),
        pytest.param(one(b"\x44\x05\x09\x02ab"), id="beside what its writer writes later"),
        pytest.param(one(b"\x84\x06" + HUGE + b"\x02ab"), id="beside what no clock reaches"),
        pytest.param(numbers(2) + numbers(1, 5, 0) + WRITTEN + numbers(1, 5, 0) + WRITTEN + b"\x00", id="client twice"),
        pytest.param(one(b"\x04" + ROOT + pack_number(UPDATE_BYTES_MAX) + b"x" * UPDATE_BYTES_MAX), id="too large"),
    ],
)
def test_what_is_no_update_of_a_text_is_refused_and_changes_nothing(update: bytes) -> None:
    with pytest.raises(CodecError):
        parse(update)
    table = ReplicaTable()
    a, b = (State(TEXT, table, replica_id=bytes([n]) * 16) for n in (65, 66))
    a.apply(Operation("insert", (0, "text")))
    b.join(a)
    delta = a.delta()
    pieces = {dot: piece._replace(update=piece.update and update) for dot, piece in delta.store.live.items()}
    before = b.encode()
    with pytest.raises(CodecError):
        b.join_encoded(deltas.encode_delta(TEXT, delta._replace(store=Pieces(pieces))))
    assert before == b.encode()
    assert "text" == b.value


def test_update_is_taken_apart_and_put_together() -> None:
    update = numbers(2) + numbers(2, 5, 3) + b"\xc4\x05\x02\x06\x07\x06\xc3\xa9\xf0\x9f\x98\x80" + b"\x00\x04"
    update += numbers(1, 6, 0) + b"\x41\x05\x02\x02" + numbers(1, 5, 2, 0, 1, 9, 2)
    runs, deleted = parse(update)
    # One unit for the accented letter and two for the face.
    assert [(3, 6, ((5, 2), (6, 7))), (6, 10, ())] == [block[:3] for block in runs[5]]
    assert [Block(0, 2, ((5, 2),), b"\x41\x05\x02\x02")] == runs[6]
    assert [(5, 0, 1), (5, 9, 11)] == deleted
    assert update == pack(runs, deleted)


@given(st.binary(max_size=60))
def test_random_bytes_never_crash(data: bytes) -> None:
    try:
        runs, deleted = parse(data)
    except CodecError:
        return
    assert parse(pack(runs, deleted)) == (runs, deleted)
