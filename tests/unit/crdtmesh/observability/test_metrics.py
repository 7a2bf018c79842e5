from prometheus_client.parser import text_string_to_metric_families

from crdtmesh.observability.metrics import Counts, Gauges, Metrics

GAUGES = Gauges(
    members={"alive": 3, "suspect": 1},
    links=2,
    hosts=1,
    actors=7,
    entries=40,
    watches=5,
    is_ready=True,
    stall_worst_s=0.25,
)


def made(totals: dict[str, int] | None = None, *, calls_ok: int = 0) -> Metrics:
    return Metrics(node="a", version="1.2.3", gauges=lambda: GAUGES, counts=lambda: Counts(calls_ok, totals or {}))


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """All samples, by name and label values."""
    _, text = metrics.exposition()
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_is_so_now_is_a_gauge() -> None:
    found = samples(made())

    assert (3, 1) == (found["crdtmesh_gossip_members", "alive"], found["crdtmesh_gossip_members", "suspect"])
    assert (2, 1, 7, 40, 1, 0.25) == tuple(
        found[f"crdtmesh_{name}",]
        for name in (
            "link_peers",
            "actor_hosts",
            "actor_active",
            "replication_entries",
            "node_ready",
            "loop_stall_worst_seconds",
        )
    )


def test_totals_get_a_label_where_they_have_a_reason() -> None:
    found = samples(
        made(
            {
                "call.failed.timeout": 2,
                "gossip.packets_sent": 9,
                "gossip.packets_received": 8,
                "link.bytes_in": 7,
                "loop.stall_worst_ms": 250,
            },
            calls_ok=5,
        )
    )

    assert (5, 2) == (
        found["crdtmesh_actor_invocations_total", ""],
        found["crdtmesh_actor_invocations_total", "timeout"],
    )
    assert (9, 8) == (
        found["crdtmesh_gossip_packets_total", "sent"],
        found["crdtmesh_gossip_packets_total", "received"],
    )
    assert 7 == found["crdtmesh_link_bytes_in_total",]
    assert not any("worst_ms" in name[0] for name in found)


def test_requests_are_told_apart_by_closed_sets() -> None:
    metrics = made()
    metrics.observe_request("POST", "/system", 200, 0.003)
    metrics.observe_request("BREW", "unknown", 404, 0.003)
    found = samples(metrics)

    name = "http_server_request_duration_seconds_count"
    assert 1 == found[name, "POST", "200", "/system"]
    assert 1 == found[name, "_OTHER", "404", "unknown"]


def test_callbacks_are_told_apart_by_their_error() -> None:
    metrics = made()
    metrics.observe_callback("ok", 0.5)
    metrics.observe_callback("timeout", 1.5)
    found = samples(metrics)

    assert 0.5 == found["crdtmesh_host_callback_duration_seconds_sum", ""]
    assert 1.5 == found["crdtmesh_host_callback_duration_seconds_sum", "timeout"]


def test_the_node_is_named_once() -> None:
    assert 1 == samples(made())["target_info", "a", "crdtmesh", "1.2.3"]
