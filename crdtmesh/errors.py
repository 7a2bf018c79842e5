"""The errors of a node. Each package's own errors stay in that package; this is what its users see first.

    MeshError
    ├── ConfigError            a setting is unknown, malformed or contradicts another; nothing was started
    └── StartError             the node can't start: a port is taken, a data directory refused

Errors of calls carry `outcome`, which is "not_applied" or "unknown"; they live with what raises them, in the `errors`
modules of `runtime`, `replication`, `persistence`, `links`, `crdts` and `sdk`.
"""


class MeshError(Exception):
    """Base of the errors that a node reports to its operator."""


class ConfigError(MeshError):
    """A setting can't be used; nothing was started."""


class StartError(MeshError):
    """The node can't start; nothing was changed."""
