"""Flat msgpack: a message is one array of scalars, with no array or map within it.

A declared array length makes a decoder allocate before it has seen the items, and nesting multiplies that. Arrays and
maps within a message are refused by the C decoder itself, so what a hostile message can allocate is bounded by its own
length: at worst one list slot and one small object for each byte. Containers of a value travel inside an ext item
(`values`), whose payload is a flat run of scalars again, without the array's header.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, cast

import msgpack

from crdtmesh.crdts.errors import CodecError

Scalar: TypeAlias = bool | int | float | str | bytes | msgpack.ExtType | None
"""What the flat decoder yields; a Timestamp is refused by whoever expects something else."""

pack_scalar: Final = cast("Callable[[object], bytes]", msgpack.Packer(use_bin_type=True).pack)
"""Shortest msgpack form of one scalar. One packer is kept: making one takes twice as long as packing a small
item."""


SHORT_BYTES_MAX: Final = 256
"""Up to here a message is decoded in one call, which takes a sixth of the time that an `Unpacker` does. That call has
no way to refuse arrays within the message before it makes room for them: 85 of them, one in the other, of 256 slots
each are 174 kB for an instant. Whoever reads the items refuses a list among them."""


HEADER_SIZES: Final = {0xDC: 3, 0xDD: 5}
"""By its first byte, the length of an array's header; 1 for every other."""


def pack_flat(scalars: Sequence[Scalar]) -> bytes:
    """Many scalars, one after the other, in one call of the C encoder."""
    packed: bytes = pack_scalar(scalars)
    return packed[HEADER_SIZES.get(packed[0], 1) :]


def pack_header(count: int) -> bytes:
    """What stands in front of a message of so many scalars: the head of an array, in its shortest form."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def unpack_message(data: bytes) -> list[Scalar]:
    """The scalars of a message.

    Raises:
        CodecError: the bytes are not one array of scalars, and nothing more, with its shortest header.
    Complexity: linear, in one pass of the C decoder.
    """
    if len(data) <= SHORT_BYTES_MAX:
        try:
            items = msgpack.unpackb(data, raw=False, max_array_len=SHORT_BYTES_MAX, max_map_len=0)
        except (ValueError, OverflowError, msgpack.UnpackException) as error:
            raise CodecError(f"expected flat msgpack, got a malformed message: {error}") from error
        if type(items) is list and data[0] == (0x90 | len(items) if len(items) < 16 else 0xDC):
            return items
        raise CodecError(f"expected an array of scalars with its shortest header, got {data[:3].hex()}")
    items = unpack_scalars(data[HEADER_SIZES.get(data[0], 1) :])
    if not data.startswith(pack_header(len(items))):
        raise CodecError(f"expected an array of {len(items)} scalars, got one that begins with {data[:5].hex()}")
    return items


def unpack_scalars(data: bytes) -> list[Scalar]:
    """All scalars of a flat run, in order.

    Raises:
        CodecError: the bytes are not flat msgpack, or end within an item.
    Complexity: linear, in one pass of the C decoder.
    """
    if not data:
        return []
    size = len(data)
    unpacker = msgpack.Unpacker(
        raw=False,
        max_buffer_size=size,
        max_str_len=size,
        max_bin_len=size,
        max_ext_len=size,
        max_array_len=0,
        max_map_len=0,
    )
    unpacker.feed(data)
    try:
        items: list[Scalar] = list(unpacker)
    except (ValueError, OverflowError, msgpack.UnpackException) as error:
        raise CodecError(f"expected flat msgpack, got a malformed item: {error}") from error
    if unpacker.tell() != size:
        raise CodecError(f"message of {size} bytes ends within an item that starts at byte {unpacker.tell()}")
    return items
