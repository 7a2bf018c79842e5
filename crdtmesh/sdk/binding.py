"""How a payload becomes the arguments of an action.

A JSON object is keyword arguments; any other value is the one argument of an action that has one; no payload is no
argument, so defaults apply. An action whose only parameter takes objects (`dict`, `Any`) gets the payload whole:
which of the two is meant must not depend on the caller's data. Arguments are checked against the annotations
(`checks`).
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from crdtmesh.sdk.checks import Check, Mismatch, check_for, takes_objects
from crdtmesh.sdk.context import Context
from crdtmesh.sdk.errors import DefinitionError

__all__ = ["MISSING", "BindingError", "Parameter", "Signature"]

MISSING: Final = inspect.Parameter.empty
"""No payload, or no default."""


class BindingError(ValueError):
    """A payload doesn't fit an action's parameters; the handler was not called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of an action, after `self` and the context."""

    name: str
    check: Check
    default: Any
    is_keyword_only: bool
    takes_objects: bool


class Signature:
    """The parameters of one action, and how to fill them from a payload."""

    __slots__ = ("_by_name", "_defaults", "_sole", "action", "parameters")

    def __init__(self, action: str, parameters: tuple[Parameter, ...]) -> None:
        self.action = action
        self.parameters = parameters
        self._by_name = {parameter.name: parameter for parameter in parameters}
        self._sole = parameters[0] if len(parameters) == 1 else None
        required = any(parameter.default is MISSING for parameter in parameters)
        self._defaults = None if required else tuple(parameter.default for parameter in parameters)

    @classmethod
    def of(cls, function: Callable[..., Any], action: str) -> Signature:
        """Reads the parameters of a method `(self, ctx, ...)`.

        Raises:
            DefinitionError: it has no context parameter, takes `*args` or `**kwargs`, or an annotation has no check.
        """
        declared = list(inspect.signature(function).parameters.values())
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if len(declared) < 2 or any(parameter.kind not in positional for parameter in declared[:2]):
            raise DefinitionError(f"action {action!r}: expected a method with (self, ctx, ...), got {_show(declared)}")
        hints = _hints(function, action)
        return cls(action, tuple(_parameter(item, hints, action) for item in declared[2:]))

    def bind(self, value: Any = MISSING) -> tuple[Any, ...]:
        """The arguments for one call, defaults filled in, in the order of the parameters.

        Args:
            value: the payload as a plain value, or `MISSING`.

        Raises:
            BindingError: an argument is missing, unknown or of the wrong type.
        """
        if value is MISSING:
            if self._defaults is None:
                raise self._missing(())
            return self._defaults
        sole = self._sole
        if sole is not None and (sole.takes_objects or type(value) is not dict):
            return (self._checked(sole, value),)
        if type(value) is not dict:
            names = ", ".join(self._by_name) or "none"
            raise BindingError(
                f"{self.action}: expected a JSON object with the arguments ({names}), got {type(value).__name__}"
            )
        return self._bind_object(value)

    def _bind_object(self, value: dict[str, Any]) -> tuple[Any, ...]:
        for name in value:
            if name not in self._by_name:
                close = difflib.get_close_matches(name, self._by_name, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(self._by_name) or 'none'}"
                raise BindingError(f"{self.action}: unknown argument {name!r:.64}; {hint}")
        arguments = []
        for parameter in self.parameters:
            if parameter.name in value:
                arguments.append(self._checked(parameter, value[parameter.name]))
            elif parameter.default is MISSING:
                raise self._missing(tuple(value))
            else:
                arguments.append(parameter.default)
        return tuple(arguments)

    def _checked(self, parameter: Parameter, value: Any) -> Any:
        try:
            return parameter.check(value)
        except Mismatch as mismatch:
            raise BindingError(f"{self.action}: argument {parameter.name!r}: {mismatch}") from None

    def _missing(self, given: tuple[str, ...]) -> BindingError:
        names = [item.name for item in self.parameters if item.default is MISSING and item.name not in given]
        return BindingError(f"{self.action}: missing argument {', '.join(map(repr, names))}")


def _parameter(declared: inspect.Parameter, hints: dict[str, Any], action: str) -> Parameter:
    if declared.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise DefinitionError(f"action {action!r}: expected named parameters, got {declared}")
    annotation = hints.get(declared.name, Any)
    try:
        check = check_for(annotation)
    except DefinitionError as error:
        raise DefinitionError(f"action {action!r}: parameter {declared.name!r}: {error}") from None
    return Parameter(
        name=declared.name,
        check=check,
        default=declared.default,
        is_keyword_only=declared.kind is inspect.Parameter.KEYWORD_ONLY,
        takes_objects=takes_objects(annotation),
    )


def _hints(function: Callable[..., Any], action: str) -> dict[str, Any]:
    try:
        # The name is given so that a module may import it under TYPE_CHECKING only.
        return typing.get_type_hints(function, localns={"Context": Context})
    except NameError as error:
        raise DefinitionError(f"action {action!r}: an annotation names something unknown: {error}") from None


def _show(declared: list[inspect.Parameter]) -> str:
    return f"({', '.join(map(str, declared))})"
