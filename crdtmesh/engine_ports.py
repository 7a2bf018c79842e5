"""What an engine is connected to: where its outputs go, what its node hears of, and how waiting for it can end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.messages import ChannelMessage, ReplyColumns, TurnColumns

__all__ = ["CallerSink", "CommitLost", "Counters", "Hooks", "HostSink", "LevelUnreached", "SubscriberSink"]


class CommitLost(Exception):
    """What a read could have seen will not reach the disk; whether it survives is unknown."""


class LevelUnreached(Exception):
    """A read got no answer of as many voters as its level asks for, in its time.

    Attributes:
        acks: voters that were counted.
        needed: how many the level asks for.
    """

    def __init__(self, acks: int, needed: int) -> None:
        super().__init__(f"{needed} voters expected, {acks} answered in time; ask for a lower level, or later")
        self.acks = acks
        self.needed = needed


class CallerSink(Protocol):
    """Where the replies to one caller go."""

    def deliver_replies(self, columns: ReplyColumns) -> None:
        """Takes replies; must not block."""


class SubscriberSink(Protocol):
    """Where the messages of a channel go."""

    def deliver_message(self, message: ChannelMessage) -> None:
        """Takes a message; must not block."""


class HostSink(Protocol):
    """Where the turns of one host go."""

    def deliver_turns(self, columns: TurnColumns) -> None:
        """Takes turns; must not block."""

    def deliver_notice(self, message: str) -> None:
        """Takes words for the people behind the host."""


@dataclass(slots=True)
class Hooks:
    """What the node wants to hear of.

    Attributes:
        changed: an entry changed.
        caught_up: what a peer had of a system is applied here.
        reconciled: what a peer had of all systems, when this node came, is applied here.
        offers_changed: this node offers other actors than before.
        read_only: a commit failed; nothing more is acknowledged.
        identity_needed: the replica needs a fresh id.
        failed: the cores broke one of their own rules; the engine has stopped, and so must the node.
    """

    changed: Callable[[EntryKey], None] = lambda key: None
    caught_up: Callable[[str], None] = lambda system: None
    reconciled: Callable[[], None] = lambda: None
    offers_changed: Callable[[], None] = lambda: None
    read_only: Callable[[str], None] = lambda reason: None
    identity_needed: Callable[[], None] = lambda: None
    failed: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Counters:
    """What happened since the start.

    Attributes:
        calls: calls taken.
        failures: calls that failed, by error code.
        rejected: peers' payloads that were not understood, by reason.
        clients_rejected: messages of local clients and hosts that were not understood, by reason.
        alarms: by kind.
        conflicts: opaque states that were written at two places at once and put aside.
        definition_conflicts: actors that hosts declared as different things.
    """

    calls: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    clients_rejected: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    definition_conflicts: int = 0

    def named(self) -> dict[str, int]:
        """Under the names that status shows."""
        return {
            **{f"call.failed.{code}": count for code, count in sorted(self.failures.items())},
            **{f"replication.rejected.{reason}": count for reason, count in sorted(self.rejected.items())},
            **{f"client.rejected.{reason}": count for reason, count in sorted(self.clients_rejected.items())},
            **{f"replication.alarm.{kind}": count for kind, count in sorted(self.alarms.items())},
            "actor.state_conflicts": self.conflicts,
            "actor.definition_conflicts": self.definition_conflicts,
        }
