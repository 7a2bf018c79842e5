from typing import Final

import pytest

from crdtmesh.engine_ports import Counters
from crdtmesh.engine_sinks import Sinks
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import (
    CallerId,
    CallFailure,
    ChannelMessage,
    HostId,
    Outgoing,
    ReplyColumns,
    TurnColumns,
)

MESSAGE: Final = ChannelMessage("", b"news", None)


class Taker:
    """Notes everything that is delivered."""

    def __init__(self) -> None:
        self.taken: list[object] = []

    def deliver_replies(self, columns: ReplyColumns) -> None:
        self.taken.append(columns)

    def deliver_turns(self, columns: TurnColumns) -> None:
        self.taken.append(columns)

    def deliver_message(self, message: ChannelMessage) -> None:
        self.taken.append(message)

    def deliver_notice(self, message: str) -> None:
        self.taken.append(message)


@pytest.fixture
def sinks() -> Sinks:
    return Sinks(Counters())


def _replies(*failures: CallFailure) -> ReplyColumns:
    columns = ReplyColumns()
    columns.ids.append(1)
    columns.failures += failures
    return columns


def test_each_gets_what_is_for_it(sinks: Sinks) -> None:
    host, caller, subscriber = Taker(), Taker(), Taker()
    sinks.hosts[HostId(1)] = host
    sinks.callers[CallerId(2)] = caller
    sinks.subscribers[CallerId(3)] = subscriber
    turns, replies = TurnColumns(), _replies()

    sinks.deliver(Outgoing([(HostId(1), turns)], [(CallerId(2), replies)], [], [(CallerId(3), MESSAGE)]))

    assert ([turns], [replies], [MESSAGE]) == (host.taken, caller.taken, subscriber.taken)


def test_what_nobody_waits_for_is_dropped_and_still_counted() -> None:
    counters = Counters()
    failure = CallFailure(2, ErrorCode.TIMEOUT, Outcome.UNKNOWN, "too late")

    Sinks(counters).deliver(
        Outgoing([(HostId(1), TurnColumns())], [(CallerId(2), _replies(failure))], [], [(CallerId(3), MESSAGE)])
    )

    assert (2, {"timeout": 1}) == (counters.calls, counters.failures)


def test_a_notice_goes_to_the_hosts_that_are_there(sinks: Sinks) -> None:
    host, other = Taker(), Taker()
    sinks.hosts.update({HostId(1): host, HostId(2): other})

    sinks.notice([HostId(1), HostId(7)], "declared otherwise")

    assert (["declared otherwise"], []) == (host.taken, other.taken)


def test_no_number_is_given_twice(sinks: Sinks) -> None:
    assert [1, 2, 3] == [sinks.new_id() for _ in range(3)]
