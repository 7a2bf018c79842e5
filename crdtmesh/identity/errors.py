"""Errors of identity: all are shown to an operator.

MeshError
└── IdentityError          a certificate, key or token can't be made or used; no file was changed
"""

from crdtmesh.errors import MeshError

__all__ = ["IdentityError"]


class IdentityError(MeshError):
    """A certificate, a key or a token can't be made or used; no file was changed."""
