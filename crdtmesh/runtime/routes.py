"""Calls to other nodes and from them: one record for each peer, a batch for each flush.

A call goes to a peer once and is not passed on from there. What was sent and is lost with the link is `unknown`; what
was not sent yet is placed again by the runtime.
"""

from collections.abc import Iterable
from typing import Final

from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import CallFailure, ReplyColumns, ToPeer
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.peer_codec import (
    MESSAGE_ITEMS_MAX,
    TEXT_CHARS_MAX,
    PeerReplies,
    encode_calls,
    encode_replies,
    fits,
)
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.turn import Caller, CallTuple, Turn, TurnPhase

__all__ = ["Peer", "Routes"]

MS_NS: Final = 1_000_000

# A message is closed at this size, so that a batch of large payloads doesn't keep small calls of others waiting behind
# it in the link's queue; one item may be larger.
MESSAGE_BYTES_SOFT: Final = 256 << 10

# A call's or reply's cost beside its payload: numbers, indices, headers.
ITEM_BYTES: Final = 32

# The peer has no one to run it any more, and has done nothing: another may.
MOVED: Final = frozenset({ErrorCode.NO_HOST, ErrorCode.UNKNOWN_ACTOR, ErrorCode.DRAINING})


class Peer:
    """What passes between this node and a peer.

    Attributes:
        name: the peer's node name.
        is_up: there is a link.
        caller: the peer as a caller of this node.
        unsent: calls for it that were not taken yet.
        sent: calls that it has, by number.
        cancelled: numbers of calls whose caller no longer waits, to be told.
    """

    __slots__ = ("caller", "cancelled", "is_dirty", "is_up", "name", "sent", "unsent")

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_up = False
        self.caller = Caller(None, name)
        self.unsent: list[Turn] = []
        self.sent: dict[int, Turn] = {}
        self.cancelled: list[int] = []
        self.is_dirty = False


class Routes:
    """The peers, and calls on their way to them.

    Attributes:
        reachable: peers with a link, in order of its coming up.
    """

    __slots__ = ("_calls_max", "_dirty", "_peers", "_replies", "reachable")

    def __init__(self, options: RuntimeOptions, replies: Replies) -> None:
        self._calls_max = options.peer_calls_max
        self._replies = replies
        self._peers: dict[str, Peer] = {}
        self._dirty: list[Peer] = []
        self.reachable: dict[str, Peer] = {}

    def peer(self, name: str) -> Peer:
        """The record of a peer; made at its first mention. Names come from links, so they are of admitted nodes."""
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = Peer(name)
        return peer

    def up(self, name: str) -> None:
        """A link is up."""
        peer = self.peer(name)
        peer.is_up = True
        self.reachable[name] = peer

    def down(self, name: str) -> tuple[Caller | None, list[Turn]]:
        """A link is down: what was sent is `peer_lost`.

        Returns:
            The peer as a caller, whose calls are to be cancelled, and the calls that were not sent yet.
        """
        self.reachable.pop(name, None)
        peer = self._peers.pop(name, None)
        if peer is None:
            return None, []
        if peer.is_dirty:
            self._dirty.remove(peer)
        for turn in list(peer.sent.values()):
            message = f"the link to {name} went down; the call may have had its effect there"
            self._replies.fail(turn, ErrorCode.PEER_LOST, Outcome.UNKNOWN, message)
        peer.sent.clear()
        return peer.caller, [turn for turn in peer.unsent if turn.phase is TurnPhase.QUEUED]

    def route(self, turn: Turn, peer: Peer) -> None:
        """Queues a call for a peer; it leaves with the next `take`."""
        if len(peer.sent) + len(peer.unsent) >= self._calls_max:
            message = f"{self._calls_max} calls wait for {peer.name} (peer_calls_max); call later"
            self._replies.fail(turn, ErrorCode.MAILBOX_FULL, Outcome.NOT_APPLIED, message)
            return
        if not fits(turn.call):
            message = f"a call to another node expects texts of {TEXT_CHARS_MAX} characters at most, and less metadata"
            self._replies.fail(turn, ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED, message)
            return
        turn.peer = peer
        peer.unsent.append(turn)
        self._mark(peer)

    def cancel(self, turn: Turn) -> None:
        """Nobody waits for a routed call any more; the turn has ended."""
        peer = turn.peer
        if peer is not None and peer.sent.pop(turn.number, None) is not None:
            peer.cancelled.append(turn.number)
            self._mark(peer)

    def _mark(self, peer: Peer) -> None:
        if not peer.is_dirty:
            peer.is_dirty = True
            self._dirty.append(peer)

    # --- in

    def answered(self, peer: Peer, message: PeerReplies) -> list[Turn]:
        """Takes a peer's replies; those to calls that it doesn't have are ignored (they were late).

        Returns:
            Calls that the peer could not run and left alone, to be placed again.
        """
        moved = []
        for number, type_url, payload in message.replies:
            turn = peer.sent.pop(number, None)
            if turn is not None:
                self._replies.reply(turn, type_url, payload)
        for number, code, outcome, words in message.failures:
            turn = peer.sent.pop(number, None)
            if turn is None:
                continue
            if code in MOVED and outcome is Outcome.NOT_APPLIED and turn.caller is not None:
                turn.phase = TurnPhase.QUEUED
                turn.tried = (*turn.tried, peer.name)
                moved.append(turn)
            else:
                self._replies.fail(turn, code, outcome, words)
        return moved

    def refused(self, message: ToPeer) -> None:
        """The link would not take a message: its calls were not sent, its replies are lost."""
        peer = self._peers.get(message.peer)
        for number in message.calls:
            turn = None if peer is None else peer.sent.pop(number, None)
            if turn is not None:
                words = f"the link to {message.peer} takes no more; call later, or send less"
                self._replies.fail(turn, ErrorCode.MAILBOX_FULL, Outcome.NOT_APPLIED, words)

    # --- out

    def take_calls(self, now_ns: int) -> list[ToPeer]:
        """Calls and cancellations to be sent, emptied."""
        messages: list[ToPeer] = []
        dirty, self._dirty = self._dirty, []
        for peer in dirty:
            peer.is_dirty = False
            unsent, peer.unsent = peer.unsent, []
            cancelled, peer.cancelled = peer.cancelled, []
            for batch in _batches(turn for turn in unsent if turn.phase is TurnPhase.QUEUED):
                for turn in batch:
                    turn.phase = TurnPhase.DISPATCHED
                    peer.sent[turn.number] = turn
                payload = encode_calls([_outgoing(turn, now_ns) for turn in batch], ())
                messages.append(ToPeer(peer.name, payload, tuple(turn.number for turn in batch)))
            for start in range(0, len(cancelled), MESSAGE_ITEMS_MAX):
                payload = encode_calls((), cancelled[start : start + MESSAGE_ITEMS_MAX])
                messages.append(ToPeer(peer.name, payload, ()))
        return messages


def _outgoing(turn: Turn, now_ns: int) -> CallTuple:
    """The call as the peer is told it: by our number, with the time that is left."""
    _, address, action, type_url, payload, _, extra = turn.call
    return turn.number, address, action, type_url, payload, max(1, (turn.deadline_ns - now_ns) // MS_NS), extra


def _batches(turns: Iterable[Turn]) -> Iterable[list[Turn]]:
    """Cuts calls into messages; one above the soft size travels alone, so that its refusal hits nobody else."""
    batch: list[Turn] = []
    size = 0
    for turn in turns:
        cost = len(turn.call[4]) + ITEM_BYTES
        if batch and (size + cost > MESSAGE_BYTES_SOFT or len(batch) >= MESSAGE_ITEMS_MAX):
            yield batch
            batch, size = [], 0
        batch.append(turn)
        size += cost
    if batch:
        yield batch


def reply_messages(peer: str, columns: ReplyColumns) -> list[ToPeer]:
    """Replies to a peer, cut into messages likewise."""
    messages: list[ToPeer] = []
    part, size = ReplyColumns(), 0

    def close(cost: int) -> None:
        nonlocal part, size
        is_full = size + cost > MESSAGE_BYTES_SOFT or len(part.ids) + len(part.failures) >= MESSAGE_ITEMS_MAX
        if size and is_full:
            messages.append(ToPeer(peer, encode_replies(part), ()))
            part, size = ReplyColumns(), 0
        size += cost

    for call_id, type_url, payload in zip(columns.ids, columns.type_urls, columns.payloads, strict=True):
        if len(type_url) > TEXT_CHARS_MAX:
            message = f"the handler answered with a type URL of {len(type_url)} characters"
            columns.failures.append(CallFailure(call_id, ErrorCode.INVALID_REQUEST, Outcome.UNKNOWN, message))
            continue
        close(len(payload) + ITEM_BYTES)
        part.ids.append(call_id)
        part.type_urls.append(type_url)
        part.payloads.append(payload)
    for failure in columns.failures:
        close(len(failure.message) + ITEM_BYTES)
        part.failures.append(failure)
    if size:
        messages.append(ToPeer(peer, encode_replies(part), ()))
    return messages
