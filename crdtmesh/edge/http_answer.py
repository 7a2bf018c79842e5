"""Reads the answer to one HTTP/1.1 request. No I/O: bytes go in, an `Answer` or an error comes out.

It reads what the HTTP servers under the SDKs send: a fixed length, chunks, or all until the connection ends. It is as
strict as a reader of strangers' bytes should be, and knows nothing else of HTTP: no redirects, no compression, no
cookies. Its bounds: the head, each chunk's line, the trailers and the whole body.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Generator, Mapping
from typing import Final, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

# Servers send some hundred bytes of headers; 16 KiB is what most clients and proxies stop at.
HEAD_SIZE_BYTES_MAX: Final = 16 * 1024
# A server's answers of one second differ in their length at most.
HEADS_REMEMBERED_MAX: Final = 64
# A chunk's size is at most 8 digits here; what follows are extensions, which nobody sends.
CHUNK_LINE_SIZE_BYTES_MAX: Final = 256

_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n\0]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_DIGITS: Final = re.compile(rb"[0-9]{1,12}")
_WITHOUT_BODY: Final = frozenset({204, 304})
# Two of these would be two ways to read the same bytes.
_SINGLE: Final = frozenset({b"content-length", b"transfer-encoding"})

_Steps: TypeAlias = Generator[None, None, T]
_Fields: TypeAlias = Mapping[bytes, bytes]
_Head: TypeAlias = tuple[bytes, int, _Fields]


class MalformedAnswer(Exception):
    """Not HTTP, or beyond a bound; the connection can't be used any more."""


class Answer(NamedTuple):
    """One whole answer.

    Attributes:
        status: the status code.
        body: all of it.
        is_reusable: whether the connection may carry another request.
    """

    status: int
    body: bytes
    is_reusable: bool


class AnswerReader:
    """Reads one answer.

    Args:
        body_size_bytes_max: longest body that is taken.

    Attributes:
        has_begun: whether any byte has come.
    """

    __slots__ = ("_answer", "_body_size_bytes_max", "_ends_at_eof", "_is_at_eof", "_reading", "_unread", "has_begun")

    def __init__(self, *, body_size_bytes_max: int) -> None:
        self._body_size_bytes_max = body_size_bytes_max
        self._unread = bytearray()
        self._ends_at_eof = False
        self._is_at_eof = False
        self._answer: Answer | None = None
        self.has_begun = False
        # Reads as far as the bytes go, and yields for more.
        self._reading: _Steps[None] | None = None

    def receive(self, data: bytes) -> Answer | None:
        """Takes what came.

        Returns:
            The answer once it is whole.

        Raises:
            MalformedAnswer: the connection can't be used any more.
        """
        if not self.has_begun:
            self._answer = self._read_whole(data)
            if self._answer is not None:
                self.has_begun = True
                return self._answer
        if data:
            self.has_begun = True
            self._unread += data
        self._go_on()
        if self._answer is not None and self._unread:
            raise MalformedAnswer(f"{len(self._unread)} bytes came behind the answer")
        return self._answer

    def receive_eof(self) -> Answer | None:
        """The connection has ended.

        Returns:
            The answer if it is one that ends so; None if nothing had come at all.

        Raises:
            MalformedAnswer: it ended within the answer.
        """
        if self._answer is None and self.has_begun:
            if not self._ends_at_eof:
                raise MalformedAnswer("the connection ended within the answer")
            self._is_at_eof = True
            self._go_on()
        return self._answer

    def _go_on(self) -> None:
        if self._reading is None:
            self._reading = self._read()
        if self._answer is None:
            next(self._reading, None)

    def _read_whole(self, data: bytes) -> Answer | None:
        """The usual case, without steps: one piece, which is an answer with a length; None for all others."""
        at = data.find(b"\r\n\r\n")
        if not 0 < at <= HEAD_SIZE_BYTES_MAX:
            return None
        version, status, fields = _parse_head(data[:at])
        length = fields.get(b"content-length")
        if length is None or b"transfer-encoding" in fields or status < 200 or status in _WITHOUT_BODY:
            return None
        if len(data) != at + 4 + self._length(length):
            return None
        return Answer(status, data[at + 4 :], _is_kept(version, fields))

    def _read(self) -> _Steps[None]:
        status = 100
        version = b""
        fields: _Fields = {}
        while status < 200:  # skips what is announced before the answer
            version, status, fields = yield from self._head()
        is_kept = _is_kept(version, fields)
        if status in _WITHOUT_BODY:
            body = b""
        elif b"transfer-encoding" in fields:
            body = yield from self._chunks(fields)
        elif b"content-length" in fields:
            body = yield from self._exactly(self._length(fields[b"content-length"]))
        else:
            is_kept = False
            body = yield from self._rest()
        self._answer = Answer(status, body, is_kept)

    def _head(self) -> _Steps[_Head]:
        block = yield from self._until(b"\r\n\r\n", HEAD_SIZE_BYTES_MAX, "head")
        return _parse_head(block)

    def _chunks(self, fields: _Fields) -> _Steps[bytes]:
        if fields[b"transfer-encoding"].lower() != b"chunked" or b"content-length" in fields:
            raise MalformedAnswer("transfer-encoding chunked alone expected; it came with another, or with a length")
        body = bytearray()
        while True:
            line = yield from self._until(b"\r\n", CHUNK_LINE_SIZE_BYTES_MAX, "chunk's line")
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise MalformedAnswer(f"a chunk's size expected, got {line[:64]!r}")
            count = int(size[1], 16)
            if count == 0:
                break
            self._check_size(len(body) + count)
            body += yield from self._exactly(count)
            if (yield from self._exactly(2)) != b"\r\n":
                raise MalformedAnswer("a chunk is longer than its size")
        left = HEAD_SIZE_BYTES_MAX
        while line := (yield from self._until(b"\r\n", left, "trailers")):
            left -= len(line) + 2
        return bytes(body)

    def _rest(self) -> _Steps[bytes]:
        self._ends_at_eof = True
        while not self._is_at_eof:
            self._check_size(len(self._unread))
            yield
        return self._take(len(self._unread))

    def _length(self, text: bytes) -> int:
        if _DIGITS.fullmatch(text) is None:
            raise MalformedAnswer(f"a content-length expected, got {text[:64]!r}")
        self._check_size(int(text))
        return int(text)

    def _check_size(self, size: int) -> None:
        if size > self._body_size_bytes_max:
            raise MalformedAnswer(f"a body of at most {self._body_size_bytes_max} bytes expected, got {size}")

    def _until(self, end: bytes, size_max: int, label: str) -> _Steps[bytes]:
        searched = 0
        while True:
            at = self._unread.find(end, searched)
            if at > size_max or (at < 0 and len(self._unread) > size_max + len(end)):
                raise MalformedAnswer(f"a {label} of at most {size_max} bytes expected, got more")
            if at >= 0:
                found = self._take(at)
                del self._unread[: len(end)]
                return found
            searched = max(0, len(self._unread) - len(end) + 1)
            yield

    def _exactly(self, count: int) -> _Steps[bytes]:
        while len(self._unread) < count:
            yield
        return self._take(count)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken


@functools.lru_cache(HEADS_REMEMBERED_MAX)
def _parse_head(block: bytes) -> _Head:
    """Version, status and fields of a head."""
    first, *lines = block.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise MalformedAnswer(f"a status line of HTTP/1.0 or 1.1 expected, got {first[:64]!r}")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise MalformedAnswer(f"a header field expected, got {line[:64]!r}")
        name = field[1].lower()
        if name in fields and fields[name] != field[2]:
            if name in _SINGLE:
                raise MalformedAnswer(f"two different {name.decode()} came")
            fields[name] += b"," + field[2]
        else:
            fields[name] = field[2]
    return status[1], int(status[2]), fields


def _is_kept(version: bytes, fields: _Fields) -> bool:
    """Whether the server keeps the connection open."""
    options = {option.strip() for option in fields.get(b"connection", b"").lower().split(b",")}
    return b"keep-alive" in options if version == b"0" else b"close" not in options
