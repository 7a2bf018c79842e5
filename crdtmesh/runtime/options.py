"""The settings of a runtime: every bound on what callers, hosts and peers may make it hold."""

from dataclasses import dataclass, fields
from typing import Final

__all__ = ["RuntimeOptions"]

# Definitions without a host are kept so that a call can be told `no_host` apart from `unknown_actor`. At about 1 kB
# each (two names, a set of action names) this is 100 MB at worst; above it those without a host are forgotten first.
DEFINITIONS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """Bounds and times of a runtime. Unit in each name.

    Attributes:
        mailbox_max: calls that may wait for one actor; the next is refused. Small: bursts are refused. Large: a slow
            actor lets callers time out instead of telling them.
        window_max: turns of one actor handed to its host before the first is answered. Small: a round trip to the host
            for each few turns. Large: more turns end with `host_lost` when a host dies, and a remote change waits for
            more turns before the host sees it.
        host_turns_max: turns handed to one host and not answered; beyond, calls wait in their mailboxes.
        calls_max: calls of all callers without a reply. One costs about 600 bytes and its payload: 40 MB and payloads.
        peer_calls_max: calls sent to one peer without a reply.
        timeout_default_ms: deadline of a call that names none; Spawn's is a minute.
        timeout_max_ms: longest deadline; what is longer is cut to it.
        definitions_max: actors that this node may know from its own hosts.
        activations_max: actors in memory at once. Beyond, the ones that were idle for longest are put out before their
            time; when none is idle a call to a further one is refused. An idle one costs about a kilobyte here
            and what its host keeps of it, so a quarter of a million is a quarter of a gigabyte.
        type_rules: (pattern of actors, name of a data type): what their state is, see `type_rules`.
    """

    mailbox_max: int = 1_024
    window_max: int = 64
    host_turns_max: int = 4_096
    calls_max: int = 65_536
    peer_calls_max: int = 8_192
    timeout_default_ms: int = 60_000
    timeout_max_ms: int = 3_600_000
    definitions_max: int = DEFINITIONS_MAX
    activations_max: int = 250_000
    type_rules: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuses values that contradict each other."""
        for item in fields(self):
            if item.name != "type_rules" and getattr(self, item.name) < 1:
                raise ValueError(f"{item.name}={getattr(self, item.name)}: at least 1 expected")
        if self.timeout_default_ms > self.timeout_max_ms:
            raise ValueError(
                f"timeout_default_ms={self.timeout_default_ms} above timeout_max_ms={self.timeout_max_ms}; lower it"
            )
