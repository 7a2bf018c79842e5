"""`crdtmesh state explain`: what a node knows of one key."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from crdtmesh.cli.client import client_command, split_name
from crdtmesh.cli.tables import echo_table
from crdtmesh.cli.values import plain_json, shown

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.cluster import Explanation

Intervals = tuple[tuple[int, int], ...]


@click.command(name="explain")
@click.argument("key", metavar="[SYSTEM/]KEY")
@click.option("--type", "type_name", default="", help="Such as PNCounter; needed when the key has none or several.")
@click.option("--peer", metavar="NODE", default="", help="A node with a link to this one: also what differs there.")
@client_command
async def command(client: Client, *, output: str, key: str, type_name: str, peer: str) -> None:
    """Print what the node knows of one entry: store part, dots, contexts, last writers.

    The fingerprint is equal on nodes that hold the same; ask two of them by --endpoint. A replica id is one run of one
    node. LIVE: its dots in the entry. LAST: the last one that touched it, removals too. APPLIED (E), KNOWN (C) and
    LOW (L) are of the whole shard. With --peer a second table has what only one of the two has.
    """
    system, name = split_name(key)
    found = await client.explain(system, name, type_name, peer=peer)
    if output == "json":
        click.echo(json.dumps(_plain(found)))
        return
    click.echo(f"{found.system}/{found.key} {found.type_name} in shard {found.shard}, version {found.version}")
    if found.found:
        click.echo(f"value {shown(found.value)}")
        click.echo(f"store part of {found.size_bytes} bytes, fingerprint {found.fingerprint}")
    else:
        click.echo("no state")
    rows = [
        (
            writer.replica_id,
            writer.node or "?",
            f"{_spans(writer.live)} ({writer.live_count})",
            str(writer.last),
            _spans(writer.applied),
            _spans(writer.known),
            str(writer.low),
        )
        for writer in found.writers
    ]
    echo_table(("REPLICA ID", "NODE", "LIVE", "LAST", "APPLIED", "KNOWN", "LOW"), rows)

    if found.peer is not None:
        _show_difference(found, found.peer)


def _plain(found: Explanation) -> dict[str, Any]:
    fields = {**dataclasses.asdict(found), "value": plain_json(found.value)}
    if found.peer is None:
        del fields["peer"]
    else:
        fields["peer"] = _plain(found.peer)
    return fields


def _show_difference(here: Explanation, there: Explanation) -> None:
    """What only one of two nodes has: dots of the entry, and applied events of the shard."""
    is_equal = (here.found, here.fingerprint) == (there.found, there.fingerprint)
    click.echo(f"\n{there.node} holds {'the same' if is_equal else 'something else'}", nl=False)
    click.echo("" if is_equal else f": {shown(there.value) if there.found else 'no state'}")
    writers = {writer.replica_id: writer for writer in there.writers}
    rows = []
    for replica_id in dict.fromkeys((*(writer.replica_id for writer in here.writers), *writers)):
        ours = next((writer for writer in here.writers if writer.replica_id == replica_id), None)
        theirs = writers.get(replica_id)
        columns = [
            _spans(minus(one, other))
            for one, other in (
                (ours.live if ours else (), theirs.live if theirs else ()),
                (theirs.live if theirs else (), ours.live if ours else ()),
                (ours.applied if ours else (), theirs.applied if theirs else ()),
                (theirs.applied if theirs else (), ours.applied if ours else ()),
            )
        ]
        if any(column != "-" for column in columns):
            named = ours or theirs
            rows.append((replica_id, (named.node if named else "") or "?", *columns))
    if rows:
        echo_table(("REPLICA ID", "NODE", "LIVE HERE", "LIVE THERE", "APPLIED HERE", "APPLIED THERE"), rows)


def minus(one: Intervals, other: Intervals) -> Intervals:
    """What is in the first of two lists of closed intervals, both in order, and not in the second."""
    rest: list[tuple[int, int]] = []
    for first, last in one:
        at = first
        for start, stop in other:
            if stop < at or start > last:
                continue
            if start > at:
                rest.append((at, start - 1))
            at = stop + 1
        if at <= last:
            rest.append((at, last))
    return tuple(rest)


def _spans(intervals: Intervals) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in intervals) or "-"
