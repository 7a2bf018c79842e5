"""Operations: what users ask of a data type, as plain data that can be logged, sent and replayed."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import PlainValue


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a mutator, such as `Operation("add", ("milk",))`.

    Attributes:
        name: the mutator; each type lists its own in `operations`.
        arguments: plain values, checked by the type; a tuple also where there is one.
    """

    name: str
    arguments: tuple[PlainValue, ...] = ()


def require_operation(type_name: str, operation: Operation, arities: Mapping[str, tuple[int, int]]) -> None:
    """Refuse an operation that a type does not have, or has with other or another number of arguments.

    Args:
        type_name: for the message.
        operation: what was asked for.
        arities: least and greatest number of arguments of each operation of the type.

    Raises:
        InvalidOperation: with the nearest known name.
    """
    arity = arities.get(operation.name)
    if arity is None:
        raise InvalidOperation(f"{type_name} has no operation {operation.name!r:.64}{nearest(operation.name, arities)}")
    least, most = arity
    arguments = operation.arguments
    if type(arguments) is not tuple and not isinstance(arguments, list):
        raise InvalidOperation(
            f"{type_name}.{operation.name} takes its arguments as a tuple, ('milk',) if there is one, "
            f"got {shorten(arguments)}"
        )
    if not least <= len(arguments) <= most:
        expected = str(least) if least == most else f"{least} to {most}"
        raise InvalidOperation(f"{type_name}.{operation.name} takes {expected} arguments, got {len(arguments)}")


def nearest(name: str, known: Mapping[str, object]) -> str:
    """The end of an error message about an unknown name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(str(name)[:64], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(sorted(known))}"
