"""One run: start, faults, heal, quiet, verdict. A pure function of the seed and the options.

Phase one is *safety*: clients call while faults happen. Then everything is healed, the clients stop, and phase two is
*liveness*: within the settle time of the plan membership must be complete and all nodes must hold equal bytes, and stay
so. The checkers judge the whole history at the end.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from simulations.actors.plan import draw_actors, with_actors
from simulations.actors.work import ActorWork
from simulations.asking import StateClient
from simulations.checkers import check_all, check_conduct, unexpected_alarms, unexpected_in_peace, unexpected_members
from simulations.cluster import Cluster
from simulations.complaints import complaints
from simulations.drawing import draw_plan
from simulations.history import History, Outcome
from simulations.marks import watching
from simulations.member_checks import check_members
from simulations.plan import RunPlan, WorkloadPlan
from simulations.readers import Reader
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler, SeedStreams
from simulations.trace import Observer, Trace
from simulations.workload import Client

HURRY_NS: Final = 2 * MILLISECOND_NS
LARGE: Final = 16
POLL_NS: Final = 250 * MILLISECOND_NS
# Everything must stay well for so long after it first was.
STEADY_NS: Final = 3 * SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What may be set from outside. Equal options and an equal seed make an equal run.

    Attributes:
        seconds: virtual length of the faulty phase.
        nodes: size of the mesh; None draws it.
        actors: with actors that have one activation, and their clients.
    """

    seconds: float = 115.0
    nodes: int | None = None
    actors: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 86_400:
            raise ValueError(f"seconds={self.seconds}: above 0 and at most a day expected")
        if self.nodes is not None and not 2 <= self.nodes <= 64:
            raise ValueError(f"nodes={self.nodes}: 2 to 64 expected")


@dataclass(slots=True, kw_only=True)
class RunResult:
    """What became of one run.

    Attributes:
        seed: which run.
        failures: broken promises; empty if all were kept.
        trace_hash: of everything that crossed a boundary of a core.
        virtual_ns: length of the run.
        events: what the scheduler ran.
        faults: counts by kind.
        outcomes: counts of calls by outcome.
        reports: what the cores reported, by kind.
        reached: how often each marker was hit; see `marks`.
        converged_ns: time from the heal to lasting convergence; None if it never came.
        is_repeated: whether it was run again in another process, see `rerun`.
    """

    seed: int
    failures: list[str] = field(default_factory=list)
    trace_hash: str = ""
    virtual_ns: int = 0
    events: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    reports: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    converged_ns: int | None = None
    is_repeated: bool = False


class Run:
    """One run under way; `simulate` is the way in, scenarios drive it step by step."""

    def __init__(self, plan: RunPlan, *, observer: Observer | None = None) -> None:
        self.plan = plan
        self.scheduler = Scheduler()
        self.history = History()
        self.counts: Counter[str] = Counter()
        self.trace = Trace(self.scheduler, observer)
        self._streams = SeedStreams(plan.seed)
        self.cluster = Cluster(
            plan,
            scheduler=self.scheduler,
            streams=self._streams,
            trace=self.trace,
            history=self.history,
            counts=self.counts,
        )
        if plan.actors is not None:
            self.cluster.actors = ActorWork(
                plan.actors,
                self.cluster,
                scheduler=self.scheduler,
                streams=self._streams,
                trace=self.trace,
                history=self.history,
            )
        self.clients: list[Client | StateClient] = [
            self._client(number, plan.workload) for number in range(plan.workload.clients)
        ]
        self.clients += self._state_clients(plan)
        self.readers = self._readers(plan)
        self.cluster.readers = self.readers
        hurried = replace(plan.workload, think_ns_mean=HURRY_NS, stickiness=0.5)
        first = plan.workload.clients
        self.crowd = [self._client(first + number, hurried) for number in range(plan.workload.overload_clients)]

    def _client(self, number: int, workload: WorkloadPlan) -> Client:
        return Client(
            number,
            workload,
            rng=self._streams.stream("client", number),
            scheduler=self.scheduler,
            target=self.cluster,
            history=self.history,
        )

    def _state_clients(self, plan: RunPlan) -> list[StateClient]:
        if plan.state is None:
            return []
        first = plan.workload.clients + plan.workload.overload_clients
        return [
            StateClient(
                number,
                plan.state,
                rng=self._streams.stream("client", "state", number),
                scheduler=self.scheduler,
                target=self.cluster,
                history=self.history,
            )
            for number in range(first, first + plan.state.clients)
        ]

    def _readers(self, plan: RunPlan) -> list[Reader]:
        if plan.state is None:
            return []
        return [
            Reader(
                number,
                plan.state,
                rng=self._streams.stream("reader", number),
                scheduler=self.scheduler,
                mesh=self.cluster,
                history=self.history,
                trace=self.trace,
            )
            for number in range(plan.state.readers)
        ]

    def advance(self, seconds: float) -> None:
        """Lets virtual time pass."""
        self.scheduler.run_until(self.scheduler.now_ns + int(seconds * SECOND_NS))

    def start(self) -> None:
        """Starts nodes and clients."""
        for name in self.cluster.names:
            self.cluster.restart(name)
        for client in self.clients:
            client.start()
        for reader in self.readers:
            reader.start()
        if self.cluster.actors is not None:
            self.cluster.actors.start()

    def suffer(self) -> None:
        """The faulty phase."""
        plan = self.plan
        if self.crowd:
            self.counts["overload"] += 1
            begin_ns = max(0, plan.faulty_ns // 2 - plan.workload.overload_ns)
            for client in self.crowd:
                self.scheduler.at(begin_ns, client.start)
                self.scheduler.at(begin_ns + plan.workload.overload_ns, client.stop)
        # What these make of a run is no event in it.
        self.counts["hot_key"] += plan.workload.keys == 1 and len(plan.workload.mix) == 1
        self.counts["huge_state"] += plan.workload.padding > 0
        self.counts["large_mesh"] += plan.nodes >= LARGE
        self.cluster.faults.schedule(until_ns=self.plan.faulty_ns)
        self.scheduler.run_until(self.plan.faulty_ns)

    def heal(self) -> None:
        """Ends all faults and lets the clients finish; one node may stay down a while longer."""
        self.trace.note("heal")
        cluster = self.cluster
        if self.plan.stays_down:
            cluster.crash(cluster.names[-1], wipe=False)
        cluster.faults.heal(cluster.names[:-1] if self.plan.stays_down else cluster.names)
        self.cluster.calm()
        for client in (*self.clients, *self.crowd):
            client.stop()
        for reader in self.readers:
            reader.calm()
        if cluster.actors is not None:
            cluster.actors.stop()

    def settle(self) -> int | None:
        """Waits until all is well and stays so; the time that took, or None if it never was.

        A node that stayed down is waited for twice: until the others take it for gone, and until it is back.
        """
        if self.plan.stays_down:
            if self._await_well() is None:
                return None
            self.cluster.restart(self.cluster.names[-1])
        return self._await_well()

    def _await_well(self) -> int | None:
        healed_ns = self.scheduler.now_ns
        well_ns: int | None = None
        while self.scheduler.now_ns < healed_ns + self.plan.settle_ns:
            self.scheduler.run_until(self.scheduler.now_ns + POLL_NS)
            if next(self.unwell(), None) is not None:
                well_ns = None
            elif well_ns is None:
                well_ns = self.scheduler.now_ns
            elif self.scheduler.now_ns - well_ns >= STEADY_NS:
                return well_ns - healed_ns
        return None

    def unwell(self) -> Iterator[str]:
        """What keeps the mesh from being well, as sentences; what is asked most cheaply comes first."""
        cluster = self.cluster
        if any(call.outcome is Outcome.OPEN for call in reversed(self.history.calls)):
            yield "a call is not answered"
        # An event that others have overwritten leaves the bytes equal where it never came.
        if not cluster.have_applied_the_same():
            yield "nodes have applied different events"
        yield from unexpected_members(cluster.member_tables(), running=cluster.nodes)
        if cluster.actors is not None and len(cluster.nodes) == len(cluster.names):
            # What only a node knows that stays down for now can't be done before it is back.
            yield from cluster.actors.unwell()
        if len(cluster.digests()) > 1:
            yield "nodes hold different bytes"
        for reader in self.readers:
            yield from reader.unwell()

    def close(self) -> None:
        """Ends all processes; nothing of them runs any more, not even when their memory is freed."""
        for reader in self.readers:
            reader.close()
        for name in self.cluster.names:
            self.cluster.crash(name, wipe=False)

    def verdict(self, converged_ns: int | None, *, was_peaceful: bool = False) -> RunResult:
        """Judges the run; one in which nothing went wrong, by its plan or by hand, has nothing to report either."""
        failures: list[str] = []
        if converged_ns is None:
            within = f"within {self.plan.settle_ns / SECOND_NS:g} s"
            failures = [
                f"liveness: not well {within} of the heal: {text}" for text in list(self.unwell()) or ["not for long"]
            ]
        failures += [f"raised: {text}" for text in self.cluster.breakages]
        is_forged = self.plan.hostile is not None and self.plan.hostile.mutate > 0
        if is_forged:
            # Peers are trusted to say what they did: a message with changed bits may be another truth.
            failures = [text for text in failures if not may_be_forged(text)]
        finals = self.cluster.final_states()
        self.history.ended_ns = self.scheduler.now_ns
        self.history.clocks_erred = any(self.counts[kind] for kind in ("clock_jump", "clock_drift", "clock_freeze"))
        self.history.clocks_jumped = bool(self.counts["clock_jump"])
        if is_forged:
            failures += check_conduct(self.history, finals)
        else:
            failures += check_all(self.history, finals) + check_members(self.history)
            failures += [f"alarms: {text}" for text in unexpected_alarms(self.cluster.all_reports())]
        reports = self.cluster.all_reports()
        if self.cluster.actors is not None:
            failures += self.cluster.actors.verdict(was_peaceful=was_peaceful)
            reports.update(self.cluster.actors.counted())
        if was_peaceful:
            unexpected = unexpected_in_peace(self.history, self.cluster.all_reports())
            failures += [f"peace: {text}" for text in unexpected]
        return RunResult(
            seed=self.plan.seed,
            failures=failures,
            trace_hash=self.trace.digest(),
            virtual_ns=self.scheduler.now_ns,
            events=self.scheduler.events_run,
            faults=self.counts,
            outcomes=Counter(call.outcome.value for call in self.history.calls),
            reports=reports,
            converged_ns=converged_ns,
        )


def simulate(seed: int, options: RunOptions | None = None, *, observer: Observer | None = None) -> RunResult:
    """Runs one seed.

    Args:
        seed: decides everything.
        options: what does not come from the seed.
        observer: gets everything that happens.
    """
    return execute(plan_of(seed, options), observer=observer)


def plan_of(seed: int, options: RunOptions | None = None) -> RunPlan:
    """The parameters of a run."""
    options = options or RunOptions()
    streams = SeedStreams(seed)
    plan = draw_plan(seed, streams, seconds=options.seconds, nodes=options.nodes)
    return with_actors(plan, draw_actors(streams.stream("actors"))) if options.actors else plan


def execute(plan: RunPlan, *, observer: Observer | None = None) -> RunResult:
    """Runs a plan, drawn or written by hand."""
    run = Run(plan, observer=observer)
    with complaints(run.cluster.failed), watching() as reached:
        try:
            run.start()
            run.suffer()
            run.heal()
            result = run.verdict(run.settle(), was_peaceful=run.plan.is_peaceful)
        finally:
            run.close()
    result.reached = reached
    return result


def may_be_forged(failure: str) -> bool:
    """Whether changed bits can bring it about: no peace, or an actor that a peer seems to declare as another thing.

    Hosts that offer such an actor are refused, and end (seed 185).
    """
    is_refused = failure.startswith("raised") and " expected, as node " in failure
    return is_refused or failure.startswith("liveness")
