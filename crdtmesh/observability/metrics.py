"""Metrics in Prometheus' text format, under OpenTelemetry's names with dots and units written the way of Prometheus.

Decides names, labels and buckets. Labels come from closed sets: never an actor, a key, an address or a text that
somebody sent. What the node counts anyway is read when somebody asks; only times are taken down as they happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

# Bounds of OpenTelemetry's advice for durations of requests, in seconds, and two below it: a local call takes less.
_SECONDS: Final = (0.0005, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"})


class Gauges(NamedTuple):
    """What is so now.

    Attributes:
        members: rows of the membership table, by state.
        links: nodes to which a link is up.
        hosts: connected hosts of actors.
        actors: actors in memory.
        entries: states on this node.
        watches: readers that follow state on this node.
        is_ready: whether calls are welcome.
        stall_worst_s: the longest standstill of the event loop, in seconds.
        certificate_ends_s: when this node's certificate ends, in seconds since 1970; None without one.
    """

    members: Mapping[str, int]
    links: int
    hosts: int
    actors: int
    entries: int
    watches: int
    is_ready: bool
    stall_worst_s: float
    certificate_ends_s: float | None = None


class Counts(NamedTuple):
    """What happened since the start.

    Attributes:
        calls_ok: calls that went well.
        totals: under the dotted names that `status` shows.
    """

    calls_ok: int
    totals: Mapping[str, int]


class _Family(NamedTuple):
    name: str
    help: str
    label: str = ""


# Dotted names that end in a member of a closed set, which becomes a label.
_LABELLED: Final[Mapping[str, _Family]] = {
    "call.failed.": _Family("crdtmesh_actor_invocations", "Calls that ended.", "error_type"),
    "replication.rejected.": _Family("crdtmesh_replication_rejected", "Messages of peers not understood.", "reason"),
    "replication.alarm.": _Family("crdtmesh_replication_alarms", "What an operator should look into.", "kind"),
    "client.rejected.": _Family("crdtmesh_client_rejected", "Requests that could not be used.", "reason"),
    "access.refused.": _Family("crdtmesh_access_refused", "Requests of clients that were not let in.", "reason"),
    "gossip.rejected.": _Family("crdtmesh_gossip_packets_rejected", "Packets that were dropped.", "reason"),
    "gossip.probe.": _Family("crdtmesh_gossip_probes", "Probes of members.", "outcome"),
    "gossip.member.": _Family("crdtmesh_gossip_member_changes", "Changes of the membership table.", "change"),
    "link.closed.": _Family("crdtmesh_link_closed", "Links that ended.", "reason"),
}
_LABELS: Final[Mapping[str, tuple[_Family, str]]] = {
    "gossip.packets_received": (_Family("crdtmesh_gossip_packets", "Packets.", "direction"), "received"),
    "gossip.packets_sent": (_Family("crdtmesh_gossip_packets", "Packets.", "direction"), "sent"),
}
# Not a total: shown as a gauge.
_SKIPPED: Final = frozenset({"loop.stall_worst_ms"})


class Metrics:
    """The metrics of one node.

    Args:
        node: its name; with `version` it is told apart from others.
        version: of the program.
        gauges: reads what is so now.
        counts: reads what happened.
    """

    def __init__(self, *, node: str, version: str, gauges: Callable[[], Gauges], counts: Callable[[], Counts]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(_NodeCollector(node, version, gauges, counts))
        self._requests = Histogram(
            "http_server_request_duration_seconds",
            "Requests that were answered.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._callbacks = Histogram(
            "crdtmesh_host_callback_duration_seconds",
            "Calls to user functions by HTTP.",
            ("error_type",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        # Finding a histogram by its labels costs more than observing.
        self._by_request: dict[tuple[str, str, int], Histogram] = {}
        self._by_outcome: dict[str, Histogram] = {}

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered.

        Args:
            method: as it came; unknown ones share a label.
            route: from the server's closed set.
            status: of the response.
            seconds: it took.
        """
        key = (method if method in _METHODS else "_OTHER", route, status)
        histogram = self._by_request.get(key)
        if histogram is None:
            histogram = self._by_request[key] = self._requests.labels(*key)
        histogram.observe(seconds)

    def observe_callback(self, outcome: str, seconds: float) -> None:
        """One call to a user function has ended: with `ok`, or with an error code."""
        histogram = self._by_outcome.get(outcome)
        if histogram is None:
            histogram = self._by_outcome[outcome] = self._callbacks.labels("" if outcome == "ok" else outcome)
        histogram.observe(seconds)

    def exposition(self) -> tuple[str, bytes]:
        """Content type and text."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


class _NodeCollector(Collector):
    def __init__(self, node: str, version: str, gauges: Callable[[], Gauges], counts: Callable[[], Counts]) -> None:
        self._identity = {"service_name": "crdtmesh", "service_instance_id": node, "service_version": version}
        self._gauges = gauges
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("target", "Which node this is.", value=self._identity)
        yield from _gauge_families(self._gauges())
        yield from _counter_families(self._counts())


def _gauge_families(gauges: Gauges) -> Iterator[Metric]:
    members = GaugeMetricFamily("crdtmesh_gossip_members", "Rows of the membership table.", labels=("state",))
    for state, count in sorted(gauges.members.items()):
        members.add_metric((state,), count)
    yield members
    yield GaugeMetricFamily("crdtmesh_link_peers", "Nodes to which a link is up.", gauges.links)
    yield GaugeMetricFamily("crdtmesh_actor_hosts", "Connected hosts of actors.", gauges.hosts)
    yield GaugeMetricFamily("crdtmesh_actor_active", "Actors in memory.", gauges.actors)
    yield GaugeMetricFamily("crdtmesh_replication_entries", "States on this node.", gauges.entries)
    yield GaugeMetricFamily("crdtmesh_watch_readers", "Readers that follow state on this node.", gauges.watches)
    yield GaugeMetricFamily("crdtmesh_node_ready", "1 while calls are welcome.", int(gauges.is_ready))
    yield GaugeMetricFamily(
        "crdtmesh_loop_stall_worst_seconds", "Longest standstill of the event loop.", gauges.stall_worst_s
    )
    if gauges.certificate_ends_s is not None:
        yield GaugeMetricFamily(
            "crdtmesh_certificate_expiry_timestamp_seconds",
            "When this node's certificate ends, in seconds since 1970.",
            gauges.certificate_ends_s,
        )


def _counter_families(counts: Counts) -> Iterator[Metric]:
    families: dict[_Family, list[tuple[str, int]]] = {_LABELLED["call.failed."]: [("", counts.calls_ok)]}
    for name, count in sorted(counts.totals.items()):
        if name not in _SKIPPED:
            family, label = _family(name)
            families.setdefault(family, []).append((label, count))
    for family, samples in families.items():
        metric = CounterMetricFamily(family.name, family.help, labels=(family.label,) if family.label else ())
        for label, count in samples:
            metric.add_metric((label,) if family.label else (), count)
        yield metric


def _family(name: str) -> tuple[_Family, str]:
    if name in _LABELS:
        return _LABELS[name]
    for prefix, family in _LABELLED.items():
        if name.startswith(prefix):
            return family, name.removeprefix(prefix)
    return _Family(f"crdtmesh_{name.replace('.', '_')}", f"Total of {name}."), ""
