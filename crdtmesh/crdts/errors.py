# The names say what is wrong, as the glossary has them; a suffix would only repeat the base class.
"""The errors of the data types. None of them is raised after anything was changed or any dot was taken.

CrdtError
├── UnknownType            no data type of this name; the message has the nearest known one
├── InvalidOperation       the type has no such operation, or its arguments don't fit
│   ├── InsufficientRights a bounded counter's replica may not spend that much; the message says who could give
│   └── InvalidValue       a value that the mesh can't hold: NaN, a set, an integer beyond 64 bits, too deep, too large
├── DataTypeMismatch       a state was joined with one of another type, or with what is no state
├── CodecError             bytes that are not an encoding of what was expected
├── ReplicaTableFull       more replica ids than the table's capacity
└── ReplicaTableMismatch   values of two replica tables were put together
"""

from typing import ClassVar, Literal


class CrdtError(Exception):
    """Base of all errors of the data types; nothing was changed."""

    outcome: ClassVar[Literal["not_applied"]] = "not_applied"


class UnknownType(CrdtError):
    """No data type has this name."""


class InvalidOperation(CrdtError):
    """The type has no such operation, or its arguments don't fit; no dot was taken."""


class InsufficientRights(InvalidOperation):
    """The own rights in a bounded counter don't cover the amount; another replica can transfer some."""


class InvalidValue(InvalidOperation):
    """A value that has no canonical encoding here."""


class DataTypeMismatch(CrdtError):
    """A state of another type, or no state at all, was to be joined."""


class CodecError(CrdtError):
    """Bytes from outside that are not an encoding of what was expected; nothing was changed."""


class ReplicaTableFull(CrdtError):
    """The replica table holds as many replica ids as it may; the new one was not added."""


class ReplicaTableMismatch(CrdtError):
    """Dots of two replica tables were about to be compared; a packed dot means something in its own table only."""


def shorten(value: object, limit: int = 64) -> str:
    """A `repr` bounded for error messages.

    Args:
        value: anything.
        limit: greatest length of the answer, in characters.
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
