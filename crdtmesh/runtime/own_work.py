"""What the node does with a state itself: read actions, operations from outside, and a look at a majority's copies."""

from collections.abc import Callable, Hashable
from typing import Final

from crdtmesh.crdts.errors import CrdtError
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.entry import EntryView
from crdtmesh.replication.errors import ReplicationError, SnapshotInUse
from crdtmesh.replication.levels import MAJORITY, Level
from crdtmesh.replication.outputs import EntryKey, ReadAt
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime import opaque, revisions
from crdtmesh.runtime.activation import Activation
from crdtmesh.runtime.copies import opaque_state
from crdtmesh.runtime.definition import StateKind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import NO_PAYLOAD, STATE_CHANGED, STATE_UNCHANGED, STATE_VALUE
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.results import refusal
from crdtmesh.runtime.turn import Turn, TurnPhase

__all__ = ["OwnWork", "StateEncoder"]

StateEncoder = Callable[[str, PlainValue], bytes]
"""`(type name, plain value) -> bytes` of a `crdtmesh.v1.Value`."""

# What a read action answers when there is no state.
NOTHING_SHOWN: Final = (NO_PAYLOAD, b"")

# Five seconds: a majority that is there answers within a round trip, and calls that wait have a minute.
LOAD_TIMEOUT_NS: Final = 5_000_000_000


class OwnWork:
    """Reads, updates and loads of one node.

    Attributes:
        loads: activations that wait for their state, by the ticket of the read; the runtime takes them.
    """

    __slots__ = ("_encode_state", "_loads", "_replica", "_replies", "loads")

    def __init__(self, replica: Replica, replies: Replies, encode_state: StateEncoder) -> None:
        self._replica = replica
        self._replies = replies
        self._encode_state = encode_state
        self._loads = 0
        self.loads: dict[Hashable, Activation] = {}

    def load(self, activation: Activation, *, now_ns: int) -> bool:
        """Begins to ask a majority for an opaque state; False when it may be taken as it is here."""
        level, definition = activation.write_level, activation.definition
        if activation.key is None or definition.state is not StateKind.OPAQUE or definition.is_available:
            return False
        if level is None or level.is_local:
            return False
        self._loads += 1
        ticket = ("load", self._loads)
        self.loads[ticket] = activation
        self._replica.read_at(activation.key, level=MAJORITY, ticket=ticket, timeout_ns=LOAD_TIMEOUT_NS, now_ns=now_ns)
        return True

    def read_of(self, activation: Activation, turn: Turn, *, now_ns: int) -> None:
        """Answers a read action with the state of an actor that is in memory."""
        definition, key = activation.definition, activation.key
        if definition.state is StateKind.MERGED:
            assert key is not None
            self.read(turn, key, now_ns=now_ns)
        elif key is None:
            self._replies.reply(turn, activation.memory.type_url, activation.memory.data)
        else:
            entry = self._replica.read(key)
            state = definition.initial if entry is None else opaque_state(definition, entry)
            self._replies.hold_seen(activation, turn, state.type_url, state.data, now_ns=now_ns)

    def read(self, turn: Turn, key: EntryKey, *, now_ns: int) -> None:
        """Answers a read action with a replicated state: as it is here now, or as the level has it that it asks for."""
        level = turn.read_level
        if level is None or level.is_local:
            entry = self._replica.read(key)
            self._replies.hold(turn, *(NOTHING_SHOWN if entry is None else self._shown(key, entry.value())))
        else:
            turn.phase = TurnPhase.HELD
            turn.key = key
            ticket = self._replies.ticket(turn)
            timeout_ns = max(0, turn.deadline_ns - now_ns)
            self._replica.read_at(key, level=level, ticket=ticket, timeout_ns=timeout_ns, now_ns=now_ns)

    def read_done(self, read: ReadAt) -> None:
        """A read at a level has its answer."""
        for turn in self._replies.take_held(read.ticket):
            assert turn.key is not None
            self._replies.reply(turn, *(self._shown(turn.key, read.value) if read.found else NOTHING_SHOWN))

    def _shown(self, key: EntryKey, value: PlainValue) -> tuple[str, bytes]:
        return STATE_VALUE, self._encode_state(key.type_name, value)

    def update(self, turn: Turn, key: EntryKey, activation: Activation | None, *, now_ns: int, wall_ms: int) -> None:
        """Applies operations from outside a turn; the actor of this entry, if it is in memory, has none in flight."""
        try:
            entry = self._apply(turn, key, activation, wall_ms)
        except SnapshotInUse:
            message = "an actor of this update of several entries is in a turn; call again"
            self._replies.fail(turn, ErrorCode.MAILBOX_FULL, Outcome.NOT_APPLIED, message)
            return
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self._replies.fail(turn, code, Outcome.NOT_APPLIED, words)
            return
        type_url = STATE_UNCHANGED if turn.run is None else STATE_CHANGED
        turn.has_written = turn.run is not None
        payload = self._encode_state(key.type_name, entry.value())
        level = turn.write_level or (activation.write_level if activation is not None else None)
        self._hold(turn, key, level, type_url, payload, now_ns=now_ns)

    def has_done(self, activation: Activation, turn: Turn, *, now_ns: int, wall_ms: int) -> bool:
        """Ends a turn that was done before under its operation id, without a payload; whether it ended."""
        key = activation.key
        if key is None:
            message = (
                f"actor {activation.definition.address} has no state, so it keeps no operation ids; call without one"
            )
            self._replies.fail(turn, ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED, message)
            return True
        if not self._replica.has_done(key, turn.operation_id, wall_ms=wall_ms):
            return False
        self._hold(turn, key, turn.write_level or activation.write_level, *NOTHING_SHOWN, now_ns=now_ns)
        return True

    def restore(self, turn: Turn, activation: Activation, *, now_ns: int, wall_ms: int) -> bool:
        """Puts a revision in the place of an opaque state, which becomes one itself; whether it did.

        Otherwise the turn has failed, and the state is what it was.
        """
        definition, key = activation.definition, activation.key
        if key is None or definition.state is not StateKind.OPAQUE:
            message = f"actor {definition.address} has no opaque state; there are revisions of those only"
            self._replies.fail(turn, ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED, message)
            return False
        aside = key._replace(type_name=opaque.LOSERS_TYPE)
        entry = self._replica.read(aside)
        kept = None if entry is None else entry.value()
        number = revisions.number_in(turn.call[4])
        state = revisions.find(kept, number)
        if state is None:
            message = f"actor {definition.address}: {revisions.missing(kept, number, definition.revisions_max)}"
            self._replies.fail(turn, ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED, message)
            return False
        view = self._replica.snapshot(key)
        put = [opaque.set_aside(*loser) for loser in opaque.losers(view.store)]
        put += revisions.keep(kept, opaque_state(definition, view), definition.revisions_max)
        view.close()
        try:
            self._replica.update(aside, put, ticket=None, wall_ms=wall_ms)
            put = [Operation("set", (opaque.to_plain(state),))]
            turn.run = self._replica.update(key, put, ticket=None, wall_ms=wall_ms).event
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self._replies.fail(turn, code, Outcome.NOT_APPLIED, words)
            return False
        turn.has_written = True
        self._hold(turn, key, activation.write_level, STATE_CHANGED, b"", now_ns=now_ns)
        return True

    def _hold(
        self, turn: Turn, key: EntryKey, level: Level | None, type_url: str, payload: bytes, *, now_ns: int
    ) -> None:
        """Ends a turn well, behind the level of what it wrote or repeated."""
        if level is None or level.is_local:
            self._replies.hold(turn, type_url, payload)
        else:
            self._replies.hold_until_level(turn, key, level, type_url, payload, now_ns=now_ns)

    def _apply(self, turn: Turn, key: EntryKey, activation: Activation | None, wall_ms: int) -> EntryView:
        """Updates one entry, or several as one event; the first entry after it."""
        if turn.others or turn.operation_id or turn.ttl_ms is not None:
            # Actors in memory hear of it by the replica's events.
            updates = [(key, turn.operations), *turn.others]
            batch = self._replica.update_batch(
                updates, ticket=None, wall_ms=wall_ms, operation_id=turn.operation_id, ttl_ms=turn.ttl_ms
            )
            turn.run = batch.event
            return batch.entries[0]
        result = self._replica.update(key, turn.operations, ticket=None, wall_ms=wall_ms)
        turn.run = result.event
        if result.event is not None and activation is not None:
            activation.account(result.touched, result.entry.version)
        return result.entry
