"""A call from node to node over a secured link, against the framed msgpack floor with TLS; and what an idle link holds.

Both sides speak TLS 1.3 with certificates on both ends, made for the run; the floor leaves it to the event loop, as a
program that has no other wishes would. `idle_bytes` is the growth of the server's resident memory for
each link that is up and says nothing but keepalives; its base is a TLS connection of the floor.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from benchmarks import links
from benchmarks.bases.framed_floor import EchoClient, EchoServer
from benchmarks.harness import Options, Side, compare_sides, progress
from benchmarks.links import CLIENT, CLUSTER, SERVER, manager, start_id
from benchmarks.load import Job, announce, drive, payload, run_client, run_loop, verify
from benchmarks.measures import Line, Ratio, Sample, median_of
from benchmarks.processes import Children
from crdtmesh.identity.authority import Authority, new_request
from crdtmesh.identity.files import write_secret
from crdtmesh.identity.names import Name
from crdtmesh.links import PeerAddress
from crdtmesh.links.tls import TlsLinks

CASES: Final = ("call", "idle_bytes")

LINKS: Final = 256
SETTLE_S: Final = 2.0


def run(children: Children, options: Options) -> Iterator[Line]:
    """Calls at 1, 64 and 256 in flight, then idle links."""
    folder = children.folder("identities")
    make_identities(folder)
    if options.wants("call"):
        floor = children.server("floor-tls", ("benchmarks.peer_link", "floor", str(folder)))
        server = children.server("peer-link", ("benchmarks.peer_link", "serve", str(folder)))
        for concurrency in (1, 64, 256):
            yield from compare_sides(
                children,
                options,
                bench="peer_link",
                case="call",
                bases={
                    "framed msgpack floor, TLS": Side(
                        command=("benchmarks.peer_link", "floor-client", str(folder)), servers=(floor,)
                    )
                },
                subject=(
                    "peer link, TLS",
                    Side(command=("benchmarks.peer_link", "client", str(folder)), servers=(server,)),
                ),
                concurrency=concurrency,
            )
    if options.wants("idle_bytes"):
        yield _idle(children, options, folder)


def _idle(children: Children, options: Options, folder: Path) -> Line:
    samples: dict[str, list[Sample]] = {"floor": [], "serve": []}
    for number in range(options.pairs):
        for role, holder in (("floor", "hold-floor"), ("serve", "hold")):
            server = children.server(f"{role}-{number}", ("benchmarks.peer_link", role, str(folder)))
            process = psutil.Process(server.pid)
            before = process.memory_info().rss
            children.server(f"{holder}-{number}", ("benchmarks.peer_link", holder, str(folder), server.address))
            samples[role].append(Sample(rate=max(1, process.memory_info().rss - before) / LINKS))
        progress(f"peer_link: idle links, sample {number + 1}/{options.pairs}")
    return Line(
        bench="peer_link",
        case="idle_bytes",
        base="framed msgpack floor, TLS",
        subject="peer link, TLS",
        concurrency=LINKS,
        ratio=Ratio.of(samples["floor"], samples["serve"]),
        base_rate=median_of([sample.rate for sample in samples["floor"]]),
        subject_rate=median_of([sample.rate for sample in samples["serve"]]),
        server_cpu=None,
        p50_ms=None,
        p99_ms=None,
    )


def make_identities(folder: Path) -> None:
    """An authority, and a certificate for everyone in the run."""
    now = dt.datetime.now(dt.UTC)
    authority = Authority.new(CLUSTER, now=now)
    write_secret(folder / "authority.pem", authority.certificate)
    for name in (SERVER, CLIENT, *_idle_names()):
        request = new_request(name)
        certificate = authority.sign(request.signing_request, Name(CLUSTER, "node", name), now=now)
        write_secret(folder / f"{name}.pem", request.bundle(certificate))


def security(folder: Path, name: str) -> TlsLinks:
    """What a node has."""
    return TlsLinks(Name(CLUSTER, "node", name), authority=folder / "authority.pem", certificate=folder / f"{name}.pem")


def context(folder: Path, name: str, *, is_server: bool) -> ssl.SSLContext:
    """The same for the event loop's own TLS."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(folder / "authority.pem")
    made.load_cert_chain(folder / f"{name}.pem")
    return made


def _idle_names() -> list[str]:
    """Lower than the server's name, so that they dial."""
    return [f"{CLIENT}-{number:03}" for number in range(LINKS)]


async def serve(folder: Path) -> None:
    """A peer that sends every message back."""
    await links.server(security(folder, SERVER), peers=_idle_names())


async def serve_floor(folder: Path) -> None:
    """The floor behind the loop's TLS."""
    tls = context(folder, SERVER, is_server=True)
    running = await asyncio.get_running_loop().create_server(EchoServer, "127.0.0.1", 0, ssl=tls)
    host, port = running.sockets[0].getsockname()
    announce(address=f"{host}:{port}")
    await running.serve_forever()


async def floor_client(job: Job, folder: Path) -> Sample:
    """All operations over one connection."""
    host, port = job.address.split(":")
    actors = [f"counter-{number:04}" for number in range(job.actors)]
    tls = context(folder, CLIENT, is_server=False)
    _, connection = await asyncio.get_running_loop().create_connection(EchoClient, host, int(port), ssl=tls)

    async def call(number: int) -> None:
        sent = payload(number)
        verify(sent, await connection.call(number, actors[number % job.actors], "increment", sent))

    return await drive(call, job)


async def hold(folder: Path, address: str) -> None:
    """Opens links and keeps them."""
    host, port = address.split(":")
    there = PeerAddress(host, int(port), start_id(SERVER))
    ups = [asyncio.Event() for _ in range(LINKS)]
    managers = []
    for name, up in zip(_idle_names(), ups, strict=True):
        made = manager(name, lambda peer, channel, body: None, up.set, security=security(folder, name))
        await made.start("127.0.0.1", 0)
        made.set_peers({SERVER: there})
        managers.append(made)
    async with asyncio.timeout(20):
        await asyncio.gather(*(up.wait() for up in ups))
    await asyncio.sleep(SETTLE_S)
    announce(address=address)
    await asyncio.Event().wait()


async def hold_floor(folder: Path, address: str) -> None:
    """Opens connections of the floor and keeps them."""
    host, port = address.split(":")
    tls = context(folder, CLIENT, is_server=False)
    loop = asyncio.get_running_loop()
    kept = [await loop.create_connection(EchoClient, host, int(port), ssl=tls) for _ in range(LINKS)]
    await asyncio.sleep(SETTLE_S)
    announce(address=address, count=len(kept))
    await asyncio.Event().wait()


def main() -> None:
    """Runs one role of this benchmark; see `run`."""
    role, folder = sys.argv[1], Path(sys.argv[2])
    if role == "serve":
        run_loop(serve(folder))
    elif role == "floor":
        run_loop(serve_floor(folder))
    elif role == "hold":
        run_loop(hold(folder, sys.argv[3]))
    elif role == "hold-floor":
        run_loop(hold_floor(folder, sys.argv[3]))
    elif role == "client":
        run_client(lambda job: links.client(job, security(folder, CLIENT)))
    else:
        run_client(lambda job: floor_client(job, folder))


if __name__ == "__main__":
    main()
