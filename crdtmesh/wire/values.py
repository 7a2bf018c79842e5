"""Plain values and operations, as protobuf messages and back.

Decides how `crdtmesh.crdts.values.PlainValue` maps to `Data`: one field for each type, so `True`, `1`, `1.0` and `"1"`
stay four things on the wire as they are in every store. Sequences come back as tuples. Leaves out the canonical bytes
(`crdts.values`), whose rules hold here too: what they refuse is refused on the way in and on the way out.

Driven by the SDK's host and client on one side, by the node's edge on the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from google.protobuf.message import DecodeError

from crdtmesh.crdts.errors import CodecError, InvalidOperation, InvalidValue, shorten
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import INTEGER_MAX, INTEGER_MIN, VALUE_DEPTH_MAX, PlainValue
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2 as pb

__all__ = [
    "data_from_plain",
    "mutations_from_bytes",
    "mutations_from_operations",
    "mutations_to_bytes",
    "operations_from_mutations",
    "plain_from_data",
    "plain_from_value",
    "value_from_plain",
]

_MEMO_ENTRIES_MAX: Final = 2_048
_MEMO_SIZE_BYTES_MAX: Final = 96
"""Remembered conversions of small mutations. Most turns do one of few things (`increment(1)`); 2,048 of at most 96
bytes, with their objects, stay under 1 MiB in each direction. A full memo starts again: what is frequent is soon back.
"""

_BIG_INTEGER: Final = re.compile(r"-?[1-9][0-9]{18,40}")
_BIG_INTEGER_BITS_MAX: Final = 133
"""A sum over at most 2**20 replicas of amounts below 2**63 has 26 digits, or 83 bits; 41 digits hold 133 bits."""

_SCALARS: Final = frozenset({str, int, bool, float, bytes, type(None)})


def data_from_plain(value: PlainValue, *, depth: int = 0, is_read: bool = False) -> pb.Data:
    """The message of a plain value.

    Args:
        value: what to convert.
        depth: containers around it.
        is_read: it is what a state reads as, or a part of that. There an integer may exceed 64 bits: what the replicas
            of a counter added, each at most 2**63.

    Raises:
        InvalidValue: as `crdts.values.encode` does: no plain type, NaN, beyond 64 bits, no valid Unicode, too deep.
    """
    data = pb.Data()
    _fill(data, value, depth, is_read)
    return data


def plain_from_data(data: pb.Data, *, depth: int = 0, is_read: bool = False) -> PlainValue:  # noqa: PLR0911 - each kind
    """The plain value of a message, fresh at each call.

    Args:
        data: from outside.
        depth: containers around it.
        is_read: as in `data_from_plain`.

    Raises:
        InvalidValue: NaN, an integer that is too large, or nested too deep.
    """
    kind = data.WhichOneof("kind")
    if kind == "text":
        return data.text
    if kind == "integer":
        return data.integer
    if kind is None:
        return None
    if kind == "boolean":
        return data.boolean
    if kind == "number":
        return _number(data.number)
    if kind == "binary":
        return data.binary
    if kind == "big_integer":
        return _big_integer(data.big_integer, is_read)
    if depth >= VALUE_DEPTH_MAX:
        raise InvalidValue(f"value is nested deeper than {VALUE_DEPTH_MAX}")
    if kind == "list":
        return tuple([plain_from_data(item, depth=depth + 1, is_read=is_read) for item in data.list.items])
    return {key: plain_from_data(item, depth=depth + 1, is_read=is_read) for key, item in data.map.entries.items()}


def value_from_plain(type_name: str, value: PlainValue) -> pb.Value:
    """The readable state of a data type.

    The outermost list or dict is the type's own and does not count in the depth limit: the elements of a set may be as
    deep as any value. An integer may exceed 64 bits here, at any depth.

    Args:
        type_name: "ORSet", "PNCounter", ...
        value: what the state reads as.

    Raises:
        InvalidValue: as `data_from_plain` does.
    """
    return pb.Value(type=type_name, data=data_from_plain(value, depth=-1, is_read=True))


def plain_from_value(value: pb.Value) -> tuple[str, PlainValue]:
    """Type name and plain value of a readable state.

    Raises:
        InvalidValue: as `plain_from_data` does.
    """
    return value.type, plain_from_data(value.data, depth=-1, is_read=True)


def mutations_from_operations(operations: Iterable[Operation]) -> pb.Mutations:
    """The message of what a turn or an update did, in order.

    Raises:
        InvalidValue: an argument has no wire form.
    """
    mutations = pb.Mutations()
    for operation in operations:
        message = mutations.operations.add()
        message.name = operation.name
        for argument in operation.arguments:
            _fill(message.arguments.add(), argument, 0, False)
    return mutations


def operations_from_mutations(mutations: pb.Mutations) -> tuple[Operation, ...]:
    """The operations of a message, in order; whether a type has them is the type's to say.

    Raises:
        InvalidValue: an argument is no plain value.
        InvalidOperation: an operation without a name.
    """
    operations = []
    for item in mutations.operations:
        if not item.name:
            raise InvalidOperation("expected an operation with a name, got none")
        operations.append(Operation(item.name, tuple(map(plain_from_data, item.arguments))))
    return tuple(operations)


_encoded: dict[tuple[str, type, PlainValue], bytes] = {}
_decoded: dict[bytes, tuple[Operation, ...]] = {}


def mutations_to_bytes(operations: Sequence[Operation]) -> bytes:
    """A serialized `Mutations`; no bytes for no operation.

    Small ones are remembered: 0.2 µs instead of 2.

    Raises:
        InvalidValue: an argument has no wire form.
    """
    if not operations:
        return b""
    key = None
    if len(operations) == 1 and len(operations[0].arguments) == 1:
        operation = operations[0]
        argument = operation.arguments[0]
        kind = type(argument)
        # The type stands in the key, because to a dict True, 1 and 1.0 are one.
        if kind is str or kind is int or kind is bool or kind is bytes:
            key = (operation.name, kind, argument)
            found = _encoded.get(key)
            if found is not None:
                return found
    data = mutations_from_operations(operations).SerializeToString()
    if key is not None and len(data) <= _MEMO_SIZE_BYTES_MAX:
        if len(_encoded) >= _MEMO_ENTRIES_MAX:
            _encoded.clear()
        _encoded[key] = data
    return data


def mutations_from_bytes(data: bytes) -> tuple[Operation, ...]:
    """The operations of a serialized `Mutations`, in order; none for no bytes.

    Small ones are remembered, and then shared: operations are immutable as long as their arguments are scalars.

    Raises:
        CodecError: the bytes are no `Mutations`.
        InvalidOperation: as `operations_from_mutations` does.
    """
    if not data:
        return ()
    found = _decoded.get(data)
    if found is not None:
        return found
    try:
        mutations = pb.Mutations.FromString(data)
    except DecodeError:
        raise CodecError(f"expected serialized Mutations, got {len(data)} bytes that are none") from None
    operations = operations_from_mutations(mutations)
    if len(data) <= _MEMO_SIZE_BYTES_MAX and all(
        type(argument) in _SCALARS for operation in operations for argument in operation.arguments
    ):
        if len(_decoded) >= _MEMO_ENTRIES_MAX:
            _decoded.clear()
        _decoded[data] = operations
    return operations


def _number(value: float) -> float:
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        raise InvalidValue("NaN equals nothing, itself included, so it can't be stored; use None")
    return value + 0.0  # turns -0.0 into 0.0


def _fill(data: pb.Data, value: PlainValue, depth: int, is_read: bool) -> None:
    """Sets the field for a value's type; in place, which costs a fraction of handing parts to constructors."""
    if isinstance(value, str):
        try:
            data.text = value
        except (UnicodeEncodeError, ValueError):
            raise InvalidValue(f"text must be valid Unicode, got {shorten(value)}") from None
    elif value is None:
        pass
    elif isinstance(value, bool):
        data.boolean = value
    elif isinstance(value, int):
        if INTEGER_MIN <= value <= INTEGER_MAX:
            data.integer = value
        elif is_read and value.bit_length() <= _BIG_INTEGER_BITS_MAX:
            data.big_integer = str(value)
        else:
            raise InvalidValue(
                f"integers must fit 64 bits with sign, got {shorten(value)}; store text or bytes instead"
            )
    elif isinstance(value, float):
        data.number = _number(value)
    elif isinstance(value, bytes | bytearray | memoryview):
        data.binary = bytes(value)
    else:
        _fill_container(data, value, depth, is_read)


def _fill_container(
    data: pb.Data, value: Sequence[PlainValue] | Mapping[str, PlainValue], depth: int, is_read: bool
) -> None:
    if depth >= VALUE_DEPTH_MAX:
        raise InvalidValue(f"value is nested deeper than {VALUE_DEPTH_MAX}")
    if isinstance(value, list | tuple):
        data.list.SetInParent()  # an empty list is a list too
        add = data.list.items.add
        for item in value:
            _fill(add(), item, depth + 1, is_read)
    elif isinstance(value, Mapping):
        data.map.SetInParent()
        entries = data.map.entries
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidValue(f"keys of a dict must be text, got {shorten(key)}")
            try:
                entry = entries[key]
            except (UnicodeEncodeError, ValueError):
                raise InvalidValue(f"text must be valid Unicode, got {shorten(key)}") from None
            _fill(entry, item, depth + 1, is_read)
    else:
        raise InvalidValue(
            f"expected None, bool, int, float, str, bytes, list, tuple or dict, got {type(value).__name__}; convert it"
        )


def _big_integer(text: str, is_read: bool) -> int:
    if not is_read:
        raise InvalidValue("a big_integer is what a counter reads as; operations take integers of 64 bits")
    if not _BIG_INTEGER.fullmatch(text):
        raise InvalidValue(f"expected the digits of an integer beyond 64 bits, got {shorten(text)}")
    return int(text)
