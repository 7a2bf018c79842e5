"""`crdtmesh restore`; see `backup`."""

from crdtmesh.cli.backup import restore_command as command

__all__ = ["command"]
