"""`python -m tests.hosts.planted BUG COMMAND`: a node with one of the simulator's planted bugs in it.

Stands in front of a node's command line, plants the bug, and then is that node. So it can be seen that cells of the
matrix fail when they should.
"""

from __future__ import annotations

import sys
from typing import Final

from crdtmesh.cli import main as run_command_line
from simulations.patching import Patch
from simulations.planted import PLANTED

BUGS: Final = {planted.plant.__name__: planted.plant for planted in PLANTED}


def launcher(bug: str) -> tuple[str, ...]:
    """What stands in front of the node's command; nothing without a bug."""
    return (sys.executable, "-m", "tests.hosts.planted", bug) if bug else ()


def main() -> None:
    """Becomes the node."""
    bug, _python, _flag, _module, *arguments = sys.argv[1:]
    BUGS[bug](Patch())
    sys.argv[1:] = arguments
    run_command_line()


if __name__ == "__main__":
    main()
