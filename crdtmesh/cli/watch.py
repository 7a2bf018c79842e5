"""`crdtmesh state watch`: follows replicated state, one line for each change."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import click

from crdtmesh.cli.client import client_command, split_name
from crdtmesh.cli.options import load_config
from crdtmesh.cli.values import plain_json, shown
from crdtmesh.errors import ConfigError

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.watch import WatchEvent


@click.command(name="watch")
@click.argument("key", metavar="[[SYSTEM/]KEY]", required=False)
@click.option("--prefix", metavar="[SYSTEM/][PREFIX]", help="All keys that begin so, instead of one KEY.")
@click.option("--type", "type_name", default="", help="Only entries of this type, such as ORSet.")
@click.option(
    "--interval",
    "interval_ms",
    type=click.IntRange(min=0, max=60_000),
    default=50,
    show_default=True,
    help="Changes within so many milliseconds after some that were sent come together; 0: each at once.",
)
@click.option("--resume", "token", default="", metavar="TOKEN", help="Go on behind an event: its token.")
@client_command
async def command(
    client: Client, *, output: str, key: str | None, prefix: str | None, type_name: str, interval_ms: int, token: str
) -> None:
    """Print what is there, then each change, until interrupted.

    What is shown is on the node's disk. When we are slow, changes of one key are joined, and the line says "lagged".
    After a lost connection it goes on where it was, or says that a snapshot begins again.
    """
    if key is not None and prefix is not None:
        raise ConfigError("expected KEY or --prefix, got both")
    if key is None and prefix is None and not type_name:
        raise ConfigError("expected KEY, --prefix or --type; --prefix '' means all keys")
    system, start = _system_and_prefix(prefix or "")
    if key is not None:
        system, key = split_name(key)
    events = client.watch(system, key, prefix=start, type_name=type_name, interval_ms=interval_ms, token=token)
    async with contextlib.aclosing(events):
        async for event in events:
            click.echo(json.dumps(_plain(event)) if output == "json" else _line(event))


def _system_and_prefix(prefix: str) -> tuple[str, str]:
    if not prefix:
        return load_config({}).system, ""
    return (prefix[:-1], "") if prefix.endswith("/") else split_name(prefix)


def _plain(event: WatchEvent) -> dict[str, Any]:
    from crdtmesh.sdk.watch import SetChange

    fields: dict[str, Any] = {"event": event.kind}
    if event.reason:
        fields["reason"] = event.reason
    if event.key:
        fields |= {"system": event.system, "key": event.key, "type": event.type_name}
    change = event.change
    if isinstance(change, SetChange):
        fields |= {"added": plain_json(change.added), "removed": plain_json(change.removed)}
    elif change is not None:
        parts = {"added": change.added, "removed": change.removed, "changed": change.changed}
        fields |= {name: plain_json(part) for name, part in parts.items()}
    elif event.kind in ("present", "changed", "deleted"):
        fields |= {"value": plain_json(event.value), "old_value": plain_json(event.old_value)}
    if event.is_lagged:
        fields["lagged"] = True
    if event.is_expired:
        fields["expired"] = True
    return {**fields, "token": event.token}


def _line(event: WatchEvent) -> str:
    if event.kind == "snapshot":
        return "snapshot" if event.reason == "first" else f"snapshot again: {event.reason}"
    if event.kind == "complete":
        return "snapshot complete"
    words = [event.kind, f"{event.system}/{event.key}", event.type_name, _what(event)]
    return (
        " ".join(word for word in words if word)
        + (" (expired)" if event.is_expired else "")
        + (" (lagged)" if event.is_lagged else "")
    )


def _what(event: WatchEvent) -> str:
    from crdtmesh.sdk.watch import SetChange

    change = event.change
    if isinstance(change, SetChange):
        return " ".join([f"+{shown(item)}" for item in change.added] + [f"-{shown(item)}" for item in change.removed])
    if change is not None:
        return " ".join(
            [f"+{shown(key)}: {shown(value)}" for key, value in change.added.items()]
            + [f"-{shown(key)}: {shown(value)}" for key, value in change.removed.items()]
            + [f"{shown(key)}: {shown(old)} -> {shown(new)}" for key, (old, new) in change.changed.items()]
        )
    if event.kind == "absent":
        return ""
    if event.kind == "changed" and event.old_value is not None:
        return f"{shown(event.old_value)} -> {shown(event.value)}"
    return shown(event.old_value if event.kind == "deleted" else event.value)
