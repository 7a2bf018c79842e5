"""Random histories end as a plain function of their operations says, and broken rules of repair are noticed by that."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication import receiver
from crdtmesh.replication.checkpoint import Checkpoints
from crdtmesh.replication.handover import Handover
from crdtmesh.replication.session import Session
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.staging import Staging, Stagings
from tests.property.histories import History
from tests.unit.crdtmesh.replication import mesh

HISTORIES = 2_000 if os.environ.get("TESTS_HYPOTHESIS_PROFILE") == "deep" else 200

# A planted fault must show within so many histories.
CAUGHT_WITHIN = 400


def test_histories_converge_to_their_specification() -> None:
    handovers = 0
    for seed in range(HISTORIES):
        history = History(seed)
        assert (seed, []) == (seed, history.run())
        handovers += history.handovers
    # Otherwise the fallback was not tried at all.
    assert HISTORIES // 2 < handovers


# --- planted faults


def repair_without_base(patch: pytest.MonkeyPatch) -> None:
    """Rule C: the context of a repaired entry reaches below what both have."""

    def encode(self: Session, *arguments: Any, **rest: Any) -> bytes:
        self._base = CausalContext(self.shard.table)
        return original(self, *arguments, **rest)

    original = Session._encode
    patch.setattr(Session, "_encode", encode)


def repair_as_if_nothing_was_kept(patch: pytest.MonkeyPatch) -> None:
    """What both hold is left out of a repair, and so it is left out of what the repair speaks for."""

    def lacking(self: Session, entry: Any, kept: list[int]) -> Any:
        return original(self, entry, [])

    original = Session._lacking
    patch.setattr(Session, "_lacking", lacking)


def repair_below_the_trim_mark(patch: pytest.MonkeyPatch) -> None:
    """Rule D: a peer that lacks what was forgotten gets the whole shard."""

    def compare(self: Any, vectors: Any, source: str, now_ns: int, *, is_back: bool) -> None:
        lows = [shard.low for shard, _ in vectors]
        for shard, _ in vectors:
            shard.low = CausalContext(shard.table)
        try:
            original(self, vectors, source, now_ns, is_back=is_back)
        finally:
            for (shard, _), low in zip(vectors, lows, strict=True):
                shard.low = low

    original = receiver.Receiver._compare
    patch.setattr(receiver.Receiver, "_compare", compare)


def take_over_with_the_first_chunk(patch: pytest.MonkeyPatch) -> None:
    """Rule D: contexts count only when the shard is covered."""

    def stage(self: Handover, *arguments: Any) -> bytes:
        self.is_done = True
        return original(self, *arguments)

    original = Handover._encode_stage
    patch.setattr(Handover, "_encode_stage", stage)


def take_over_without_the_known(patch: pytest.MonkeyPatch) -> None:
    """Rule D: absorbing E without C still diverges."""

    def take_over(self: Shard, offered: Any, states: Any, **rest: Any) -> Any:
        nothing = CausalContext(self.table)
        return original(self, offered._replace(known=nothing.union(offered.low)), states, **rest)

    original = Shard.take_over
    patch.setattr(Shard, "take_over", take_over)


def keep_what_the_sender_lacks(patch: pytest.MonkeyPatch) -> None:
    """An entry of a bucket that was sent, and was not among those sent, is bottom at the sender."""

    def take_over(self: Shard, offered: Any, states: Any, *, is_sent: Any) -> Any:
        return original(self, offered, states, is_sent=lambda entry: False)

    original = Shard.take_over
    patch.setattr(Shard, "take_over", take_over)


def forget_what_changed_meanwhile(patch: pytest.MonkeyPatch) -> None:
    """What changed since the offer goes with the last chunk, whose E speaks for it."""
    patch.setattr(Handover, "_changed", lambda self: [])


def trim_above_what_was_applied(patch: pytest.MonkeyPatch) -> None:
    """L is part of E."""

    def prefixes(context: CausalContext) -> CausalContext:
        bounds = []
        for replica in context.replicas():
            first = replica << 44 | 1
            bounds += [first, first + context.greatest(replica)]
        return CausalContext.of_bounds(context.table, bounds)

    patch.setattr(mesh, "prefixes", prefixes)


def write_a_checkpoint_without_its_context(patch: pytest.MonkeyPatch) -> None:
    """Entries and E on disk stand beside the C that speaks for them."""

    def begin(self: Checkpoints, *arguments: Any) -> None:
        original(self, *arguments)
        self._marks = [mark._replace(known=CausalContext(mark.shard.table)) for mark in self._marks]

    original = Checkpoints._begin
    patch.setattr(Checkpoints, "_begin", begin)


def log_a_takeover_without_its_chunks(patch: pytest.MonkeyPatch) -> None:
    """What was taken over is in the log, whole."""

    def take(self: Stagings, shard: Shard) -> Any:
        return original(self, shard)._replace(messages=())

    original = Stagings.take
    patch.setattr(Stagings, "take", take)


def keep_chunks_that_are_outdated(patch: pytest.MonkeyPatch) -> None:
    """Of an earlier handover only what is still the same at the sender is kept."""

    def resume(self: Staging, earlier: Staging) -> None:
        earlier._done = {bucket: self._sums[bucket] for bucket in earlier._done}
        original(self, earlier)

    original = Staging.resume
    patch.setattr(Staging, "resume", resume)


FAULTS: list[Callable[[pytest.MonkeyPatch], None]] = [
    repair_without_base,
    repair_as_if_nothing_was_kept,
    repair_below_the_trim_mark,
    take_over_with_the_first_chunk,
    take_over_without_the_known,
    keep_what_the_sender_lacks,
    forget_what_changed_meanwhile,
    trim_above_what_was_applied,
    write_a_checkpoint_without_its_context,
    log_a_takeover_without_its_chunks,
    keep_chunks_that_are_outdated,
]


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_planted_fault_is_noticed(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in range(CAUGHT_WITHIN):
        try:
            # Every other history is full of crashes.
            problems = History(seed, crashes=1 + seed % 2 * 5).run()
        except Exception as error:  # a broken rule may break others, down to one that is checked
            problems = [repr(error)]
        if problems:
            print(f"{plant.__name__}: noticed by history {seed}: {problems[0]}")
            return
    pytest.fail(f"{plant.__name__} was not noticed within {CAUGHT_WITHIN} histories")
