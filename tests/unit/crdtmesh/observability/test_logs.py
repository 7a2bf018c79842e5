import io
import json
import logging

from crdtmesh.observability import logs


def _written(*, as_json: bool, member: str, state: str = "") -> str:
    stream = io.StringIO()
    stop = logs.configure("info", as_json=as_json, stream=stream)
    logs.event(logging.getLogger("test"), logging.INFO, "member.joined", member=member, state=state)
    stop()
    return stream.getvalue()


def test_a_field_can_not_forge_a_line() -> None:
    text = _written(as_json=False, member="evil\n12:00:00.000 ERROR   promise.broken \x1b[31m")

    assert 1 == text.count("\n")
    assert "\x1b" not in text


def test_a_long_field_is_cut() -> None:
    assert len(_written(as_json=False, member="x" * 10_000)) < 400


def test_json_lines_carry_event_and_fields() -> None:
    line = json.loads(_written(as_json=True, member="a", state="alive"))

    assert ("member.joined", "a", "alive") == (line["event"], line["member"], line["state"])


def test_the_rate_limit_lets_a_burst_through_and_then_one_at_a_time() -> None:
    now = 0.0
    limit = logs.RateLimit(2.0, clock=lambda: now)

    assert [True, True, False, False] == [limit() for _ in range(4)]
    assert 2 == limit.suppressed
    now = 0.5
    assert [True, False] == [limit(), limit()]


def test_a_rate_below_one_lets_one_through_now_and_then() -> None:
    now = 0.0
    limit = logs.RateLimit(0.1, clock=lambda: now)

    assert [True, False] == [limit(), limit()]
    now = 10.0
    assert [True, False] == [limit(), limit()]
