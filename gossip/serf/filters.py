"""Which members a query is for.

A filter by tag holds a regular expression. The other implementation runs those in linear time; Python's take
exponential time on some, so only expressions that can't are run: no groups that repeat, no references back, few
repetitions. Any other matches nobody.
"""

import re
from collections.abc import Mapping

import msgpack

from gossip.codec import pack, read_bytes, unpack_map
from gossip.errors import DecodeError, RejectReason
from gossip.identity import NodeName, name_bytes

_BY_NODE = 0
_BY_TAG = 1

EXPRESSION_SIZE_MAX = 256
REPETITIONS_MAX = 2
"""With two of them a match over 512 bytes of tags takes 131,000 steps at most."""

_OPTIONALS_MAX = 4
_REPEATED_GROUP = re.compile(r"\)[*+{?]")
_REPETITION = re.compile(r"(?<!\\)[*+{]")
_OPTIONAL = re.compile(r"(?<!\\)\?")
_UNSUPPORTED = re.compile(r"\(\?|\\[1-9]")


def by_node(*names: str) -> bytes:
    """The filter that names the members that are to answer."""
    return bytes((_BY_NODE,)) + pack([name_bytes(NodeName(name)) for name in names])


def by_tag(tag: str, expression: str) -> bytes:
    """The filter that asks members in whose tag the expression is found."""
    return bytes((_BY_TAG,)) + pack({"Expr": expression, "Tag": tag})


def matches(item: bytes, *, name: NodeName, tags: Mapping[str, str]) -> bool:
    """Whether one filter lets a member through.

    Raises:
        DecodeError: it is no filter, or one that is not run.
    """
    if item[0] == _BY_NODE:
        return name_bytes(name) in _names(item)
    if item[0] != _BY_TAG:
        raise DecodeError(RejectReason.NOT_SUPPORTED, f"filter type {item[0]}")
    body = unpack_map(memoryview(item)[1:])
    expression = read_bytes(body, b"Expr", EXPRESSION_SIZE_MAX).decode("utf-8", "replace")
    tag = read_bytes(body, b"Tag", EXPRESSION_SIZE_MAX).decode("utf-8", "replace")
    return _compile(expression).search(tags.get(tag, "")) is not None


def _names(item: bytes) -> list[object]:
    try:
        names = msgpack.unpackb(item[1:], raw=True, max_array_len=1_024, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise DecodeError(RejectReason.MALFORMED, f"no filter by name: {error!r:.64}") from None
    if not isinstance(names, list):
        raise DecodeError(RejectReason.MALFORMED, "a filter by name is a list")
    return names


def _compile(expression: str) -> re.Pattern[str]:
    if (
        _REPEATED_GROUP.search(expression)
        or _UNSUPPORTED.search(expression)
        or len(_REPETITION.findall(expression)) > REPETITIONS_MAX
        or len(_OPTIONAL.findall(expression)) > _OPTIONALS_MAX
    ):
        raise DecodeError(RejectReason.NOT_SUPPORTED, f"a filter that could take too long: {expression!r:.64}")
    try:
        return re.compile(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise DecodeError(RejectReason.MALFORMED, f"no regular expression: {error!s:.64}") from None
