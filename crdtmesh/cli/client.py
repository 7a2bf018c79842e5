"""What the commands that talk to a running node share: its address, a deadline, errors that end them in order."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import click

from crdtmesh.cli.options import format_option, load_config
from crdtmesh.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

TIMEOUT_DEFAULT_S: Final = 10.0

_NEGATIVE: Final = re.compile(r"-[\d.].*")


class JsonCommand(click.Command):
    """A command with JSON among its arguments: `-5` is a number there, not an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Lets negative numbers pass: no option begins with a digit, and JSON may begin with a space."""
        return super().parse_args(ctx, [f" {arg}" if _NEGATIVE.fullmatch(arg) else arg for arg in args])


class DefaultGroup(click.Group):
    """A group that is a command of its own too: without the name of a subcommand the default one runs."""

    def __init__(self, *arguments: Any, default: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default's name first, unless help for the group is asked for or another one is named."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [self._default, *args]
        return super().parse_args(ctx, args)


def client_command(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Makes a command of an async function whose first argument is a connected client.

    Adds `--endpoint`, `--timeout` and `--format`; the function gets the last one as `output`.
    """

    @click.option(
        "--endpoint",
        metavar="HOST:PORT|tls:HOST:PORT|unix:PATH",
        help="Of the node. Default: $CRDTMESH_ENDPOINT, else this machine's.",
    )
    @click.option(
        "--timeout", "timeout_s", type=float, default=TIMEOUT_DEFAULT_S, show_default=True, help="In seconds."
    )
    @format_option
    @functools.wraps(function)
    def command(endpoint: str | None, timeout_s: float, output: str, **arguments: Any) -> None:
        address = endpoint or os.environ.get("CRDTMESH_ENDPOINT") or _own_endpoint()
        asyncio.run(_call(function, address, timeout_s, output, arguments))

    return command


def fail(message: str, *, output: str, **fields: str) -> NoReturn:
    """Ends the command with exit code 1 and one line on standard error."""
    if output == "json":
        click.echo(json.dumps({"error": message, **fields}), err=True)
    else:
        detail = ", ".join(f"{key}: {value}" for key, value in fields.items())
        click.echo(f"error: {message}" + (f" ({detail})" if detail else ""), err=True)
    raise SystemExit(1)


def split_name(name: str) -> tuple[str, str]:
    """Splits `SYSTEM/NAME`; without a slash the configured default system is meant."""
    system, slash, rest = name.partition("/")
    if not slash:
        return load_config({}).system, name
    if not system or not rest:
        raise ConfigError(f"expected SYSTEM/NAME, got {name!r:.64}")
    return system, rest


def parse_json(text: str) -> Any:
    """Reads an argument that the user wrote as JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        hint = json.dumps(text)
        raise ConfigError(f"expected JSON, got {text!r:.64} ({error.msg}); a text is written '{hint:.64}'") from None


async def _call(
    function: Callable[..., Awaitable[None]], address: str, timeout_s: float, output: str, arguments: dict[str, Any]
) -> None:
    from crdtmesh.crdts.errors import CrdtError
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.errors import CallError
    from crdtmesh.wire.payloads import PayloadError, UnreadableAnswer

    if address.startswith("tls:"):
        config = load_config({})
        # Where the SDK looks; this process serves one command.
        os.environ.setdefault("CRDTMESH_AUTHORITY", str(config.authority or config.identity.authority))
    try:
        client = Client(address, timeout=timeout_s)
    except ValueError as error:
        raise ConfigError(f"--endpoint or --timeout: {error}") from None
    try:
        async with client:
            await function(client, output=output, **arguments)
    except CallError as error:
        fail(str(error), output=output, code=error.code, outcome=error.outcome)
    except UnreadableAnswer as error:
        fail(str(error), output=output, outcome="applied")
    except (CrdtError, PayloadError) as error:
        fail(str(error), output=output, outcome="not_applied")


def _own_endpoint() -> str:
    config = load_config({})
    return f"{config.api_address}:{config.grpc_port}"
