"""LZW as in GIF: least significant bit first, 8-bit literals, codes of 9 to 12 bits.

The wire protocol compresses with it and Python has no module for it. Output is bounded before it is built, since a few
kilobytes of codes can stand for megabytes.

Source: the compress message of the memberlist protocol; the encoder's bookkeeping gives the same bytes as Go's writer.
"""

from gossip.errors import DecodeError, RejectReason

_CLEAR = 256
_END = 257
_WIDTH_FIRST = 9
_WIDTH_MAX = 12
_TABLE_SIZE = 1 << _WIDTH_MAX


class _CodeWriter:
    """Packs codes, and keeps the width in step with what a decoder will assume."""

    __slots__ = ("_bit_count", "_bits", "high", "out", "width")

    def __init__(self) -> None:
        self.out = bytearray()
        self.width = _WIDTH_FIRST
        self.high = _END
        self._bits = 0
        self._bit_count = 0

    def put(self, code: int) -> None:
        self._bits |= code << self._bit_count
        self._bit_count += self.width
        while self._bit_count >= 8:
            self.out.append(self._bits & 0xFF)
            self._bits >>= 8
            self._bit_count -= 8

    def put_data(self, code: int) -> bool:
        """Writes a code for data; true if the table must start over because it is full."""
        self.put(code)
        self.high += 1
        if self.high == 1 << self.width:
            self.width += 1
        if self.high != _TABLE_SIZE - 1:
            return False
        self.put(_CLEAR)
        self.width, self.high = _WIDTH_FIRST, _END
        return True

    def finish(self) -> bytes:
        self.put(_END)
        if self._bit_count:
            self.out.append(self._bits)
        return bytes(self.out)


def compress(data: bytes) -> bytes:
    """Encodes `data`.

    Complexity: O(len(data)).
    """
    writer = _CodeWriter()
    writer.put(_CLEAR)
    table: dict[int, int] = {}
    pending = -1
    for byte in data:
        if pending < 0:
            pending = byte
            continue
        key = pending << 8 | byte
        code = table.get(key, -1)
        if code >= 0:
            pending = code
            continue
        if writer.put_data(pending):
            table.clear()
        else:
            table[key] = writer.high
        pending = byte
    if pending >= 0:
        writer.put_data(pending)
    return writer.finish()


def decompress(data: bytes, *, size_bytes_max: int) -> bytes:
    """Decodes `data` up to its end code.

    A leading clear code may be there or not: old encoders left it out. What follows the end code is ignored.

    Args:
        data: codes as `compress` writes them.
        size_bytes_max: the largest output to build.

    Raises:
        DecodeError: `malformed` for an impossible code or a missing end, `too_large` for more output than allowed.
    Complexity: O(output).
    """
    literals = [bytes((i,)) for i in range(256)] + [b"", b""]
    table = literals.copy()
    out: list[bytes] = []
    size, width, previous = 0, _WIDTH_FIRST, b""
    bits, bit_count, position = 0, 0, 0
    while True:
        while bit_count < width:
            if position == len(data):
                raise DecodeError(RejectReason.MALFORMED, "compressed data without an end code")
            bits |= data[position] << bit_count
            position += 1
            bit_count += 8
        code = bits & ((1 << width) - 1)
        bits >>= width
        bit_count -= width
        if code == _END:
            return b"".join(out)
        if code == _CLEAR:
            table = literals.copy()
            width, previous = _WIDTH_FIRST, b""
            continue
        entry = _entry(table, code, previous)
        size += len(entry)
        if size > size_bytes_max:
            raise DecodeError(RejectReason.TOO_LARGE, f"decompressed to more than {size_bytes_max} bytes")
        out.append(entry)
        # A full table without a clear code stays as it is; the codes go on at 12 bits.
        if previous and len(table) < _TABLE_SIZE:
            table.append(previous + entry[:1])
        if len(table) == 1 << width and width < _WIDTH_MAX:
            width += 1
        previous = entry


def _entry(table: list[bytes], code: int, previous: bytes) -> bytes:
    """The bytes of `code`, which may be the very entry that is about to be added."""
    if code < len(table):
        return table[code]
    if code == len(table) and previous:
        return previous + previous[:1]
    raise DecodeError(RejectReason.MALFORMED, f"code {code} in a table of {len(table)}")
