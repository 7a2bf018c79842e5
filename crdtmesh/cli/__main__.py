"""`python -m crdtmesh.cli` is the `crdtmesh` script."""

from crdtmesh.cli import main

main()
