"""The actors of one node: calls come in as values, turns and replies go out as values. A core, without I/O.

Driven by the node's engine, in this order on every loop turn: inputs (`invoke`, `host_answered`, `peer_message`, the
replica's events by `state_changed`, `committed`, ...), then `seal`, then the replica's outputs and events, then
`take_outgoing` and `take_events`.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from crdtmesh.runtime.definition import ActorDefinition
from crdtmesh.runtime.messages import CallerId, HostId, Offers, Outgoing, ToPeer


class Runtime:
    """Hosts, activations, calls and routes of one node.

    Args of the constructor:
        options: bounds and times.
        node: this node's name.
        replica: the replicated state (see `states.States` for what is needed of it).
        encode_state: `(type name, plain value) -> bytes` of a `crdtmesh.v1.Value`, for what the node answers itself.
        now_ns: monotonic time.
    """

    # --- hosts

    def register(self, definitions: Sequence[ActorDefinition]) -> None:
        """Declares actors without a host (`Actors.Register`). Raises RegistrationRefused; then nothing was."""
        raise NotImplementedError

    def host_connected(self, host: HostId, definitions: Sequence[ActorDefinition], *, now_ns: int) -> None:
        """A host offers these actors. Raises RegistrationRefused; then nothing was registered."""
        raise NotImplementedError

    def host_answered(
        self,
        host: HostId,
        answers: Iterable[tuple[int, str, bytes, Sequence[object]]],  # `TurnAnswer`, or any such tuple
        failures: Iterable[tuple[int, str, int]] = (),  # `TurnFailure`
        *,
        now_ns: int,
        wall_ms: int,
    ) -> None:
        """Answers to turns; those that nobody asked for are counted and ignored."""
        raise NotImplementedError

    def host_lost(self, host: HostId, *, now_ns: int) -> None:
        """The host's stream has ended."""
        raise NotImplementedError

    # --- callers; replies come out of `take_outgoing` under the same id, exactly one for each call

    def invoke(self, caller: CallerId, calls: Iterable[tuple[object, ...]], *, now_ns: int) -> None:
        """Takes `Call`s, or any such tuples; a caller needs no introduction."""
        raise NotImplementedError

    def cancel(self, caller: CallerId, ids: Iterable[int], *, now_ns: int) -> None:
        """The caller no longer waits for these: they get no reply."""
        raise NotImplementedError

    def caller_lost(self, caller: CallerId, *, now_ns: int) -> None:
        """Cancels all calls of this caller and forgets it."""
        raise NotImplementedError

    def update_state(
        self, caller: CallerId, update: int, key: Hashable, operations: Sequence[object], *, now_ns: int, wall_ms: int
    ) -> None:
        """`State.Update` of an `EntryKey`, in the queue of the actor that has this state.

        The reply is one as to a call with the id `update`: type URL `STATE_CHANGED` or `STATE_UNCHANGED`, payload the
        encoded state after it.
        """
        raise NotImplementedError

    # --- peers

    def peer_up(self, peer: str) -> None:
        """A link to this node is up."""
        raise NotImplementedError

    def peer_down(self, peer: str, *, now_ns: int) -> None:
        """The link to this node is down."""
        raise NotImplementedError

    def peer_message(self, peer: str, payload: bytes, *, now_ns: int) -> None:
        """A message of the INVOKE channel. Never raises for what it holds."""
        raise NotImplementedError

    def peer_refused(self, message: ToPeer, *, now_ns: int) -> None:
        """The link would not take a message of `take_outgoing`."""
        raise NotImplementedError

    def directory_changed(self, offers: Mapping[str, Offers], *, now_ns: int) -> None:
        """What the other live nodes offer, by node name; replaces what was known."""
        raise NotImplementedError

    def offers(self) -> Offers:
        """What this node has hosts for; changes are announced by the event `OffersChanged`."""
        raise NotImplementedError

    # --- the replica's events

    def state_changed(self, key: Hashable, touched: object, version: int) -> None:
        """`Changed` of the replica, whoever changed it."""
        raise NotImplementedError

    def committed(self, ticket: Hashable) -> None:
        """`Committed` of the replica; tickets of others are ignored."""
        raise NotImplementedError

    def commit_failed(self, ticket: Hashable, reason: str) -> None:
        """`CommitFailed` of the replica; tickets of others are ignored."""
        raise NotImplementedError

    # --- shutting down

    def drain(self) -> None:
        """Refuses new calls from here on; `is_drained` turns true when the last one has its reply."""
        raise NotImplementedError

    # --- verbs

    def seal(self) -> None:
        """Asks the replica to say when all that the open replies could have seen is on disk."""
        raise NotImplementedError

    def tick(self, *, now_ns: int) -> None:
        """Everything due at or before now."""
        raise NotImplementedError

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; may be early, is never late."""
        raise NotImplementedError

    def take_outgoing(self) -> Outgoing:
        """What is to be sent."""
        raise NotImplementedError

    def take_events(self) -> list[object]:
        """What happened."""
        raise NotImplementedError


StateEncoder = Callable[[str, object], bytes]
