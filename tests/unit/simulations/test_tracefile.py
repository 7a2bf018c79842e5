"""The trace of a run as a file."""

import json
from pathlib import Path

import pytest

from simulations import tracefile
from simulations.scheduler import Scheduler
from simulations.trace import Note, Trace
from simulations.tracefile import Header, TraceFileError, TraceRecorder, as_fields, named_calls, read, write


def call(number: int, *, at_ns: int = 0) -> Note:
    return Note(at_ns, "call", ("n1", number, "state", "ORSet-0", "add"))


def datagram(at_ns: int) -> Note:
    return Note(at_ns, "datagram", ("n1", "n2", b"\x00ping"))


def test_note_becomes_an_object_with_named_fields() -> None:
    line = as_fields(Note(5, "reply", ("n1", 3, "ok", "", "None")))
    assert {"t": 5, "kind": "reply", "node": "n1", "number": 3, "outcome": "ok", "reason": "", "value": "None"} == line


@pytest.mark.parametrize(
    ("data", "word"), [(b"\x00abc", "ping"), (b"\x0c\x01\x02\x03\x04\x02x", "ack"), (b"", "noise"), (b"\xff", "noise")]
)
def test_bytes_of_a_packet_become_size_digest_and_a_word(data: bytes, word: str) -> None:
    line = as_fields(Note(0, "datagram", ("n1", "n2", data)))
    assert (len(data), word, 12) == (line["size"], line["what"], len(line["digest"]))


def test_message_of_a_link_is_named_by_its_channel() -> None:
    assert "repair" == as_fields(Note(0, "payload", ("n1", "n2", 3, b"\x00")))["what"]


def test_faults_and_unknown_kinds_have_names_for_their_fields_too() -> None:
    assert "n1,n2" == as_fields(Note(0, "fault.partition_ring", ("n1,n2",)))["nodes"]
    assert "n2" == as_fields(Note(0, "member.dead", ("n1", "n2", 4)))["member"]
    line = as_fields(Note(0, "alarm", ("n1", "what", b"\x01")))
    assert ("n1", "what", ["01"]) == (line["node"], line["detail"], line["more"])


def test_long_text_is_cut_and_says_so() -> None:
    records = as_fields(Note(0, "persist", ("n1", 1, "x" * 10_000)))["records"]
    assert tracefile.TEXT_MAX < len(records) < tracefile.TEXT_MAX + 40
    assert "10000 characters" in records


def test_calls_that_failures_name_are_found() -> None:
    assert (4, 12) == named_calls(["no_lost_update: call 12 was ...", "session_order: read 4 of up-0", "recall 7", ""])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    header = Header(seed=9, replay="replay it", plan="a plan", failures=("no",), calls=(3,), left_out={"calls": 2})
    path = tmp_path / "new" / "trace.jsonl"
    write(path, header, [as_fields(call(3))])
    assert (header, [as_fields(call(3))]) == read(path)
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("text", ["", "no json\n", '{"version": 99}\n', "[1]\n"])
def test_file_that_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(TraceFileError, match="no trace"):
        read(path)


def test_run_that_is_too_long_keeps_its_newest_messages_and_all_its_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracefile, "MESSAGES_MAX", 10)
    recorder = TraceRecorder()
    recorder(Note(0, "fault.crash", ("n1",)))
    for at_ns in range(100):
        recorder(datagram(at_ns))
    assert [0, *range(90, 100)] == [line["t"] for line in recorder.lines()]
    assert {"messages": 90} == recorder.left_out()


def test_messages_around_the_call_of_a_failure_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracefile, "MESSAGES_MAX", 10)
    recorder = TraceRecorder(["no_lost_update: call 7 was acknowledged"])
    for at_ns in range(50):
        recorder(datagram(at_ns))
    recorder(call(7, at_ns=50))
    for at_ns in range(51, 100):
        recorder(datagram(at_ns))
    assert list(range(45, 56)) == [line["t"] for line in recorder.lines()]
    assert {"messages": 89} == recorder.left_out()


def test_lines_of_all_groups_come_in_their_order() -> None:
    recorder = TraceRecorder()
    notes = [datagram(1), call(1, at_ns=1), Note(1, "heal", ()), datagram(2)]
    for note in notes:
        recorder(note)
    assert [note.kind for note in notes] == [line["kind"] for line in recorder.lines()]


def test_remark_reaches_the_observer_and_is_no_part_of_the_hash() -> None:
    seen: list[Note] = []
    observed, alone = Trace(Scheduler(), seen.append), Trace(Scheduler())
    observed.remark("cut", "n1", "n2")
    assert [Note(0, "cut", ("n1", "n2"))] == seen
    assert alone.digest() == observed.digest()
    assert "cut" in json.dumps(as_fields(seen[0]))
