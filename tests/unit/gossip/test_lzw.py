from random import Random

import pytest

from gossip.errors import DecodeError, RejectReason
from gossip.lzw import compress, decompress


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 3_838, 4_000, 20_000])
@pytest.mark.parametrize("letters", [1, 2, 256])
def test_what_was_compressed_comes_back(size: int, letters: int) -> None:
    rng = Random(size * letters)
    data = bytes(rng.randrange(letters) for _ in range(size))

    assert data == decompress(compress(data), size_bytes_max=size)


def test_output_above_the_limit_is_refused() -> None:
    bomb = compress(bytes(100_000))

    with pytest.raises(DecodeError) as caught:
        decompress(bomb, size_bytes_max=65_536)

    assert RejectReason.TOO_LARGE is caught.value.reason


def test_a_missing_end_code_is_refused() -> None:
    with pytest.raises(DecodeError, match="without an end code"):
        decompress(compress(b"hello hello hello")[:-2], size_bytes_max=100)


def test_a_code_that_is_not_in_the_table_yet_is_refused() -> None:
    # The first code after a clear code must be a literal: 9 bits of 300, then the end code.
    packed = (256 | 300 << 9 | 257 << 18).to_bytes(4, "little")

    with pytest.raises(DecodeError, match="code 300"):
        decompress(packed, size_bytes_max=100)


def test_a_leading_clear_code_is_optional() -> None:
    packed = (ord("a") | 257 << 9).to_bytes(3, "little")

    assert b"a" == decompress(packed, size_bytes_max=10)


def test_a_full_table_without_a_clear_code_keeps_decoding() -> None:
    # 5,000 literals: the table is full after 3,839 of them, and an encoder need not clear it.
    bits, count, width, high = 0, 0, 9, 257
    for _ in range(5_000):
        bits |= ord("x") << count
        count += width
        high = min(high + 1, 4_095)
        if high == 1 << width and width < 12:
            width += 1
    bits |= 257 << count
    packed = bits.to_bytes((count + width + 7) // 8, "little")

    assert b"x" * 5_000 == decompress(packed, size_bytes_max=5_000)
