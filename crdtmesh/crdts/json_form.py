"""The JSON form of what states read as: JSON by the standard's letter, which every parser takes.

A form for people and other programs to read, not to write back: bytes are hexadecimal digits, and an infinity is the
text "Infinity" or "-Infinity", as in the JSON mapping of protobuf, since JSON has neither. Integers keep all their
digits: a sum over replicas may have more than 64 bits, or the 53 that some parsers keep. NaN is in no state.
"""

import json
import math
from collections.abc import Mapping
from typing import TypeAlias, Union

from crdtmesh.crdts.errors import InvalidValue, shorten
from crdtmesh.crdts.values import PlainValue

JsonValue: TypeAlias = Union[bool, int, float, str, list["JsonValue"], dict[str, "JsonValue"], None]  # noqa: UP007 - "|" takes no text
"""What `json` writes by the letter."""


def json_form(value: PlainValue) -> JsonValue:
    """A plain value, as JSON can tell it.

    Raises:
        InvalidValue: it is NaN, or no plain value.
    """
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    if isinstance(value, list | tuple):
        return [json_form(each) for each in value]
    if isinstance(value, Mapping):
        return {key: json_form(each) for key, each in value.items()}
    raise InvalidValue(f"expected a plain value, got {type(value).__name__}: {shorten(value)}")


def _number(value: float) -> float | str:
    if math.isnan(value):
        raise InvalidValue("NaN equals nothing, itself included, so no state holds it; use None")
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def json_text(value: PlainValue) -> str:
    """The JSON form of a value, as one line.

    Raises:
        InvalidValue: as `json_form`.
    """
    return json.dumps(json_form(value), ensure_ascii=False, allow_nan=False)
