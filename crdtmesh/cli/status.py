"""`crdtmesh status`: one node's health, peers and what it holds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import client_command
from crdtmesh.cli.tables import echo_table

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.cluster import NodeStatus, SecurityStatus


@click.command()
@click.option(
    "--digests", is_flag=True, help="Also compute the digest of each system: equal where the bytes are equal."
)
@client_command
async def command(client: Client, *, output: str, digests: bool) -> None:
    """Show this node's health, peers and lags."""
    status = await client.status(digests=digests)
    if output == "json":
        click.echo(json.dumps(dataclasses.asdict(status)))
        return
    _show(status)


def _show(status: NodeStatus) -> None:
    click.echo(f"node {status.name} of cluster {status.cluster}: {status.state}, up {status.uptime_s:.0f} s")
    click.echo(f"crdtmesh {status.version}, start id {status.start_id}")
    for listener in status.listeners:
        click.echo(f"  {listener}")
    click.echo(_security(status.security))
    click.echo(f"hosts {status.hosts}, calls {status.calls}, of which failed {status.calls_failed}")
    for warning in status.warnings:
        click.echo(f"warning: {warning}")
    if status.peers:
        click.echo()
        echo_table(
            ("PEER", "LINKED", "AWAITS REPAIR", "QUEUED BYTES"),
            [
                (peer.name, _yes(peer.is_linked), _yes(peer.awaits_repair), str(peer.queued_bytes))
                for peer in status.peers
            ],
        )
    if status.systems:
        click.echo()
        echo_table(
            ("SYSTEM", "ENTRIES", "EVENTS", "VOTERS", "DIGEST"),
            [
                (
                    system.system,
                    str(system.entries),
                    str(system.events),
                    ",".join(system.voters) or "-",
                    system.digest or "-",
                )
                for system in status.systems
            ],
        )


def _security(security: SecurityStatus) -> str:
    links = "TLS 1.3" if security.are_links_encrypted else "plain"
    line = f"links {links}, gossip {'sealed' if security.is_gossip_encrypted else 'plain'}"
    if not security.certificate:
        return line
    ends = dt.datetime.fromtimestamp(security.certificate_ends_s, dt.UTC)
    return f"{line}, certificate {security.certificate} until {ends:%Y-%m-%d %H:%M} UTC"


def _yes(claim: bool) -> str:
    return "yes" if claim else "no"
