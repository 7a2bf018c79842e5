"""Rare branches of production that a range of seeds must reach, so that "0 failures" means something.

A marker is a watch on a method, put on from outside for as long as a run lasts: production pays nothing for it and
knows nothing of it. `reached` counts how often each was hit; one that no seed of the nightly range hits is shown, and
fails it: either the faults are too tame, or the branch is dead.
"""

from asyncio import events
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from crdtmesh.links.manager import LinkManager
from crdtmesh.links.peering import Backoff
from crdtmesh.links.session import Session as LinkSession
from crdtmesh.replication.auditing import Auditor
from crdtmesh.replication.checkpoint import Checkpoints
from crdtmesh.replication.confirming import Confirmer
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.handover import Handovers
from crdtmesh.replication.receiver import Receiver
from crdtmesh.replication.session import Session
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.tokens import Tokens
from crdtmesh.replication.updating import Updates
from crdtmesh.replication.watch import Watch
from crdtmesh.runtime.errors import ErrorCode
from crdtmesh.runtime.lives import Lives
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.results import Results
from crdtmesh.runtime.routes import Routes
from gossip.refutation import Refuter
from gossip.rules import Rules


class Mark(NamedTuple):
    """A branch to reach.

    Attributes:
        owner: the class.
        method: its method; looked up by its name, so that type checkers see when it is renamed.
        when: given the object, its arguments and what it returned, whether the branch was taken.
    """

    owner: type
    method: Callable[..., Any]
    when: Callable[..., bool] = lambda self, arguments, result: True

    @property
    def name(self) -> str:
        """Of the method."""
        return self.method.__name__


def _again(self: Any, _arguments: tuple[Any, ...], _result: Any) -> bool:
    return bool(self.sent_chunks)


MARKS: Final[dict[str, Mark]] = {
    "audit compared equal shards": Mark(Auditor, Auditor.found, lambda self, arguments, result: self.count > 0),
    "checkpoint finished": Mark(Checkpoints, Checkpoints._finish),
    "entry copied for an open snapshot": Mark(
        Entry, Entry.detach, lambda self, arguments, result: self.open_snapshot is not None
    ),
    "handover of a whole shard begun": Mark(Handovers, Handovers.begin),
    "entry removed because it had expired": Mark(
        Updates, Updates.remove_expired, lambda self, arguments, result: bool(result)
    ),
    "index trimmed": Mark(Shard, Shard.trim),
    "level: a voter lacked what was asked": Mark(Confirmer, Confirmer.on_lacks),
    "link abandoned a dial": Mark(LinkManager, LinkManager._abandon_dial, lambda self, arguments, result: True),
    "link backed off": Mark(Backoff, Backoff.next_delay_s, lambda self, arguments, result: self._failures > 3),
    "link drained before it closed": Mark(
        LinkSession, LinkSession.close, lambda self, arguments, result: self.state.value == "draining"
    ),
    "link forgot a peer": Mark(LinkManager, LinkManager._forget),
    "member refuted": Mark(Refuter, Refuter.refute),
    "repair refreshed its base": Mark(Session, Session._refresh, _again),
    "runtime called a peer's host": Mark(Routes, Routes.route),
    "runtime ended what was too late": Mark(
        Replies, Replies.fail, lambda self, arguments, result: arguments[1] is ErrorCode.TIMEOUT
    ),
    "runtime lost a host": Mark(Lives, Lives.host_lost),
    "runtime put an actor out of memory": Mark(Lives, Lives._put_out),
    "runtime refused a call for a full mailbox": Mark(
        Replies, Replies.fail, lambda self, arguments, result: arguments[1] is ErrorCode.MAILBOX_FULL
    ),
    "runtime refused a turn": Mark(Results, Results.refuse),
    "runtime tried another peer": Mark(Routes, Routes.route, lambda self, arguments, result: bool(arguments[0].tried)),
    "operation id found again": Mark(
        Updates, Updates.update_batch, lambda self, arguments, result: result.event is None
    ),
    "read at a level repaired a voter": Mark(Confirmer, Confirmer._send_entries),
    "shard taken over": Mark(Receiver, Receiver._take_over),
    "suspicion ended in death": Mark(Rules, Rules.on_suspicion_over),
    "token waited for": Mark(Tokens, Tokens.await_token, lambda self, arguments, result: bool(self._waiting)),
    "watch went on where it was": Mark(Watch, Watch.rewind, lambda self, arguments, result: bool(result)),
}
"""By name."""


@contextmanager
def watching() -> Iterator[Counter[str]]:
    """Counts what is reached meanwhile."""
    reached: Counter[str] = Counter()
    originals = [(mark.owner, mark.name, mark.owner.__dict__[mark.name]) for mark in MARKS.values()]
    for name, mark in MARKS.items():
        setattr(mark.owner, mark.name, _watched(mark.owner.__dict__[mark.name], name, mark.when, reached))
    try:
        yield reached
    finally:
        for owner, method, original in originals:
            setattr(owner, method, original)


def _watched(
    method: Callable[..., Any], name: str, when: Callable[..., bool], reached: Counter[str]
) -> Callable[..., Any]:
    def watched(self: Any, *arguments: Any, **rest: Any) -> Any:
        result = method(self, *arguments, **rest)
        # What a dead process does while its coroutines are closed is no part of the run.
        loop = events._get_running_loop()
        if (loop is None or not loop.is_closed()) and when(self, arguments, result):
            reached[name] += 1
        return result

    return watched
