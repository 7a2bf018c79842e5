"""What the HTTP servers under the SDKs send, and what nobody should."""

from __future__ import annotations

import pytest

from crdtmesh.edge.http_answer import (
    CHUNK_LINE_SIZE_BYTES_MAX,
    HEAD_SIZE_BYTES_MAX,
    Answer,
    AnswerReader,
    MalformedAnswer,
)

BODY_MAX = 1_000
OK = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, is_ended: bool = False) -> Answer | None:
    """What a reader makes of these pieces, and of the connection's end."""
    reader = AnswerReader(body_size_bytes_max=BODY_MAX)
    answer = None
    for piece in pieces:
        answer = reader.receive(piece)
    return reader.receive_eof() if is_ended else answer


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", Answer(200, b"hello", True)),
        (OK + b"content-length:5\r\nX: y\r\n\r\nhello", Answer(200, b"hello", True)),
        (OK + b"Content-Length: 0\r\n\r\n", Answer(200, b"", True)),
        (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", Answer(200, b"hi", True)),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", Answer(200, b"hi", False)),
        (OK + b"Connection: Keep-Alive, Close\r\nContent-Length: 2\r\n\r\nhi", Answer(200, b"hi", False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Answer(200, b"hi", False)),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", Answer(200, b"hi", True)),
        (b"HTTP/1.1 500 \r\nContent-Length: 2\r\n\r\nhi", Answer(500, b"hi", True)),
        (b"HTTP/1.1 204\r\n\r\n", Answer(204, b"", True)),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", Answer(200, b"hi", True)),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", Answer(200, b"abcde", True)),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n", Answer(200, b"", True)),
    ],
)
def test_an_answer_is_read_whole_and_byte_by_byte(data: bytes, answer: Answer) -> None:
    assert answer == read(data)
    assert answer == read(*(data[index : index + 1] for index in range(len(data))))


def test_without_a_length_the_end_of_the_connection_ends_the_answer() -> None:
    assert Answer(200, b"hello", False) == read(OK + b"\r\nhel", b"lo", is_ended=True)


def test_an_answer_is_not_there_before_its_end() -> None:
    assert None is read(OK + b"Content-Length: 5\r\n\r\nhell")
    assert None is read(OK + b"\r\nhello")
    assert None is read(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")


def test_no_answer_at_all_is_none() -> None:
    assert None is read(is_ended=True)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 0200 OK\r\n\r\n",
        b"HTTP/1.1 999 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        OK + b"Content-Length\r\n\r\n",
        OK + b"Content Length: 2\r\n\r\nhi",
        OK + b" folded: 2\r\n\r\nhi",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 0x2\r\n\r\nhi",
        OK + b"Content-Length: 1_0\r\n\r\n",
        OK + b"Content-Length: 2, 2\r\n\r\nhi",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        OK + b"Content-Length: 99999999999999999999\r\n\r\n",
        OK + b"Content-Length: 1001\r\n\r\n",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        OK + b"Content-Length: 2\r\n\r\nhi!",
        OK + b"X: " + b"x" * HEAD_SIZE_BYTES_MAX + b"\r\n\r\n",
        b"H" * (HEAD_SIZE_BYTES_MAX + 5),
        OK + b"Transfer-Encoding: chunked\r\n\r\n1" + b" " * CHUNK_LINE_SIZE_BYTES_MAX + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + (b"T: " + b"x" * 1_000 + b"\r\n") * 17,
        OK + b"\r\n" + b"x" * (BODY_MAX + 1),
    ],
)
def test_what_is_no_answer_or_too_much_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read(data, is_ended=True)


def test_an_answer_that_breaks_off_is_refused() -> None:
    with pytest.raises(MalformedAnswer, match="ended within"):
        read(OK + b"Content-Length: 5\r\n\r\nhell", is_ended=True)


def test_chunks_are_bounded_together() -> None:
    chunks = b"1f4\r\n" + b"x" * 500 + b"\r\n"

    with pytest.raises(MalformedAnswer, match="at most 1000 bytes"):
        read(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 3)
