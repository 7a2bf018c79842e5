"""The asker's side of levels: asks voters to confirm events, counts those that did, and says when time is over.

Writes that end in one flush share a *wave*: one question about all of their events to each voter. A read *gathers*
first: it asks voters for what they have of the entry beyond its own E, joins it, and then sends what each of them
lacked and waits in a wave for that to be confirmed. So all voters that were counted have what the read shows.

Whom it asks: as many voters with a link as the level needs, those first that were not slow of late; after a fifth of
the time all others too, and those that did not answer once more, urgently: one that lacks the events says so and is
sent the entries. What it counts: voters by the replicated list at that moment, each once, by the name that its link
proves; and this node, if it counts and the events are on its disk.
"""

import heapq
from collections.abc import Hashable
from typing import Final

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication import level_wire as lw
from crdtmesh.replication import wire
from crdtmesh.replication.entry_states import asked_for, entry_messages, events_of, owners_of
from crdtmesh.replication.events import EntryName
from crdtmesh.replication.ground import Ground, VoterLists
from crdtmesh.replication.levels import Level, needed
from crdtmesh.replication.outputs import CommitFailed, Committed, EntryKey, LevelTimeout, ReadAt
from crdtmesh.replication.reconciling import Reconciler
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.systems import shard_number
from crdtmesh.replication.waves import Gathering, OwnCopy, Waiter, Wave, count

# Further voters are asked after this part of the time.
WIDEN_PART: Final = 5


class Confirmer:
    """Waits for levels on behalf of the calls of this node.

    Args:
        ground: the replica.
        voters: the voter lists.
        reconciler: knows whether this node counts.
        number: random; questions count up from it.
    """

    __slots__ = (
        "_due",
        "_gatherings",
        "_ground",
        "_next",
        "_open",
        "_reconciler",
        "_slow",
        "_standings",
        "_voters",
        "_waves",
    )

    def __init__(self, ground: Ground, voters: VoterLists, reconciler: Reconciler, *, number: int) -> None:
        self._ground = ground
        self._voters = voters
        self._reconciler = reconciler
        self._next = number
        # Waves of the flush that is coming, by shard.
        self._open: dict[Shard, Wave] = {}
        self._waves: dict[int, Wave] = {}
        self._gatherings: dict[int, Gathering] = {}
        # When to look at which number again; what is over by then is skipped.
        self._due: list[tuple[int, int]] = []
        # Peers that let the last question wait until it was widened.
        self._slow: dict[str, None] = {}
        # By system that somebody waited for: what was counted by, when that was last looked at.
        self._standings: dict[str, tuple[frozenset[str], bool]] = {}

    # --- commands

    def write(
        self,
        ticket: Hashable,
        shard: Shard,
        events: CausalContext,
        *,
        level: Level,
        timeout_ns: int,
        now_ns: int,
    ) -> None:
        """Waits until a level has applied these events, and has them on disk."""
        self._watch(shard.system)
        widen_ns = now_ns + timeout_ns // WIDEN_PART
        wave = self._open.get(shard)
        if wave is None:
            wave = self._open[shard] = Wave(self._number(), shard, CausalContext(shard.table), widen_ns=widen_ns)
        wave.events.update(events)
        self._add(wave, Waiter(ticket, level, now_ns + timeout_ns, Committed(ticket)), widen_ns)

    def read(
        self,
        ticket: Hashable,
        key: EntryKey,
        *,
        level: Level,
        timeout_ns: int,
        now_ns: int,
        shows_value: bool = True,
        shard: int | None = None,
    ) -> None:
        """Joins an entry from a level, and has it there; with an empty type, those of a shard whose keys begin so."""
        self._watch(key.system)
        widen_ns = now_ns + timeout_ns // WIDEN_PART
        gathering = Gathering(
            self._number(),
            key,
            shard_number(key.key, self._ground.systems.shards) if shard is None else shard,
            ticket=ticket,
            level=level,
            deadline_ns=now_ns + timeout_ns,
            widen_ns=widen_ns,
            shows_value=shows_value,
        )
        self._gatherings[gathering.number] = gathering
        self._at(gathering.deadline_ns, gathering.number)
        self._at(widen_ns, gathering.number)
        self._ask_for_entry(gathering)
        self._look(gathering)

    # --- what voters answer

    def on_confirmed(self, peer: str, number: int) -> None:
        """A voter has the events of a wave."""
        self._slow.pop(peer, None)
        wave = self._waves.get(number)
        if wave is not None and peer in wave.asked:
            wave.acks[peer] = None
            self._judge(wave)

    def on_lacks(self, peer: str, shard: Shard, lacks: lw.Lacks) -> None:
        """A voter has not got the events of a wave: it is sent their entries."""
        self._slow.pop(peer, None)
        wave = self._waves.get(lacks.number)
        if wave is not None and wave.shard is shard and peer in wave.asked and peer not in wave.acks:
            missing = wave.events.difference(lacks.applied)
            self._send_entries(peer, shard, lacks.applied, owners_of(shard, missing))

    def on_has(self, peer: str, shard: Shard, has: lw.Has) -> None:
        """A voter said what it has; what this node lacked of the entry came before."""
        self._slow.pop(peer, None)
        gathering = self._gatherings.get(has.number)
        if gathering is None or peer not in gathering.asked or not has.events.issubset(shard.applied):
            return
        gathering.answers[peer] = has.applied
        self._look(gathering)

    # --- the disk and the peers

    def own_committed(self, number: int) -> None:
        """The events of a wave are on this node's disk."""
        wave = self._waves.get(number)
        if wave is not None:
            wave.is_own_done = True
            self._judge(wave)

    def own_failed(self, number: int, reason: str) -> None:
        """They never will be."""
        wave = self._waves.pop(number, None)
        for waiter in wave.waiters if wave is not None else ():
            self._ground.emit(CommitFailed(waiter.ticket, reason))

    def peer_up(self, peer: str) -> None:
        """Asks a peer what it was asked before its link went down, and what too few have answered."""
        for wave in self._waves.values():
            self._ask(wave)
        for gathering in self._gatherings.values():
            self._ask_for_entry(gathering)

    def peer_down(self, peer: str) -> None:
        """What a peer has confirmed stays so; for what it has not, another is asked."""
        self._slow.pop(peer, None)
        for wave in self._waves.values():
            wave.asked.pop(peer, None)
            self._ask(wave)
        for gathering in self._gatherings.values():
            gathering.asked.pop(peer, None)
            self._ask_for_entry(gathering)

    # --- verbs

    def flush(self) -> None:
        """Asks about the writes since the last flush, and counts again if a voter list has changed."""
        if self._open:
            fresh, self._open = self._open, {}
            for wave in fresh.values():
                self._begin(wave)
        if self._waves or self._gatherings:
            self._follow_voters()

    def tick(self, *, now_ns: int) -> None:
        """Widens, and tells those whose time is over."""
        while self._due and self._due[0][0] <= now_ns:
            number = heapq.heappop(self._due)[1]
            wave = self._waves.get(number)
            if wave is not None:
                self._tick_wave(wave, now_ns)
            gathering = self._gatherings.get(number)
            if gathering is not None:
                self._tick_gathering(gathering, now_ns)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; may be early."""
        return self._due[0][0] if self._due else None

    # --- waves

    def _add(self, wave: Wave, waiter: Waiter, widen_ns: int) -> None:
        wave.waiters.append(waiter)
        wave.widen_ns = min(wave.widen_ns or widen_ns, widen_ns)
        self._at(widen_ns, wave.number)
        self._at(waiter.deadline_ns, wave.number)

    def _begin(self, wave: Wave) -> None:
        self._waves[wave.number] = wave
        self._ask(wave)
        if not self._ground.wait(OwnCopy(wave.number)):
            self.own_committed(wave.number)

    def _ask(self, wave: Wave) -> None:
        """Asks as many voters as are needed beside those that were asked; all of them once that was widened."""
        peers = self._choose(wave.shard.system, wave.waiters, wave.asked, wave.acks, is_wide=wave.widen_ns is None)
        for peer in peers:
            self._confirm(peer, wave)

    def _confirm(self, peer: str, wave: Wave) -> None:
        wave.asked[peer] = None
        question = lw.Confirm(wave.shard.number, wave.number, wave.widen_ns is None, wave.events)
        body = lw.body(wave.shard.table, lw.write_confirm, question)
        self._ground.send(peer, self._ground.header(wire.Kind.CONFIRM, wave.shard.system) + body)

    def _choose(
        self, system: str, waiters: list[Waiter], asked: dict[str, None], done: dict[str, None], *, is_wide: bool
    ) -> list[str]:
        voters = self._voters.of(system)
        new = [peer for peer in self._ground.peers() if peer in voters and peer not in asked and peer not in done]
        if is_wide or not new:
            return new
        most = max((needed_of(waiter.level, voters, self._ground) for waiter in waiters), default=0)
        missing = most - self._reconciler.counts(system) - count({**asked, **done}, voters)
        new.sort(key=lambda peer: peer in self._slow)
        return new[: max(0, missing)]

    def _judge(self, wave: Wave) -> None:
        """Tells those whose level is reached. All wait for this node's disk: it was read from and written to."""
        if not wave.is_own_done:
            return
        voters = self._voters.of(wave.shard.system)
        acks = wave.counted(voters, own_counts=self._reconciler.counts(wave.shard.system))
        waiting = []
        for waiter in wave.waiters:
            if acks >= needed_of(waiter.level, voters, self._ground):
                self._ground.emit(waiter.event)
            else:
                waiting.append(waiter)
        wave.waiters = waiting
        if not waiting:
            self._waves.pop(wave.number, None)

    def _tick_wave(self, wave: Wave, now_ns: int) -> None:
        if wave.widen_ns is not None and wave.widen_ns <= now_ns:
            wave.widen_ns = None
            late = [peer for peer in wave.asked if peer not in wave.acks]
            self._slow.update(dict.fromkeys(late))
            for peer in late:
                self._confirm(peer, wave)
            self._ask(wave)
        voters = self._voters.of(wave.shard.system)
        acks = wave.counted(voters, own_counts=self._reconciler.counts(wave.shard.system))
        for waiter in [waiter for waiter in wave.waiters if waiter.deadline_ns <= now_ns]:
            wave.waiters.remove(waiter)
            self._ground.emit(LevelTimeout(waiter.ticket, acks, needed_of(waiter.level, voters, self._ground)))
        if not wave.waiters:
            self._waves.pop(wave.number, None)

    # --- gatherings

    def _ask_for_entry(self, gathering: Gathering) -> None:
        key = gathering.key
        waiter = Waiter(gathering.ticket, gathering.level, gathering.deadline_ns, Committed(gathering.ticket))
        done = dict.fromkeys(gathering.answers)
        peers = self._choose(key.system, [waiter], gathering.asked, done, is_wide=gathering.widen_ns is None)
        for peer in peers:
            self._send_read(peer, gathering)

    def _send_read(self, peer: str, gathering: Gathering) -> None:
        gathering.asked[peer] = None
        key = gathering.key
        systems = self._ground.systems
        shard = systems.find(key.system, gathering.shard)
        applied = CausalContext(systems.draft(key.system).table) if shard is None else shard.applied
        name = EntryName(key.key, key.type_name)
        question = lw.Read(gathering.shard, gathering.number, name, applied)
        body = lw.body(applied.table, lw.write_read, question)
        self._ground.send(peer, self._ground.header(wire.Kind.READ, key.system) + body)

    def _look(self, gathering: Gathering) -> None:
        """Goes on to the answer when enough voters have said what they have."""
        voters = self._voters.of(gathering.key.system)
        own = self._reconciler.counts(gathering.key.system)
        if count(gathering.answers, voters) + own >= needed_of(gathering.level, voters, self._ground):
            del self._gatherings[gathering.number]
            self._write_back(gathering)

    def _write_back(self, gathering: Gathering) -> None:
        """What the entry is now is the answer; those that lack some of it get it first."""
        key = gathering.key
        shard = self._ground.systems.find(key.system, gathering.shard)
        event: Committed | ReadAt = Committed(gathering.ticket)
        if gathering.shows_value:
            entry = self._ground.read(key)
            event = (
                ReadAt(gathering.ticket, False, None, 0)
                if entry is None
                else ReadAt(gathering.ticket, True, entry.value(), entry.version)
            )
        if shard is None:
            # Nobody has anything of this system, and there is nothing to wait for.
            self._ground.emit(event)
            return
        widen_ns = gathering.widen_ns or gathering.deadline_ns
        wave = Wave(self._number(), shard, CausalContext(shard.table), widen_ns=widen_ns)
        stale = self._stale(gathering, shard)
        for events, _ in stale.values():
            wave.events.update(events)
        wave.acks = {peer: None for peer in gathering.answers if peer not in stale}
        self._add(wave, Waiter(gathering.ticket, gathering.level, gathering.deadline_ns, event), widen_ns)
        for peer, (_, numbers) in stale.items():
            self._send_entries(peer, shard, _applied_at(gathering, peer, shard), numbers)
            self._confirm(peer, wave)
        self._begin(wave)

    def _stale(self, gathering: Gathering, shard: Shard) -> dict[str, tuple[CausalContext, list[int]]]:
        """Peers that lack something of what was read, with the events that they lack and their entries."""
        stale = {}
        for peer in gathering.answers:
            theirs = _applied_at(gathering, peer, shard)
            missing = shard.applied.difference(theirs)
            numbers = asked_for(shard, gathering.key[1:], missing)
            if gathering.key.type_name and not numbers:
                continue
            # Of a peer that lacks what the index has forgotten it can't be told what it lacks of this entry.
            events = events_of(shard, missing, numbers) if shard.reaches(theirs) else missing
            if events:
                stale[peer] = events, numbers
        return stale

    def _send_entries(self, peer: str, shard: Shard, theirs: CausalContext, numbers: list[int]) -> None:
        messages, _ = entry_messages(
            shard, theirs, numbers, options=self._ground.options, clock=self._ground.systems.clock.time
        )
        for message in messages:
            self._ground.send(peer, message)

    def _tick_gathering(self, gathering: Gathering, now_ns: int) -> None:
        if gathering.widen_ns is not None and gathering.widen_ns <= now_ns:
            gathering.widen_ns = None
            late = [peer for peer in gathering.asked if peer not in gathering.answers]
            self._slow.update(dict.fromkeys(late))
            for peer in late:
                self._send_read(peer, gathering)
            self._ask_for_entry(gathering)
        if gathering.deadline_ns <= now_ns:
            del self._gatherings[gathering.number]
            voters = self._voters.of(gathering.key.system)
            acks = count(gathering.answers, voters) + self._reconciler.counts(gathering.key.system)
            needs = needed_of(gathering.level, voters, self._ground)
            self._ground.emit(LevelTimeout(gathering.ticket, acks, needs))

    # --- inside

    def _follow_voters(self) -> None:
        """Counts again and asks again when a voter list, or this node's own standing, has changed."""
        has_changed = False
        for system, before in self._standings.items():
            now = self._voters.of(system), self._reconciler.counts(system)
            if now != before:
                self._standings[system] = now
                has_changed = True
        if has_changed:
            for wave in list(self._waves.values()):
                self._ask(wave)
                self._judge(wave)
            for gathering in list(self._gatherings.values()):
                self._ask_for_entry(gathering)
                self._look(gathering)

    def _watch(self, system: str) -> None:
        if system not in self._standings:
            self._standings[system] = self._voters.of(system), self._reconciler.counts(system)

    def _number(self) -> int:
        self._next = self._next + 1 & lw.NUMBER_MAX
        return self._next

    def _at(self, due_ns: int, number: int) -> None:
        heapq.heappush(self._due, (due_ns, number))


def needed_of(level: Level, voters: frozenset[str], ground: Ground) -> int:
    """How many voters a level asks for now."""
    return needed(level, len(voters), expected_nodes=ground.options.expected_nodes)


def _applied_at(gathering: Gathering, peer: str, shard: Shard) -> CausalContext:
    """What a peer had applied; an answer from before this node had the shard was that it has nothing either."""
    theirs = gathering.answers[peer]
    return theirs if theirs.table is shard.table else CausalContext(shard.table)
