"""Plain values: what is told apart, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import values
from crdtmesh.crdts.errors import CodecError, InvalidValue


def test_values_that_python_holds_equal_are_four_values() -> None:
    assert 4 == len({values.encode(value) for value in (True, 1, 1.0, "1")})


def test_negative_zero_is_zero() -> None:
    assert values.encode(0.0) == values.encode(-0.0)
    assert values.encode(0.0) != values.encode(0)


def test_order_of_a_dict_does_not_matter_and_that_of_a_list_does() -> None:
    assert values.encode({"a": 1, "bb": 2}) == values.encode({"bb": 2, "a": 1})
    assert values.encode([1, 2]) != values.encode([2, 1])


def test_lists_come_back_frozen_and_dicts_fresh() -> None:
    encoded = values.encode({"a": [1, [2]]})
    first, second = values.decode(encoded), values.decode(encoded)
    assert {"a": (1, (2,))} == first == second
    assert first is not second


def test_list_and_tuple_are_one_value() -> None:
    assert values.encode([1, (2,)]) == values.encode((1, [2]))


def test_what_looks_like_the_parts_of_a_container_is_not_the_container() -> None:
    assert values.encode([]) != values.encode({})
    assert values.encode(["a", 1]) != values.encode({"a": 1})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "NaN"),
        (1 << 63, "64 bits"),
        (-(1 << 63) - 1, "64 bits"),
        ({1, 2}, "got set"),
        (object(), "got object"),
        ({1: 2}, "keys of a dict"),
        ([{"a": float("nan")}], "NaN"),
        ("\ud800", "valid Unicode"),
        ("x" * 250_000, "exceeds"),
        (["x" * 100_000] * 3, "exceeds"),
    ],
)
def test_value_without_a_canonical_form_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        values.encode(value)


def test_nesting_is_bounded() -> None:
    value: Any = "x"
    for _ in range(values.VALUE_DEPTH_MAX):
        value = [value]
    assert value is not None
    assert values.encode(values.decode(values.encode(value))) == values.encode(value)
    with pytest.raises(InvalidValue, match="nested deeper"):
        values.encode([value])


def test_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidValue, match="nested deeper"):
        values.encode(endless)


@pytest.mark.parametrize("data", [b"", b"\x01\x02", b"\xc1", b"\xa5milk", b"\xa1\xff"])
def test_bytes_that_are_not_one_value_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        values.decode(data)
