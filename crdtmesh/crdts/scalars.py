"""Flat msgpack: a message is a sequence of scalars, one after the other, with no array or map around or within it.

A declared array length would make the decoder allocate before it has seen the items, and nesting would multiply that.
Here arrays and maps are refused by the C decoder itself, so what a hostile message can allocate is bounded by its own
length: at worst one list slot and one small object for each byte. Containers of a value travel inside an ext item
(`values`), whose payload is flat again.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, cast

import msgpack

from crdtmesh.crdts.errors import CodecError

Scalar: TypeAlias = bool | int | float | str | bytes | msgpack.ExtType | None
"""What the flat decoder yields; a Timestamp is refused by whoever expects something else."""

pack_scalar: Final = cast("Callable[[object], bytes]", msgpack.Packer(use_bin_type=True).pack)
"""Shortest msgpack form of one scalar. One packer is kept: making one takes twice as long as packing a small
item."""


def unpack_scalars(data: bytes) -> list[Scalar]:
    """All scalars of a flat message, in order.

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
