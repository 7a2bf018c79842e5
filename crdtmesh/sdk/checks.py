"""Checks of plain values against simple annotations.

Decides which annotations an action's parameters may have, and what fits them: `str`, `bool`, `int` (a bool is not an
int), `float` (takes an int, as JSON does not tell 1 from 1.0), `bytes`, `None`, `list[X]`, `dict[str, X]`,
`Literal[...]`, unions of these, a protobuf message class, and `Any`. Everything else is refused when the action is
declared: an annotation that is silently not checked would be a promise not kept.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, Union

from crdtmesh.sdk.errors import DefinitionError

__all__ = ["Check", "Mismatch", "check_for", "takes_objects"]


class Mismatch(ValueError):
    """A value doesn't fit an annotation; the text says what was expected and what came."""


Check: TypeAlias = Callable[[Any], Any]
"""Returns the value as the handler gets it, or raises `Mismatch`."""

_NESTING_MAX: Final = 32  # of an annotation; it is code, so this only stops one that contains itself


def check_for(annotation: Any, *, depth: int = 0) -> Check:
    """The check for one annotation.

    Raises:
        DefinitionError: no check exists for the annotation.
    """
    if depth > _NESTING_MAX:
        raise DefinitionError(f"annotation {annotation!r:.64} is nested more than {_NESTING_MAX} deep")
    if annotation is Any or annotation is object:
        return _anything
    if annotation is None or annotation is type(None):
        return _exactly(type(None), "null")
    if isinstance(annotation, type) and annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _one_of(arguments)
    if origin is Union or origin is types.UnionType:
        return _any_of(tuple(check_for(item, depth=depth + 1) for item in arguments), annotation)
    if annotation is list or origin is list:
        return _list_of(check_for(arguments[0] if arguments else Any, depth=depth + 1))
    if annotation is dict or (origin is dict and arguments[0] is str):
        return _dict_of(check_for(arguments[1] if arguments else Any, depth=depth + 1))
    if isinstance(annotation, type) and hasattr(annotation, "DESCRIPTOR"):
        return _exactly(annotation, annotation.__name__)
    raise DefinitionError(
        f"no check for the annotation {annotation!r:.64}; use str, bool, int, float, bytes, None, list[X], "
        "dict[str, X], Literal, a union of these, a protobuf message, or Any"
    )


def takes_objects(annotation: Any) -> bool:
    """Whether a JSON object as a whole fits the annotation."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return any(takes_objects(item) for item in typing.get_args(annotation))
    return annotation in (Any, object, dict) or typing.get_origin(annotation) is dict


def _anything(value: Any) -> Any:
    return value


def _mismatch(expected: str, value: Any) -> Mismatch:
    text = repr(value)
    shown = text if len(text) <= 64 else text[:63] + "…"
    return Mismatch(f"expected {expected}, got {shown} ({type(value).__name__})")


def _exactly(kind: type, name: str) -> Check:
    def check(value: Any) -> Any:
        if type(value) is kind:  # not isinstance: True is an int to Python and not to anyone who counts apples
            return value
        raise _mismatch(name, value)

    return check


def _float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            pass
    raise _mismatch("a number", value)


def _one_of(choices: tuple[Any, ...]) -> Check:
    # By type and value: Literal[1] doesn't take True.
    known = {(type(choice), choice) for choice in choices}

    def check(value: Any) -> Any:
        if isinstance(value, str | int | bytes | None) and (type(value), value) in known:
            return value
        raise _mismatch("one of " + ", ".join(map(repr, choices)), value)

    return check


def _any_of(checks: tuple[Check, ...], annotation: Any) -> Check:
    def check(value: Any) -> Any:
        for option in checks:
            try:
                return option(value)
            except Mismatch:
                continue
        raise _mismatch(str(annotation).replace("typing.", ""), value)

    return check


def _list_of(item_check: Check) -> Check:
    def check(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _mismatch("a list", value)
        return [item_check(item) for item in value]

    return check


def _dict_of(item_check: Check) -> Check:
    def check(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _mismatch("an object", value)
        return {key: item_check(item) for key, item in value.items()}

    return check


_SCALARS: Final[dict[Any, Check]] = {
    str: _exactly(str, "a string"),
    bool: _exactly(bool, "true or false"),
    int: _exactly(int, "an integer"),
    bytes: _exactly(bytes, "bytes"),
    float: _float,
}
