"""Calls and replies between nodes: one msgpack array for a batch, in columns, with a table of the strings in it.

    calls    [1, 0, names, actors, ids, actor, action, type_url, payloads, timeouts_ms, extras, cancelled]
    replies  [1, 1, names, ids, type_url, payloads, failures]

`names` is the table; `actor` indexes `actors`, a list of [system, name, parent]; `action` and `type_url` index `names`.
`extras` are [index of the call, metadata, caller or nil, hops], `failures` [id, code, outcome, message]. Nothing else
is understood; the version changes with the layout.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgpack

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import CallExtra, CallFailure, ReplyColumns
from crdtmesh.runtime.turn import CallTuple

__all__ = [
    "MESSAGE_ITEMS_MAX",
    "TEXT_CHARS_MAX",
    "Calls",
    "Malformed",
    "PeerReplies",
    "decode",
    "encode_calls",
    "encode_replies",
    "fits",
]

VERSION: Final = 1
CALLS: Final = 0
REPLIES: Final = 1

# Calls or replies of one message. The sender closes a message at 256 KiB, which is 8,000 calls without payload.
MESSAGE_ITEMS_MAX: Final = 8_192

# A link's message has 8 MiB at most, and one call may fill it. Metadata keys, names and words are far shorter.
PAYLOAD_BYTES_MAX: Final = 8 << 20
TEXT_BYTES_MAX: Final = 64 << 10
TEXT_CHARS_MAX: Final = TEXT_BYTES_MAX // 4
"""What fits for sure: a character has 4 bytes at most."""

# Metadata of one call: as many entries as an HTTP server takes headers.
METADATA_MAX: Final = 128

NUMBER_MAX: Final = 1 << 63

# Far above what is allowed (`flows`), so that who sends more is told, and not taken for one who sends nonsense.
HOPS_END: Final = 256


class Malformed(Exception):
    """Bytes that are no message of this version; `args[0]` says why."""


class Calls(NamedTuple):
    """Calls of a peer, and those whose caller no longer waits."""

    calls: list[CallTuple]
    cancelled: list[int]


class PeerReplies(NamedTuple):
    """Replies of a peer: (id, type URL, payload), and failures."""

    replies: list[tuple[int, str, bytes]]
    failures: list[CallFailure]


def encode_calls(calls: Sequence[CallTuple], cancelled: Sequence[int]) -> bytes:
    """The bytes of a batch of calls; each call's id is the sender's own number. Complexity: O(calls)."""
    names: dict[str, int] = {}
    actors: dict[ActorAddress, int] = {}
    actor_column = [actors.setdefault(call[1], len(actors)) for call in calls]
    action_column = [names.setdefault(call[2], len(names)) for call in calls]
    type_column = [names.setdefault(call[3], len(names)) for call in calls]
    extras = [
        [index, call[6].metadata, call[6].caller, call[6].hops]
        for index, call in enumerate(calls)
        if call[6] is not None
    ]
    packed: bytes = msgpack.packb(
        [
            VERSION,
            CALLS,
            list(names),
            list(actors),
            [call[0] for call in calls],
            actor_column,
            action_column,
            type_column,
            [call[4] for call in calls],
            [call[5] for call in calls],
            extras,
            list(cancelled),
        ],
        unicode_errors="surrogatepass",
    )
    return packed


def encode_replies(columns: ReplyColumns) -> bytes:
    """The bytes of a batch of replies. Complexity: O(replies)."""
    names: dict[str, int] = {}
    type_column = [names.setdefault(type_url, len(names)) for type_url in columns.type_urls]
    failures = [[item.id, int(item.code), int(item.outcome), item.message] for item in columns.failures]
    packed: bytes = msgpack.packb(
        [VERSION, REPLIES, list(names), columns.ids, type_column, columns.payloads, failures],
        unicode_errors="surrogatepass",
    )
    return packed


def fits(call: CallTuple) -> bool:
    """Whether a peer would take this call; one that it wouldn't would cost the whole batch."""
    extra = call[6]
    if len(call[2]) > TEXT_CHARS_MAX or len(call[3]) > TEXT_CHARS_MAX or len(call[4]) > PAYLOAD_BYTES_MAX:
        return False
    if extra is None:
        return True
    metadata = extra.metadata
    texts = (*metadata, *metadata.values(), *(extra.caller or ()))
    return len(metadata) <= METADATA_MAX and all(len(text) <= TEXT_CHARS_MAX for text in texts)


def decode(payload: bytes) -> Calls | PeerReplies:
    """The message in these bytes.

    Raises:
        Malformed: they are none.
    """
    try:
        message = msgpack.unpackb(
            payload,
            max_bin_len=PAYLOAD_BYTES_MAX,
            max_str_len=TEXT_BYTES_MAX,
            max_array_len=2 * MESSAGE_ITEMS_MAX,
            max_map_len=METADATA_MAX,
            max_ext_len=0,
            unicode_errors="surrogatepass",
        )
    except (ValueError, TypeError, msgpack.exceptions.StackError, msgpack.exceptions.UnpackException) as error:
        raise Malformed(f"not msgpack within the limits: {error!s:.64}") from error
    if type(message) is not list or len(message) < 2 or message[0] != VERSION:
        raise Malformed("another version, or no message")
    if message[1] == CALLS and len(message) == 12:
        return _calls(message)
    if message[1] == REPLIES and len(message) == 7:
        return _replies(message)
    raise Malformed("neither calls nor replies")


def _calls(message: list[Any]) -> Calls:
    _, _, names, actors, ids, actor, action, type_url, payloads, timeouts, extras, cancelled = message
    _check_texts(names)
    addresses = [_address(item) for item in _list(actors)]
    _check_numbers(ids, NUMBER_MAX)
    _check_numbers(timeouts, 1 << 32)
    _check_numbers(cancelled, NUMBER_MAX)
    _check_numbers(actor, len(addresses))
    _check_numbers(action, len(names))
    _check_numbers(type_url, len(names))
    _check_column(payloads, bytes)
    if not len(ids) == len(actor) == len(action) == len(type_url) == len(payloads) == len(timeouts):
        raise Malformed("columns of different lengths")
    found: list[CallExtra | None] = [None] * len(ids)
    for item in _list(extras):
        index, extra = _extra(item, len(ids))
        found[index] = extra
    calls = zip(
        ids,
        map(addresses.__getitem__, actor),
        map(names.__getitem__, action),
        map(names.__getitem__, type_url),
        payloads,
        timeouts,
        found,
        strict=True,
    )
    return Calls(list(calls), cancelled)


def _replies(message: list[Any]) -> PeerReplies:
    _, _, names, ids, type_url, payloads, failures = message
    _check_texts(names)
    _check_numbers(ids, NUMBER_MAX)
    _check_numbers(type_url, len(names))
    _check_column(payloads, bytes)
    if not len(ids) == len(type_url) == len(payloads):
        raise Malformed("columns of different lengths")
    replies = list(zip(ids, map(names.__getitem__, type_url), payloads, strict=True))
    return PeerReplies(replies, [_failure(item) for item in _list(failures)])


def _address(item: Any) -> ActorAddress:
    if type(item) is not list or len(item) != 3:
        raise Malformed("an actor is three strings")
    _check_texts(item)
    return ActorAddress(*item)


def _extra(item: Any, count: int) -> tuple[int, CallExtra]:
    if type(item) is not list or len(item) != 4 or type(item[0]) is not int or not 0 <= item[0] < count:
        raise Malformed("an extra is an index, metadata, a caller and hops")
    index, metadata, caller, hops = item
    _check_numbers([hops], HOPS_END)
    if type(metadata) is not dict:
        raise Malformed("metadata is a map")
    _check_texts(list(metadata))
    _check_texts(list(metadata.values()))
    return index, CallExtra(metadata, None if caller is None else _address(caller), hops)


def _failure(item: Any) -> CallFailure:
    if type(item) is not list or len(item) != 4 or type(item[0]) is not int or type(item[3]) is not str:
        raise Malformed("a failure is an id, a code, an outcome and a message")
    try:
        return CallFailure(item[0], ErrorCode(item[1]), Outcome(item[2]), item[3])
    except ValueError as error:
        raise Malformed("a failure of no known code or outcome") from error


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise Malformed("a column is a list")
    return value


def _check_column(column: Any, kind: type) -> None:
    if not all(type(item) is kind for item in _list(column)):
        raise Malformed(f"a column of {kind.__name__} expected")


def _check_texts(column: Any) -> None:
    _check_column(column, str)


def _check_numbers(column: Any, end: int) -> None:
    _check_column(column, int)
    if column and not 0 <= min(column) <= max(column) < end:
        raise Malformed(f"numbers from 0 to {end - 1} expected")
