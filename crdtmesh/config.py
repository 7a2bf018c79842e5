"""Settings of a node: one frozen dataclass, filled from a file, then the environment, then flags.

Decides: names, types, defaults and checks of every setting, and which source wins. Leaves out: reading flags (the CLI
does) and acting on settings (the node does).

Sources, weakest first: defaults; `crdtmesh.toml`; Spawn's own variables; `CRDTMESH_*` variables; flags. An unknown key
in the file or an unknown `CRDTMESH_*` variable is an error that names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import platform
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

from crdtmesh.crdts.registry import built_in
from crdtmesh.durations import durability_ms, duration_ms
from crdtmesh.errors import ConfigError
from crdtmesh.identity.files import IdentityFolder
from crdtmesh.networks import AllowedNetwork

Discovery = Literal["mdns", "dns", "static", "none"]
ApiAuth = Literal["token", "certificate"]
LogLevel = Literal["debug", "info", "warning", "error"]

V = TypeVar("V")

# As of replication's rules for keys.
PATTERN_CHARS_MAX: Final = 256

EXPECTED_NODES_MAX: Final = 9_999  # clusters of memberlist are run up to a few thousand

COUNT_MAX: Final = 100_000_000  # beyond what a process of Python can hold

# Above what a node serves.
API_RATE_MAX: Final = 1_000_000

ENVIRONMENT_PREFIX: Final = "CRDTMESH_"

# Read by the client commands, not by the node.
CLIENT_VARIABLES: Final = frozenset(
    {"CRDTMESH_ENDPOINT", "CRDTMESH_CONFIG", "CRDTMESH_TOKEN", "CRDTMESH_TOKEN_FILE", "CRDTMESH_CLIENT_CERTIFICATE"}
)

# Spawn's variables that mean the same here. `PROXY_UDS_ADDRESS` counts only with `PROXY_UDS_ENABLED`.
SPAWN_VARIABLES: Final[Mapping[str, str]] = {
    "PROXY_ACTOR_SYSTEM_NAME": "system",
    "PROXY_GRPC_PORT": "grpc_port",
    "PROXY_HTTP_PORT": "http_port",
    "PROXY_UDS_ADDRESS": "http_socket",
    "SPAWN_PROXY_LOGGER_LEVEL": "log_level",
    "USER_FUNCTION_HOST": "user_function_host",
    "USER_FUNCTION_PORT": "user_function_port",
}
SPAWN_SOCKET: Final = "/var/run/spawn.sock"
"""Where Spawn's proxy listens when its socket is enabled and no path is given."""

# A socket path is copied into a fixed field of 108 bytes, its closing zero included.
SOCKET_PATH_SIZE_BYTES_MAX: Final = 107

# Each name costs a lookup per round; the membership layer takes no more.
DNS_NAMES_MAX: Final = 32

_PORTS: Final = ("gossip_port", "link_port", "grpc_port", "http_port", "join_port")

_FILES: Final = ("authority", "certificate", "certificate_key", "gossip_keys")

_COUNTS: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(_PORTS, (0, 65_535)),
    "user_function_port": (1, 65_535),
    "expected_nodes": (0, EXPECTED_NODES_MAX),
    "activations_max": (1, COUNT_MAX),
    "memory_mb_max": (0, COUNT_MAX),
    "api_rate_max": (0, API_RATE_MAX),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,127}")


def _default_name() -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", platform.node()).strip(".-")
    return host[:128] or "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Everything a node can be told.

    Attributes:
        name: unique in the cluster: letters, digits, dots, hyphens; at most 128. Default: the host's name.
        cluster: which cluster to belong to; in the discovery record and in every handshake. Others are ignored.
        system: the actor system that `invoke` and `state` use when none is named.
        data_dir: where state is kept. Default: `~/.local/share/crdtmesh/NAME`.
        bind: address of gossip and peer links. Beyond loopback it needs certificate and gossip keys, or `insecure`.
        advertise: the address others should use; needed only when `bind` is 0.0.0.0 or ::, and then guessed if absent.
        api_bind: address of the gRPC and HTTP endpoints. Default: `bind` if it is loopback, else 127.0.0.1.
        api_auth: what clients show when `api_bind` is beyond loopback: a `token`, or a client `certificate`.
        api_rate_max: requests and calls a second of one client beyond this machine; 0 for any number.
        gossip_port: UDP and TCP; 0 takes a free one. Likewise `link_port`, `grpc_port` and `http_port` (TCP).
        join_port: TCP, likewise; open only where the authority's key is, for machines that redeem an invitation.
        socket: path of the gRPC Unix socket; at most 107 bytes. Default: `DATA_DIR/run/node.sock`.
        http_socket: path of the HTTP Unix socket, likewise. Default: `DATA_DIR/run/http.sock`.
        user_function_host: where actors that were registered by HTTP are called: an address or a name.
        user_function_port: the port there.
        callback_allow: `NETWORK:PORT`, `NETWORK:FIRST-LAST` or `NETWORK` where actors may be called beside loopback.
        join: `HOST:PORT` of gossip ports to contact at the start.
        discovery: `mdns`, `dns` (`join` holds names, looked up again and again), `static` (only `join`) or `none`
            (wait to be found).
        actors: `MODULE:SYSTEM` of a Python actor system to host in a child process.
        identity_dir: where certificates and keys are. Default: `~/.config/crdtmesh/CLUSTER`.
        authority: certificates of who signs for this cluster, PEM. Default: `IDENTITY_DIR/authority.pem`.
        certificate: this node's certificate, PEM. Default: `IDENTITY_DIR/nodes/NAME.pem`.
        certificate_key: its private key, PEM; by default it stands in the same file.
        gossip_keys: keys that seal gossip, one a line in base64. Default: `IDENTITY_DIR/gossip.keys`.
        gossip_label: bound into each sealed packet. Default: `cluster`; empty among Serf's own agents, which know none.
        gossip_allow: networks in which members may announce addresses, such as `10.0.0.0/8`; none: all.
        insecure: accept unencrypted, unauthenticated peers beyond loopback; certificates and keys are not used.
        log_level: `debug`, `info`, `warning`, `error`.
        expected_nodes: size of the finished cluster, 0 if not known; fewer than half of it and one are no majority.
        activations_max: actors in memory at once; beyond, idle ones give way, and when none is idle calls are refused.
        memory_mb_max: of the node's process, above which idle actors give up theirs; 0: half of what there is.
        types: `PATTERN=TYPE` for actors, or for `SYSTEM/ACTOR` with a slash: data types of their states.
        ttl: `PATTERN=TIME` for keys (`*` any characters, `?` one), the first that fits: each update made at this node
            has the entry live for so long; then every node drops it. In the file also a table.
        durability: `PATTERN=MODE` for keys, likewise: `sync` (the default of every key), `interval(MS)` or `none`:
            whether updates are acknowledged from the disk or before they are there. In the file also a table.
        drain_timeout_s: how long a shutdown waits for calls in flight, in seconds.
    """

    name: str = field(default_factory=_default_name)
    cluster: str = "crdtmesh"
    system: str = "default"
    data_dir: Path | None = None
    bind: str = "127.0.0.1"
    advertise: str | None = None
    api_bind: str | None = None
    api_auth: ApiAuth = "token"
    api_rate_max: int = 0
    gossip_port: int = 7946
    link_port: int = 7947
    grpc_port: int = 9980
    http_port: int = 9001
    join_port: int = 7948
    socket: Path | None = None
    http_socket: Path | None = None
    user_function_host: str = "127.0.0.1"
    user_function_port: int = 8090
    callback_allow: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    discovery: Discovery = "mdns"
    actors: str | None = None
    identity_dir: Path | None = None
    authority: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    gossip_keys: Path | None = None
    gossip_label: str | None = None
    gossip_allow: tuple[str, ...] = ()
    insecure: bool = False
    log_level: LogLevel = "info"
    expected_nodes: int = 0
    activations_max: int = 250_000
    memory_mb_max: int = 0
    types: tuple[str, ...] = ()
    ttl: tuple[str, ...] = ()
    durability: tuple[str, ...] = ()
    drain_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        for key in ("name", "cluster", "system"):
            value = getattr(self, key)
            if not _NAME.fullmatch(value):
                raise ConfigError(
                    f"{key}: expected 1 to 128 letters, digits, dots or hyphens, got {value!r:.64}; "
                    f"set it by {how_to_set(key)}"
                )
        for key in ("bind", "advertise", "api_bind"):
            _check_address(key, getattr(self, key))
        for key, (least, most) in _COUNTS.items():
            if not least <= getattr(self, key) <= most:
                raise ConfigError(
                    f"{key}: expected {least} to {most}, got {getattr(self, key)}; set it by {how_to_set(key)}"
                )
        if not 0 <= self.drain_timeout_s <= 600:
            raise ConfigError(f"drain_timeout_s: expected 0 to 600 seconds, got {self.drain_timeout_s}")
        if self.actors is not None and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", self.actors):
            raise ConfigError(f"actors: expected MODULE:SYSTEM, such as shops:system, got {self.actors!r:.64}")
        for address in self.join:
            split_address("join", address)
        for network in self.callback_allow:
            try:
                AllowedNetwork.parse(network)
            except ValueError:
                raise ConfigError(
                    f"callback_allow: expected NETWORK, NETWORK:PORT or NETWORK:FIRST-LAST, got {network!r:.64}; "
                    "for example 10.0.0.0/8:8090"
                ) from None
        _ = self.ttl_rules, self.durability_rules, self.type_rules
        if self.discovery == "dns" and not 1 <= len(self.join) <= DNS_NAMES_MAX:
            raise ConfigError(
                f"discovery: dns needs 1 to {DNS_NAMES_MAX} names in join, got {len(self.join)}; "
                f"set them by {how_to_set('join')}"
            )
        for key, path in (("socket", self.socket_path), ("http_socket", self.http_socket_path)):
            size = len(os.fsencode(path))
            if size > SOCKET_PATH_SIZE_BYTES_MAX:
                raise ConfigError(
                    f"{key}: path of {size} bytes exceeds the system's {SOCKET_PATH_SIZE_BYTES_MAX}; "
                    f"set a shorter one by --{key.replace('_', '-')} or --data-dir"
                )

    @property
    def ttl_rules(self) -> tuple[tuple[str, int], ...]:
        """Pattern of keys, and milliseconds."""
        return tuple(_rule("ttl", rule, duration_ms) for rule in self.ttl)

    @property
    def durability_rules(self) -> tuple[tuple[str, int], ...]:
        """Pattern of keys, and how long they may wait for the disk; see `durability_ms`."""
        return tuple(_rule("durability", rule, durability_ms) for rule in self.durability)

    @property
    def type_rules(self) -> tuple[tuple[str, str], ...]:
        """Pattern of actors, and the data type of their states."""
        return tuple(_rule("types", rule, built_in) for rule in self.types)

    @property
    def data_path(self) -> Path:
        """The data directory in force."""
        if self.data_dir is not None:
            return self.data_dir
        base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return Path(base) / "crdtmesh" / self.name

    @property
    def socket_path(self) -> Path:
        """The Unix socket in force."""
        return self.socket if self.socket is not None else self.data_path / "run" / "node.sock"

    @property
    def http_socket_path(self) -> Path:
        """The Unix socket of the HTTP endpoint in force."""
        return self.http_socket if self.http_socket is not None else self.data_path / "run" / "http.sock"

    @property
    def identity(self) -> IdentityFolder:
        """The folder of certificates and keys in force."""
        if self.identity_dir is not None:
            return IdentityFolder(self.identity_dir)
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return IdentityFolder(Path(base) / "crdtmesh" / self.cluster)

    @property
    def api_address(self) -> str:
        """The address of the gRPC and HTTP endpoints in force."""
        if self.api_bind is not None:
            return self.api_bind
        return self.bind if ipaddress.ip_address(self.bind).is_loopback else "127.0.0.1"

    def dump(self) -> dict[str, Any]:
        """The settings in force as plain values, defaults resolved; holds no secret."""
        values = {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}
        values.update(
            data_dir=str(self.data_path),
            socket=str(self.socket_path),
            http_socket=str(self.http_socket_path),
            api_bind=self.api_address,
            identity_dir=str(self.identity.path),
        )
        return values


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> NodeConfig:
    """Merges all sources into one `NodeConfig`.

    Args:
        file: a TOML file; its keys are the attribute names. A missing file is an error.
        environment: variables to read; None means none.
        flags: values given on the command line; None values are skipped.

    Raises:
        ConfigError: an unknown key, a wrong type, or a value that a check refuses.
    """
    merged: dict[str, Any] = {}
    if file is not None:
        merged.update(_from_file(file))
    merged.update(_from_environment(environment or {}))
    merged.update({key: value for key, value in (flags or {}).items() if value is not None and value != ()})
    return NodeConfig(**merged)


def how_to_set(key: str) -> str:
    """Names the flag and the variable of a setting, for error messages."""
    return f"--{key.replace('_', '-')} or {ENVIRONMENT_PREFIX}{key.upper()}"


def nearest(word: str, known: list[str]) -> str:
    """A clause that names the nearest known word, or all of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def split_address(key: str, address: str) -> tuple[str, int]:
    """Splits `HOST:PORT` (or `[V6]:PORT`).

    Raises:
        ConfigError: the text has another form.
    """
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})", address)
    if match is None or not 0 < int(match["port"]) <= 65_535:
        raise ConfigError(f"{key}: expected HOST:PORT, got {address!r:.64}; for example 192.168.1.10:7946")
    return match["v6"] or match["host"], int(match["port"])


def _rule(setting: str, rule: str, read: Callable[[str], V]) -> tuple[str, V]:
    """Takes `PATTERN=VALUE` apart; the last `=` counts, since keys may hold some."""
    pattern, _, value = rule.rpartition("=")
    try:
        found = read(value)
    except ValueError as error:
        raise ConfigError(f"{setting}: {rule!r:.64}: {error}; set it by {how_to_set(setting)}") from None
    if not 0 < len(pattern) <= PATTERN_CHARS_MAX:
        raise ConfigError(
            f"{setting}: {rule!r:.64}: expected PATTERN=VALUE with a pattern of 1 to {PATTERN_CHARS_MAX} characters; "
            f"set it by {how_to_set(setting)}"
        )
    return pattern, found


def _check_address(key: str, value: str | None) -> None:
    if value is None:
        return
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ConfigError(f"{key}: expected an IP address, got {value!r:.64}; set it by {how_to_set(key)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _from_file(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"config file {file} does not exist; name another by --config") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"config file {file}: {error}") from None
    known = [item.name for item in dataclasses.fields(NodeConfig)]
    for key in document:
        if key not in known:
            raise ConfigError(f"config file {file}: unknown key {key!r:.64}; {nearest(key, known)}")
    return {key: _convert(key, value, f"config file {file}") for key, value in document.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = [item.name for item in dataclasses.fields(NodeConfig)]
    found = _from_spawn(environment)
    for variable, value in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or not value or variable in CLIENT_VARIABLES:
            continue
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if key not in known:
            hint = nearest(variable, [ENVIRONMENT_PREFIX + name.upper() for name in known])
            raise ConfigError(f"unknown variable {variable}; {hint}")
        found[key] = _convert(key, value, variable)
    return found


def _from_spawn(environment: Mapping[str, str]) -> dict[str, Any]:
    """Spawn's variables, read as Spawn's proxy reads them: an empty one is none."""
    given = {variable: environment[variable] for variable in SPAWN_VARIABLES if environment.get(variable)}
    if environment.get("PROXY_UDS_ENABLED", "").lower() == "true":
        given.setdefault("PROXY_UDS_ADDRESS", SPAWN_SOCKET)
    else:
        given.pop("PROXY_UDS_ADDRESS", None)
    if given.get("USER_FUNCTION_HOST") == "0.0.0.0":  # noqa: S104 - what Spawn's operator writes for "this machine"
        del given["USER_FUNCTION_HOST"]
    return {
        SPAWN_VARIABLES[variable]: _convert(SPAWN_VARIABLES[variable], value, variable)
        for variable, value in given.items()
    }


def _convert(key: str, value: Any, source: str) -> Any:
    """Brings a value from a file or a variable to the setting's type."""
    try:
        return _CONVERTERS[key](value)
    except (ValueError, TypeError):
        raise ConfigError(f"{source}: {key} can't be {value!r:.64}; {_EXPECTED.get(key, 'expected text')}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[_text(value).lower()]


def _addresses(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(_text(part) for part in value)


def _rules(value: Any) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        return tuple(f"{pattern}={_text(rule)}" for pattern, rule in value.items())
    return _addresses(value)


def _choice(*choices: str) -> Any:
    def convert(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return _text(value)

    return convert


def _guarded_boolean(value: Any) -> bool:
    try:
        return _boolean(value)
    except KeyError:
        raise ValueError from None


_CONVERTERS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(
        ("name", "cluster", "system", "bind", "advertise", "api_bind", "actors", "user_function_host", "gossip_label"),
        _text,
    ),
    **dict.fromkeys(
        ("data_dir", "socket", "http_socket", "identity_dir", *_FILES), lambda value: Path(_text(value)).expanduser()
    ),
    **dict.fromkeys(_COUNTS, _integer),
    **dict.fromkeys(("join", "callback_allow", "gossip_allow"), _addresses),
    **dict.fromkeys(("ttl", "durability", "types"), _rules),
    "discovery": _choice(*get_args(Discovery)),
    "log_level": _choice(*get_args(LogLevel)),
    "api_auth": _choice(*get_args(ApiAuth)),
    "insecure": _guarded_boolean,
    "drain_timeout_s": _number,
}
_EXPECTED: Final[Mapping[str, str]] = {
    **dict.fromkeys((*_PORTS, "user_function_port"), "expected a port number"),
    "callback_allow": "expected a list of NETWORK:PORT",
    "gossip_allow": "expected a list of networks",
    "join": "expected a list of HOST:PORT",
    "discovery": f"expected one of {', '.join(get_args(Discovery))}",
    "ttl": "expected a list of PATTERN=TIME",
    "types": "expected a list of PATTERN=TYPE",
    "durability": "expected a list of PATTERN=MODE",
    "log_level": f"expected one of {', '.join(get_args(LogLevel))}",
    "api_auth": f"expected one of {', '.join(get_args(ApiAuth))}",
    "insecure": "expected true or false",
    "expected_nodes": "expected a number of nodes",
    "activations_max": "expected a number of actors",
    "memory_mb_max": "expected a number of megabytes",
    "api_rate_max": "expected a number of requests in a second",
    "drain_timeout_s": "expected a number of seconds",
}
