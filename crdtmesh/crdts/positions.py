"""Positions of list elements: byte strings with room between any two; what one replica writes in a row stays together.

A *run* belongs to one replica: a tag of its id, and then a number for each element. A position is a path of runs:

    position = run number end            run = (run number side)? tag
    side     = 0x00 | 0x02               left or right of the element that the part before it names
    end      = 0x01                      so elements lie between what hangs to their left and to their right

A replica that inserts beside an element of an own run goes on in that run: upwards after its last number, downwards
before its first, between two numbers by a fraction. Beside elements of others it opens a run of its own, to the right
of the left neighbour, or to the left of the right neighbour if something hangs to the right of the left one already.
Two replicas that write at one place therefore have two runs there, which never mix, forwards and backwards alike.

Numbers are a signed integer (one byte from -32 to 31, then a length and its bytes) and digits of 7 bits behind the
point, all so that bytes compare as the numbers do. Writing on at either end costs O(log n) bytes. Between two numbers
the place is chosen by `Bias`: a caller that knows where the next insert will go leaves the room there, and three more
digits last for two million inserts; the middle costs a bit for each time that a gap is halved.

What grows for ever is a run within a run within a run: two replicas inserting between each other's newest elements,
six bytes each time. That is bounded by `POSITION_BYTES_MAX`.

Source: the tree of runs is that of Fugue (Weidner and Kleppmann, arXiv:2305.00583), the path form as in position
strings; boundary choice as in LSEQ (Nédelec et al., DocEng 2013), but by what was written last instead of by chance.
"""

import enum
from typing import Final

from crdtmesh.crdts.errors import CodecError, InvalidOperation, shorten

POSITION_BYTES_MAX: Final = 1024
"""Longest position: 170 runs within each other, which takes two replicas that insert between each other's newest
elements as often in a row. Two replicas inserting anywhere in a list of 10,000 reach 120 bytes."""

TAG_BYTES: Final = 4
"""Bytes of the replica id that name a run's owner. Two owners of one tag would mix their runs and nothing worse: ties
are broken by the creating dot."""

_LEFT: Final = b"\x00"
_END: Final = b"\x01"
_RIGHT: Final = b"\x02"
_DIGIT: Final = 0x80
"""Digits are 0x80 .. 0xff, above sides and end: a longer number sorts after all that hangs on the shorter one."""
_DIGIT_BITS: Final = 7
_GRAIN: Final = 3
"""Digits that are added when a gap has no room."""

_ZERO: Final = 0x80
_SMALL: Final = 32
_LENGTHS_MAX: Final = 8
_INTEGER_MAX: Final = (1 << 62) - 1


class Bias(enum.Enum):
    """Where in a gap of an own run a number is put."""

    LEFT = "left"
    MIDDLE = "middle"
    RIGHT = "right"


def between(left: bytes | None, right: bytes | None, *, tag: bytes, bias: Bias = Bias.MIDDLE) -> bytes:
    """A position after `left` and before `right`.

    Where both are equal, which takes a position that was used again after its element was deleted, it is after both.

    Args:
        left: position of the element before; None at the start.
        right: position of the element after; None at the end.
        tag: the first `TAG_BYTES` of the writer's replica id.
        bias: where to put it between two numbers of one run.

    Raises:
        InvalidOperation: it would be longer than `POSITION_BYTES_MAX`.
    """
    position = _in_own_run(left, right, tag, bias) or _in_new_run(left, right, tag)
    if len(position) > POSITION_BYTES_MAX:
        raise InvalidOperation(
            f"position of {len(position)} bytes exceeds {POSITION_BYTES_MAX}; set the list anew for shorter ones"
        )
    return position


def require_position(position: bytes) -> None:
    """Refuse bytes that `between` never makes.

    Raises:
        CodecError: they are too long, end early, or hold a number that is not in its shortest form.
    """
    if len(position) > POSITION_BYTES_MAX:
        raise CodecError(f"position of {len(position)} bytes exceeds {POSITION_BYTES_MAX}")
    at = 0
    try:
        while True:
            start = at + TAG_BYTES
            number, digits, at = _number(position, start)
            is_shortest = _packed(number, digits) == position[start:at] and not (digits and not number & 0x7F)
            if not is_shortest or position[at] > _RIGHT[0]:
                break
            at += 1
            if position[at - 1] == _END[0]:
                if at == len(position):
                    return
                break
    except IndexError:
        pass
    raise CodecError(f"expected the position of a list element, got {shorten(position)}")


def _in_own_run(left: bytes | None, right: bytes | None, tag: bytes, bias: Bias) -> bytes | None:
    for neighbour in (left, right):
        if neighbour is None:
            continue
        run = neighbour[: _last_number(neighbour)]
        if not run.endswith(tag):
            continue
        place = _choose(_number_in(left, run), _number_in(right, run), bias)
        if place is not None:
            return run + _packed(*place) + _END
    return None


def _in_new_run(left: bytes | None, right: bytes | None, tag: bytes) -> bytes:
    first = tag + bytes([_ZERO]) + _END
    if left is not None:
        branch = left[:-1] + _RIGHT
        if right is None or not right.startswith(branch):
            return branch + first
    return first if right is None else right[:-1] + _LEFT + first


def _choose(low: tuple[int, int] | None, high: tuple[int, int] | None, bias: Bias) -> tuple[int, int] | None:
    """A number and its digits between two; None where there is none, or no integer left."""
    if high is None:
        assert low is not None
        place, digits = (low[0] >> _DIGIT_BITS * low[1]) + 1, 0
    elif low is None:
        place, digits = -(-high[0] >> _DIGIT_BITS * high[1]) - 1, 0
    else:
        digits = -(-max(low[1], high[1]) // _GRAIN) * _GRAIN
        lower = low[0] << _DIGIT_BITS * (digits - low[1])
        upper = high[0] << _DIGIT_BITS * (digits - high[1])
        if lower >= upper:
            return None
        while upper - lower < 2:
            digits += _GRAIN
            lower <<= _DIGIT_BITS * _GRAIN
            upper <<= _DIGIT_BITS * _GRAIN
        place = {Bias.LEFT: lower + 1, Bias.MIDDLE: (lower + upper) >> 1, Bias.RIGHT: upper - 1}[bias]
    while digits and not place & 0x7F:
        place, digits = place >> _DIGIT_BITS, digits - 1
    return (place, digits) if -_INTEGER_MAX <= place >> _DIGIT_BITS * digits <= _INTEGER_MAX else None


def _last_number(position: bytes) -> int:
    """Where the last number of a position starts: what stands before it is its run."""
    start = at = TAG_BYTES
    while True:
        _, _, at = _number(position, start)
        if position[at] == _END[0]:
            return start
        start = at + 1 + TAG_BYTES


def _number_in(position: bytes | None, run: bytes) -> tuple[int, int] | None:
    """The number of a run that a position is at, or hangs on; None if it lies outside of the run."""
    if position is None or not position.startswith(run):
        return None
    return _number(position, len(run))[:2]


def _number(position: bytes, at: int) -> tuple[int, int, int]:
    """The number at an offset, as an integer scaled by its digits, their count, and the offset behind it."""
    header = position[at]
    at += 1
    length = abs(header - _ZERO + (header < _ZERO)) - _SMALL + 1
    number = header - _ZERO
    if length > 0:
        if length > _LENGTHS_MAX or at + length > len(position):
            raise IndexError
        number = int.from_bytes(position[at : at + length], "big") - (header < _ZERO) * (1 << 8 * length)
        at += length
    digits = 0
    while position[at] >= _DIGIT:
        number = number << _DIGIT_BITS | position[at] & 0x7F
        at, digits = at + 1, digits + 1
    return number, digits, at


def _packed(number: int, digits: int) -> bytes:
    """The bytes of a number; shortest form for one without trailing zero digits."""
    integer = number >> _DIGIT_BITS * digits
    if -_SMALL <= integer < _SMALL:
        head = bytes([_ZERO + integer])
    else:
        length = (abs(integer).bit_length() + 7) // 8
        head = bytes([_ZERO + _SMALL - 1 + length if integer > 0 else _ZERO - _SMALL - length])
        head += (integer % (1 << 8 * length)).to_bytes(length, "big")
    return head + bytes(_DIGIT | number >> _DIGIT_BITS * place & 0x7F for place in range(digits - 1, -1, -1))
