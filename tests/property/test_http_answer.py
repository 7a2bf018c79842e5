"""The reader of HTTP answers: any split reads the same, and no bytes make it fail in another way than its own."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.edge.http_answer import Answer, AnswerReader, MalformedAnswer

BODY_MAX = 4_096


def read(pieces: list[bytes]) -> Answer | str | None:
    reader = AnswerReader(body_size_bytes_max=BODY_MAX)
    try:
        for piece in pieces:
            if (answer := reader.receive(piece)) is not None:
                return answer
        return reader.receive_eof()
    except MalformedAnswer:
        return "malformed"


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Answer]:
    """An answer, and its bytes."""
    status = draw(st.sampled_from([200, 400, 404, 500, 503]))
    body = draw(st.binary(max_size=600))
    head = b"HTTP/1.1 %d Some Reason\r\n" % status
    framing = draw(st.sampled_from(["length", "chunks"]))
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), Answer(status, body, True)
    size = draw(st.integers(1, 200))
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", Answer(status, body, True)


@given(answers(), st.lists(st.integers(0, 1_000), max_size=6))
def test_any_split_reads_the_same(made: tuple[bytes, Answer], cuts: list[int]) -> None:
    data, answer = made
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})

    assert answer == read([data[start:end] for start, end in itertools.pairwise(at)])


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_strangers_bytes_are_malformed_or_nothing(pieces: list[bytes]) -> None:
    assert read(pieces) in ("malformed", None)


@given(answers(), st.integers(0, 300), st.binary(min_size=1, max_size=4))
def test_changed_bytes_fail_in_one_way_only(made: tuple[bytes, Answer], at: int, noise: bytes) -> None:
    data, _ = made
    read([data[:at] + noise + data[at + len(noise) :]])
