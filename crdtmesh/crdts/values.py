"""Plain values and their canonical bytes, which are their identity inside every store.

Python holds `True == 1 == 1.0`, and a set keeps one of the three; on the wire they differ. So elements, keys and
values are identified by canonical bytes: the shortest msgpack item, floats always with 64 bits, `-0.0` as `0.0`, NaN
refused. Lists and dicts are ext items whose payload is the canonical items one after the other; a dict's keys are
strings in the order of their canonical bytes. Two values are equal if and only if their bytes are, and every value is
one flat scalar (`scalars`).

What comes back from `decode` is fresh and plain: lists come back as tuples, dicts as dicts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias, cast

import msgpack

from crdtmesh.crdts.errors import CodecError, InvalidValue, shorten
from crdtmesh.crdts.scalars import Scalar, pack_scalar, unpack_scalars

PlainValue: TypeAlias = bool | int | float | str | bytes | Sequence["PlainValue"] | Mapping[str, "PlainValue"] | None
"""What a user may store. Sequences are lists and tuples; sets, dates and own classes have no canonical form here."""

VALUE_SIZE_BYTES_MAX: Final = 240 * 1024
"""Largest canonical encoding of one value. An entry is split for sending into parts of one dot each, and a part must
fit a 256 KiB frame together with its context and key; 16 KiB are left for those."""

VALUE_DEPTH_MAX: Final = 28
"""Deepest nesting of lists and dicts: far beyond what documents need, far below Python's recursion limit of 1,000; and
as protobuf a dict takes three messages a level, of which a parser takes 100, with up to six around the value."""

INTEGER_MIN: Final = -(1 << 63)
INTEGER_MAX: Final = (1 << 63) - 1
"""Integers are those of 64 bits with sign, which every wire form and every client language has."""

_LIST: Final = 1
_DICT: Final = 2
"""Ext codes of the two containers."""


def encode(value: PlainValue) -> bytes:
    """The canonical bytes of a plain value.

    Raises:
        InvalidValue: the value, or one within it, is of a type that is not plain, NaN, an integer beyond 64 bits,
            text that is not valid Unicode, nested deeper than 28, or larger than 240 KiB.
    """
    is_easy = type(value) is str and value.isascii()  # by far the most frequent, and it can't fail
    data = pack_scalar(value) if is_easy else _encode(value, 0)
    if len(data) > VALUE_SIZE_BYTES_MAX:
        raise InvalidValue(f"value of {len(data)} bytes exceeds {VALUE_SIZE_BYTES_MAX}; split it over several keys")
    return data


def decode(data: bytes) -> PlainValue:
    """The plain value of canonical bytes, fresh at each call.

    Raises:
        CodecError: the bytes are not one value.
    """
    items = unpack_scalars(data)
    if len(items) != 1:
        raise CodecError(f"expected one value, got {len(items)}")
    return plain(items[0])


def decode_all(encoded: Iterable[bytes]) -> tuple[PlainValue, ...]:
    """The plain values of many canonical encodings, in one pass over their concatenation."""
    return tuple(map(plain, unpack_scalars(b"".join(encoded))))


def canonical(item: Scalar) -> bytes:
    """The canonical bytes of an item that came out of the flat decoder.

    Raises:
        CodecError: the item is no value, or a container that is malformed, too deep or too large.
    """
    if type(item) is str or type(item) is int:
        data = pack_scalar(item)
    else:
        plain_value = plain(item)
        try:
            data = _encode(plain_value, 0)
        except InvalidValue as error:
            raise CodecError(f"expected a plain value: {error}") from error
    if len(data) > VALUE_SIZE_BYTES_MAX or (type(item) is int and item > INTEGER_MAX):
        raise CodecError(f"value beyond its bounds: {shorten(item)}")
    return data


def canonical_all(items: Sequence[Scalar]) -> list[bytes]:
    """The canonical bytes of many items, in time of C for texts.

    Raises:
        CodecError: as `canonical`.
    """
    if len(items) > 1 and set(map(type, items)) == {str}:
        encoded = list(map(pack_scalar, items))
        if max(map(len, encoded)) <= VALUE_SIZE_BYTES_MAX:
            return encoded
    return [canonical(item) for item in items]


def plain(item: Scalar, depth: int = 0) -> PlainValue:
    """The plain value of an item that came out of the flat decoder.

    Args:
        item: a scalar, or an ext item that holds a container.
        depth: containers around this item.

    Raises:
        CodecError: the item is no plain value, or nested deeper than 28.
    """
    if type(item) in _PLAIN_SCALARS:
        if (isinstance(item, int) and item > INTEGER_MAX) or (isinstance(item, float) and math.isnan(item)):
            raise CodecError(f"expected an integer of 64 bits with sign or a number, got {shorten(item)}")
        return cast("PlainValue", item)
    if not isinstance(item, msgpack.ExtType):
        raise CodecError(f"expected a plain value, got {type(item).__name__}")
    if depth >= VALUE_DEPTH_MAX:
        raise CodecError(f"value is nested deeper than {VALUE_DEPTH_MAX}")
    items = [plain(inner, depth + 1) for inner in unpack_scalars(item.data)]
    if item.code == _LIST:
        return tuple(items)
    if item.code == _DICT and len(items) % 2 == 0:
        keys = items[::2]
        if all(type(key) is str for key in keys) and len(set(keys)) == len(keys):
            return dict(zip(cast("list[str]", keys), items[1::2], strict=True))
    raise CodecError(f"expected a list or a dict with distinct text keys, got ext code {item.code}")


_PLAIN_SCALARS: Final = frozenset({str, int, bool, float, bytes, type(None)})


def _encode(value: PlainValue, depth: int) -> bytes:
    kind = type(value)
    if kind is str or isinstance(value, str):
        try:
            return pack_scalar(value)
        except UnicodeEncodeError as error:
            raise InvalidValue(f"text must be valid Unicode, got {shorten(value)}") from error
    if value is None or kind is bool:
        return pack_scalar(value)
    if isinstance(value, int):
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise InvalidValue(
                f"integers must fit 64 bits with sign, got {shorten(value)}; store text or bytes instead"
            )
        return pack_scalar(int(value))
    if isinstance(value, float):
        if math.isnan(value):
            raise InvalidValue("NaN equals nothing, itself included, so it can't be stored; use None")
        return pack_scalar(value + 0.0)  # turns -0.0 into 0.0
    if isinstance(value, bytes | bytearray | memoryview):
        return pack_scalar(bytes(value))
    return _encode_container(value, depth)


def _encode_container(value: PlainValue, depth: int) -> bytes:
    if depth >= VALUE_DEPTH_MAX:
        raise InvalidValue(f"value is nested deeper than {VALUE_DEPTH_MAX}")
    if isinstance(value, list | tuple):
        code = _LIST
        payload = b"".join(_encode(item, depth + 1) for item in value)
    elif isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidValue(f"keys of a dict must be text, got {shorten(key)}")
        code = _DICT
        pairs = sorted((_encode(key, depth + 1), _encode(item, depth + 1)) for key, item in value.items())
        payload = b"".join(part for pair in pairs for part in pair)
    else:
        raise InvalidValue(
            f"expected None, bool, int, float, str, bytes, list or dict, got {type(value).__name__}; convert it first"
        )
    if len(payload) > VALUE_SIZE_BYTES_MAX:
        raise InvalidValue(f"value of {len(payload)} bytes exceeds {VALUE_SIZE_BYTES_MAX}; split it over several keys")
    return pack_scalar(msgpack.ExtType(code, payload))
