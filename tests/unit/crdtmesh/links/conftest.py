"""Two sessions joined by hand, under virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crdtmesh.links.frames import Channel
from crdtmesh.links.options import Identity, LinkOptions
from crdtmesh.links.session import Session
from crdtmesh.links.states import Closed, Event, HelloReceived, MessagesReceived

SECOND_NS = 1_000_000_000


class Pair:
    """A dialling and an accepting session, and the bytes between them."""

    def __init__(self, options: LinkOptions, dialler: Identity, acceptor: Identity, *, admits: bool) -> None:
        self.now_ns = 0
        self.admits = admits
        self.dialler = Session(options, dialler, dials=True, now_ns=0, expected_node="b")
        self.acceptor = Session(options, acceptor, dials=False, now_ns=0)
        self.events: dict[Session, list[Event]] = {self.dialler: [], self.acceptor: []}
        self.written: dict[Session, bytearray] = {self.dialler: bytearray(), self.acceptor: bytearray()}

    def exchange(self) -> None:
        """Carry bytes both ways until nothing more is said."""
        while self.carry(self.dialler) | self.carry(self.acceptor):
            pass

    def carry(self, source: Session) -> bool:
        """Carry what one side has to say; whether that was anything."""
        self.collect(source)
        data = source.take_outgoing()
        self.written[source] += data
        target = self.acceptor if source is self.dialler else self.dialler
        if data:
            target.receive(data, now_ns=self.now_ns)
        self.collect(target)
        return bool(data)

    def collect(self, side: Session) -> None:
        for event in side.take_events():
            self.events[side].append(event)
            if isinstance(event, HelloReceived) and self.admits:
                side.admit(now_ns=self.now_ns)

    def advance(self, seconds: float, *, connected: bool = True) -> None:
        """Let time pass, ticking both sides whenever they ask for it."""
        end_ns = self.now_ns + int(seconds * SECOND_NS)
        sides = (self.dialler, self.acceptor)
        while due := [d for s in sides if (d := s.next_deadline_ns()) is not None and d <= end_ns]:
            assert min(due) >= self.now_ns - SECOND_NS
            self.now_ns = max(self.now_ns, min(due))
            for side in sides:
                side.tick(now_ns=self.now_ns)
                self.collect(side)
            if connected:
                self.exchange()
        self.now_ns = end_ns

    def closed(self, side: Session) -> Closed:
        event = self.events[side][-1]
        assert isinstance(event, Closed)
        return event

    def messages(self, side: Session, channel: Channel | None = None) -> list[bytes]:
        return [
            payload
            for event in self.events[side]
            if isinstance(event, MessagesReceived) and channel in (None, event.channel)
            for payload in event.payloads
        ]


MakePair = Callable[..., Pair]


@pytest.fixture
def make_pair() -> MakePair:
    """Make a pair; options, identities by keyword; `up=False` leaves the handshake to the test."""

    def make(
        *,
        up: bool = True,
        admits: bool = True,
        dialler: dict[str, Any] | None = None,
        acceptor: dict[str, Any] | None = None,
        **options: Any,
    ) -> Pair:
        first = replace(Identity(cluster="c", node="a", start_id=b"A" * 16), **(dialler or {}))
        second = replace(Identity(cluster="c", node="b", start_id=b"B" * 16), **(acceptor or {}))
        pair = Pair(LinkOptions(**options), first, second, admits=admits)
        if up:
            pair.exchange()
        return pair

    return make
