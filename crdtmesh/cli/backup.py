"""`crdtmesh backup` and `crdtmesh restore`: one file with all that a node's disk holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crdtmesh.cli.options import config_options, format_option, load_config
from crdtmesh.errors import ConfigError

if TYPE_CHECKING:
    from crdtmesh.persistence.copies import Copied

_FILE = click.argument("backup", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))


@click.command()
@_FILE
@config_options
@format_option
def command(backup: Path, output: str, **options: object) -> None:
    """Write all that a node's disk holds into FILE, while the node runs or not.

    The node is that of --data-dir, or of --name. The file holds what was committed at one moment: updates of keys that
    need not wait for the disk may be missing. Every row is compared with its checksum.
    """
    from crdtmesh.backups import back_up

    directory = load_config(options).data_path
    _print(_done(lambda: back_up(directory, backup)), {"file": str(backup)}, output)


@click.command()
@_FILE
@config_options
@format_option
def restore_command(backup: Path, output: str, **options: object) -> None:
    """Make the data directory of a node that does not run from a backup.

    The directory, that of --data-dir or --name, must not exist or be empty. The node may be another one than that of
    the backup; its cluster must be the same.
    """
    from crdtmesh.backups import restore

    config = load_config(options)
    copied = _done(lambda: restore(backup, config.data_path, node=config.name, cluster=config.cluster))
    _print(copied, {"data_dir": str(config.data_path)}, output)


def _done(work: Callable[[], Copied]) -> Copied:
    try:
        return work()
    except OSError as error:
        raise ConfigError(f"{error.filename or 'FILE'}: {error.strerror}; name another") from None


def _print(copied: Copied, where: dict[str, Any], output: str) -> None:
    meta = copied.meta
    shown = {
        **where,
        "node": meta.node,
        "cluster": meta.cluster,
        "format_version": meta.format_version,
        "state_rows": copied.state_rows,
        "log_rows": copied.log_rows,
        "bytes": copied.size_bytes,
    }
    if output == "json":
        click.echo(json.dumps(shown))
        return
    for key, value in shown.items():
        click.echo(f"{key} = {json.dumps(value)}")
