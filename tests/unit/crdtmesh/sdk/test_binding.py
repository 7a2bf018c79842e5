"""Payloads become arguments by one rule, and what doesn't fit is refused in words."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from crdtmesh.sdk import Context
from crdtmesh.sdk.binding import MISSING, BindingError, Signature
from crdtmesh.sdk.checks import Mismatch, check_for
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2


def signature(function: Any) -> Signature:
    return Signature.of(function, function.__name__)


def add(self: Any, ctx: Context, item: str) -> None: ...
def move(self: Any, ctx: Context, item: str, to: str = "here", *, count: int = 1) -> None: ...
def show(self: Any, ctx: Context) -> None: ...
def store(self: Any, ctx: Context, document: dict[str, Any]) -> None: ...
def echo(self: Any, ctx: Context, value: Any) -> None: ...
def untyped(self, ctx, value) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "payload", "expected"),
    [
        (add, "milk", ("milk",)),
        (add, {"item": "milk"}, ("milk",)),
        (move, {"item": "milk", "count": 3}, ("milk", "here", 3)),
        (show, MISSING, ()),
        (show, {}, ()),
        (store, {"document": 1}, ({"document": 1},)),
        (echo, {"value": 1}, ({"value": 1},)),
        (echo, [1, None], ([1, None],)),
        (untyped, 5, (5,)),
        (echo, None, (None,)),
    ],
)
def test_payload_becomes_arguments(function: Any, payload: Any, expected: Any) -> None:
    assert expected == signature(function).bind(payload)


@pytest.mark.parametrize(
    ("function", "payload", "message"),
    [
        (add, MISSING, "add: missing argument 'item'"),
        (add, {}, "add: missing argument 'item'"),
        (add, 5, "add: argument 'item': expected a string, got 5 (int)"),
        (add, {"itme": "milk"}, "add: unknown argument 'itme'; did you mean 'item'?"),
        (move, "milk", "move: expected a JSON object with the arguments (item, to, count), got str"),
        (show, 3, "show: expected a JSON object with the arguments (none), got int"),
        (show, {"x": 1}, "show: unknown argument 'x'; known: none"),
        (move, {"item": "milk", "count": True}, "move: argument 'count': expected an integer, got True (bool)"),
        (store, [1], "store: argument 'document': expected an object, got [1] (list)"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(function: Any, payload: Any, message: str) -> None:
    with pytest.raises(BindingError) as caught:
        signature(function).bind(payload)
    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 1, 1),
        (bool, True, True),
        (float, 2, 2.0),
        (bytes, b"x", b"x"),
        (None, None, None),
        (str | None, None, None),
        (list[int], [1, 2], [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (dict[str, list[float]], {"a": [1]}, {"a": [1.0]}),
        (int | str, "x", "x"),
        (Literal["a", 1], 1, 1),
        (values_pb2.Data, values_pb2.Data(text="x"), values_pb2.Data(text="x")),
        (object, {1}, {1}),
    ],
)
def test_fitting_values_pass(annotation: Any, value: Any, expected: Any) -> None:
    result = check_for(annotation)(value)
    assert (type(expected), expected) == (type(result), result)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (int, 1.0),
        (bool, 1),
        (float, True),
        (float, "1"),
        (float, 10**400),
        (str, b"x"),
        (str, None),
        (list[int], [1, True]),
        (list[int], (1,)),
        (dict[str, int], {"a": "b"}),
        (int | None, "x"),
        (Literal[1], True),
        (Literal["a"], ["a"]),
        (values_pb2.Data, {}),
    ],
)
def test_other_values_do_not(annotation: Any, value: Any) -> None:
    with pytest.raises(Mismatch, match="expected"):
        check_for(annotation)(value)


@pytest.mark.parametrize("annotation", [set, set[int], dict[int, str], tuple[int, int], "later", complex, Signature])
def test_annotation_without_a_check_is_refused_when_declared(annotation: Any) -> None:
    with pytest.raises(DefinitionError, match="no check"):
        check_for(annotation)


def no_context(self: Any) -> None: ...
def star(self: Any, ctx: Context, *items: str) -> None: ...
def keywords(self: Any, ctx: Context, **items: str) -> None: ...
def unresolved(self: Any, ctx: Context, item: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("function", [no_context, star, keywords, unresolved])
def test_wrong_declarations_are_refused(function: Any) -> None:
    with pytest.raises(DefinitionError, match=function.__name__):
        signature(function)
