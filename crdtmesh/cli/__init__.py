"""The command line. One file per command; each imports its own needs, so `--help` stays quick."""


def main() -> None:
    """Runs the command line: the `crdtmesh` script."""
    from crdtmesh.cli.main import cli

    cli.main(prog_name="crdtmesh")
