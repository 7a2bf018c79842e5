"""What the commands about identity share: where its files are, and how a result is printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from crdtmesh.cli.options import format_option, load_config
from crdtmesh.config import NodeConfig

F = TypeVar("F", bound=Callable[..., Any])


def identity_options(function: F) -> F:
    """Adds the options that say whose files are meant; the function gets a `NodeConfig` from `config_of`."""
    for option in (
        format_option,
        click.option(
            "--identity-dir",
            type=click.Path(path_type=Path),
            help="Where certificates and keys are. Default: ~/.config/crdtmesh/CLUSTER.",
        ),
        click.option("--cluster", help="Whose identity. Default: crdtmesh, or what the settings say."),
        click.option(
            "--config", "file", type=click.Path(path_type=Path), envvar="CRDTMESH_CONFIG", help="A TOML file."
        ),
    ):
        function = option(function)
    return function


def config_of(options: Mapping[str, Any]) -> NodeConfig:
    """The settings in force, of which only those about identity matter here."""
    return load_config(options)


def show(output: str, lines: list[str], fields: Mapping[str, Any]) -> None:
    """Prints a result: lines for people, or one JSON object."""
    if output == "json":
        click.echo(json.dumps(dict(fields)))
        return
    for line in lines:
        click.echo(line)
