"""Checks of plain values against simple annotations.

Decides which annotations an action's parameters may have, and what fits them: `str`, `bool`, `int` (a bool is not an
int), `float` (takes an int, as JSON does not tell 1 from 1.0), `bytes`, `None`, `list[X]`, `dict[str, X]`,
`Literal[...]`, a dataclass of these (from a JSON object, fields without value take their defaults, unknown ones are
refused), unions of these, a protobuf message class, and `Any`. Everything else is refused when the action is
declared: an annotation that is silently not checked would be a promise not kept.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, Union

from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.names import nearest

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
    if isinstance(annotation, type) and (hasattr(annotation, "DESCRIPTOR") or dataclasses.is_dataclass(annotation)):
        is_message = hasattr(annotation, "DESCRIPTOR")
        return _exactly(annotation, annotation.__name__) if is_message else _dataclass_of(annotation, depth)
    raise DefinitionError(
        f"no check for the annotation {annotation!r:.64}; use str, bool, int, float, bytes, None, list[X], "
        "dict[str, X], Literal, a dataclass of these, a union, a protobuf message, or Any"
    )


def takes_objects(annotation: Any) -> bool:
    """Whether a JSON object as a whole fits the annotation."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return any(takes_objects(item) for item in typing.get_args(annotation))
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return True
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


def _dataclass_of(kind: type, depth: int) -> Check:
    try:
        hints = typing.get_type_hints(kind)
    except NameError as error:
        raise DefinitionError(f"dataclass {kind.__name__}: an annotation names something unknown: {error}") from None
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    checks = {name: check_for(hints[name], depth=depth + 1) for name in fields}
    required = [name for name, field in fields.items() if not _has_default(field)]

    def check(value: Any) -> Any:
        if type(value) is kind:
            return value
        if type(value) is not dict:
            raise _mismatch(f"an object for {kind.__name__}", value)
        for name in value:
            if name not in checks:
                raise Mismatch(f"{kind.__name__} has no field {name!r:.64}; {nearest(name, checks)}")
        for name in required:
            if name not in value:
                raise Mismatch(f"{kind.__name__}: missing field {name!r}")
        return _made(kind, {name: _field(kind, name, checks[name], item) for name, item in value.items()})

    return check


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _field(kind: type, name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except Mismatch as mismatch:
        raise Mismatch(f"{kind.__name__}.{name}: {mismatch}") from None


def _made(kind: type, values: dict[str, Any]) -> Any:
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:  # of a `__post_init__` that checks more
        raise Mismatch(f"{kind.__name__}: {error}") from None


_SCALARS: Final[dict[Any, Check]] = {
    str: _exactly(str, "a string"),
    bool: _exactly(bool, "true or false"),
    int: _exactly(int, "an integer"),
    bytes: _exactly(bytes, "bytes"),
    float: _float,
}
