"""`crdtmesh state`: replicated state by key, without an actor."""

from __future__ import annotations

import difflib
import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from crdtmesh.cli import explain, watch
from crdtmesh.cli.client import JsonCommand, client_command, fail, parse_json, split_name
from crdtmesh.cli.tables import echo_table
from crdtmesh.cli.values import plain_json, shown
from crdtmesh.durations import duration_ms
from crdtmesh.errors import ConfigError

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.state import EntryUpdate, Session, StateEntry

# Comparing a key costs about 5 µs, and a page of entries is one message.
KEYS_COMPARED_MAX: Final = 100

_type_option = click.option(
    "--type", "type_name", default="", help="Such as PNCounter; needed when the key has none or several."
)

_token_option = click.option(
    "--token",
    "tokens",
    multiple=True,
    help="Of an earlier answer, as --format json shows it: wait until this node has that too. May be repeated.",
)


@click.group(name="state")
def command() -> None:
    """Read and change replicated state directly.

    An actor's state is the entry under the actor's name.
    """


command.add_command(watch.command)
command.add_command(explain.command)


@command.command()
@click.argument("key", metavar="[SYSTEM/]KEY")
@_type_option
@click.option(
    "--read", metavar="LEVEL", help="local, to(n), majority or all: from how many voters it is joined. Default: local."
)
@_token_option
@client_command
async def get(
    client: Client, *, output: str, key: str, type_name: str, read: str | None, tokens: tuple[str, ...]
) -> None:
    """Print what an entry reads as.

    At a level above local the entry is repaired at those voters before the answer; --type is needed then.
    """
    system, name = split_name(key)
    check_level("--read", read)
    session = _session(system, tokens)
    entry = await client.state.get(system, name, type_name, read=read, session=session)
    if entry is None:
        hint = await _nearest_key(client, system, name)
        fail(f"no state under {system}/{name}{hint}", output=output, outcome="not_applied")
    answer = {**_plain(entry), "token": session.tokens(system)[-1]}
    if entry.expires_at is not None:
        answer["expires_at"] = entry.expires_at
    click.echo(json.dumps(answer) if output == "json" else shown(entry.value))


@command.command(name="list")
@click.argument("prefix", metavar="[SYSTEM/][PREFIX]", default="")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Entries at most.")
@click.option(
    "--read", metavar="LEVEL", help="local, to(n), majority or all: from how many voters it is joined. Default: local."
)
@client_command
async def list_entries(client: Client, *, output: str, prefix: str, limit: int, read: str | None) -> None:
    """List the entries of a system whose keys begin with a prefix.

    At a level above local the entries are repaired at those voters before each page of the answer.
    """
    check_level("--read", read)
    system, name = split_name(prefix) if not prefix.endswith("/") else (prefix[:-1], "")
    entries: list[StateEntry] = []
    async for entry in client.state.list(system, name, page_size=min(limit, 1000), read=read):
        entries.append(entry)
        if len(entries) == limit:
            break
    if output == "json":
        click.echo(json.dumps({"entries": [_plain(entry) for entry in entries]}))
        return
    rows = [(f"{entry.system}/{entry.key}", entry.type_name, shown(entry.value)) for entry in entries]
    echo_table(("KEY", "TYPE", "VALUE"), rows)


@command.command(cls=JsonCommand)
@click.argument("key", metavar="[SYSTEM/]KEY")
@click.argument("operation", default="")
@click.argument("arguments", metavar="[JSON]...", nargs=-1)
@_type_option
@click.option(
    "--write", metavar="LEVEL", help="local, to(n), majority or all: how many voters have it then. Default: local."
)
@click.option(
    "--operation-id", default="", help="What was done under this id is not done again: for a retry after `unknown`."
)
@click.option(
    "--ttl",
    metavar="TIME",
    help="Such as 90s or 15m: it lives so long from now, or longer if it does already; or never. Needs no OPERATION.",
)
@client_command
async def update(  # noqa: PLR0913 - one for each option
    client: Client,
    *,
    output: str,
    key: str,
    operation: str,
    arguments: tuple[str, ...],
    type_name: str,
    write: str | None,
    operation_id: str,
    ttl: str | None,
) -> None:
    """Apply one operation to an entry.

    crdtmesh state update shops/milk increment 5 --type PNCounter
    crdtmesh state update shops/milk --ttl 1h

    When --write is not reached in --timeout the outcome is unknown: the update stays, and spreads when it can.
    """
    from crdtmesh.crdts.operations import Operation

    system, name = split_name(key)
    if not operation and ttl is None:
        raise ConfigError("OPERATION: expected the name of one, or --ttl, got neither")
    asked = Operation(operation, tuple(parse_json(argument) for argument in arguments))
    check_level("--write", write)
    ttl_s = None if ttl is None else _ttl_s(ttl)
    session = _session(system, ())
    changed, value = await client.state.update(
        system,
        name,
        type_name,
        asked if operation else (),
        write=write,
        session=session,
        operation_id=operation_id,
        ttl=ttl_s,
    )
    if output == "json":
        token = session.tokens(system)[-1]
        click.echo(json.dumps({"changed": changed, "value": plain_json(value), "token": token}))
    else:
        click.echo(shown(value) if changed else f"{shown(value)} (unchanged)")


@command.command()
@click.argument("key", metavar="[SYSTEM/]KEY")
@_type_option
@click.option("--write", metavar="LEVEL", help="local, to(n), majority or all: how many voters know it then.")
@client_command
async def delete(client: Client, *, output: str, key: str, type_name: str, write: str | None) -> None:
    """Remove an entry: what the node has seen of it. The key is free again at once."""
    system, name = split_name(key)
    check_level("--write", write)
    session = _session(system, ())
    found = await client.state.delete(system, name, type_name, write=write, session=session)
    if output == "json":
        click.echo(json.dumps({"found": found, "token": session.tokens(system)[-1]}))
    else:
        click.echo("deleted" if found else "nothing there")


@command.command()
@click.argument("updates", metavar="JSON")
@click.option("--system", default="", help="Of all of them. Default: that of the settings.")
@click.option("--write", metavar="LEVEL", help="local, to(n), majority or all: how many voters have it then.")
@client_command
async def batch(client: Client, *, output: str, updates: str, system: str, write: str | None) -> None:
    """Update several entries of one shard as one event: everywhere all of them, or none.

    What is in braces decides about the shard. JSON is a list of [KEY, TYPE, OPERATION, ARGUMENT...], or - for standard
    input; updates of one key are joined.

    crdtmesh state batch '[["{o7}/lines", "ORSet", "add", "milk"], ["{o7}/total", "PNCounter", "increment", 5]]'
    """
    named = system or split_name("any")[0]
    text = sys.stdin.read() if updates == "-" else updates
    check_level("--write", write)
    entries = _batch(parse_json(text))
    changed, values = await client.state.update_together(named, entries, write=write)
    if output == "json":
        click.echo(json.dumps({"changed": changed, "values": [plain_json(value) for value in values]}))
        return
    echo_table(("KEY", "VALUE"), [(each.key, shown(value)) for each, value in zip(entries, values, strict=True)])


def _batch(rows: Any) -> list[EntryUpdate]:
    """The updates of a batch, those of one key joined.

    Raises:
        ConfigError: it is no list of updates.
    """
    from crdtmesh.crdts.operations import Operation
    from crdtmesh.sdk.state import EntryUpdate

    found: dict[tuple[str, str], list[Operation]] = {}
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, list) or len(row) < 3 or not all(isinstance(part, str) for part in row[:3]):
            raise ConfigError(f"JSON: a list of [KEY, TYPE, OPERATION, ARGUMENT...] expected, {row!r:.64} found")
        found.setdefault((row[0], row[1]), []).append(Operation(row[2], tuple(row[3:])))
    return [EntryUpdate(key, type_name, operations) for (key, type_name), operations in found.items()]


def _session(system: str, tokens: tuple[str, ...]) -> Session:
    """A session that has seen what these tokens hold."""
    from crdtmesh.sdk.state import Session

    session = Session()
    for token in tokens:
        session.saw(system, token)
    return session


def _ttl_s(text: str) -> float:
    """Seconds of `--ttl`.

    Raises:
        ConfigError: says what is expected.
    """
    if text == "never":
        return 0
    try:
        return duration_ms(text) / 1000
    except ValueError as error:
        raise ConfigError(f"--ttl: {error}") from None


def check_level(option: str, text: str | None) -> None:
    """Refuses a text that names no level before anything is sent.

    Raises:
        ConfigError: says what is expected.
    """
    from crdtmesh.levels import LevelInvalid
    from crdtmesh.replication.levels import parse_level

    try:
        parse_level(text or "")
    except LevelInvalid as error:
        raise ConfigError(f"{option}: {error}") from None


async def _nearest_key(client: Client, system: str, name: str) -> str:
    """A clause that names the nearest key of the system, among the first ones; nothing when none is near."""
    keys: list[str] = []
    async for entry in client.state.list(system, page_size=KEYS_COMPARED_MAX):
        keys.append(entry.key)
        if len(keys) == KEYS_COMPARED_MAX:
            break
    close = difflib.get_close_matches(name, keys, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _plain(entry: StateEntry) -> dict[str, Any]:
    return {"system": entry.system, "key": entry.key, "type": entry.type_name, "value": plain_json(entry.value)}
