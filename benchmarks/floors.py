"""The bases against the bare unary echo: what a hop costs before any feature; these ratios place all others."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import Options, Side, compare_sides
from benchmarks.measures import Line
from benchmarks.processes import Children

_SERVERS = {
    "two_hop": ("two-hop skeleton", "node"),
    "framed_floor": ("framed msgpack floor", "serve"),
    "http_echo": ("bare aiohttp echo", "serve"),
}

CASES = tuple(_SERVERS)


def run(children: Children, options: Options) -> Iterator[Line]:
    """Every base, at 1, 64 and 256 in flight."""
    unary = base_side(children, "unary_echo", "serve")
    for case, (name, role) in _SERVERS.items():
        if not options.wants(case):
            continue
        side = base_side(children, case, role)
        for concurrency in (1, 64, 256):
            yield from compare_sides(
                children,
                options,
                bench="floors",
                case=case,
                bases={"bare unary echo": unary},
                subject=(name, side),
                concurrency=concurrency,
            )


def base_side(children: Children, module: str, role: str) -> Side:
    """Starts the server of a base; the side that calls it."""
    path = f"benchmarks.bases.{module}"
    return Side(command=(path, "client"), servers=(children.server(module, (path, role)),))
