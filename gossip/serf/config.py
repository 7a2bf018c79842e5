"""Options of the Serf layer."""

from dataclasses import dataclass

from gossip.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class SerfConfig:
    """Options of the layer; the defaults are those of Serf's agents.

    Raises:
        ConfigError: an option is out of range.
    """

    event_size_bytes_max: int = 512
    """What name and payload of an event take together, and what its message takes."""
    query_size_bytes_max: int = 1_024
    """What the message of a query takes."""
    response_size_bytes_max: int = 1_024
    """What the message of an answer takes."""
    query_timeout_multiplier: int = 16
    """Gossip intervals per decimal digit of the number of members for which answers are awaited."""
    leave_timeout_s: float = 5.0
    """How long the intent to leave may take to be sent often enough, before the leave itself."""

    def __post_init__(self) -> None:
        for name in ("event_size_bytes_max", "query_size_bytes_max", "response_size_bytes_max"):
            # The largest message that fits a packet of memberlist's default size, sealed, with the longest label.
            if not 64 <= getattr(self, name) <= 1_090:
                raise ConfigError(f"expected {name} between 64 and 1090, got {getattr(self, name)}")
        if self.query_timeout_multiplier < 1 or self.leave_timeout_s <= 0:
            raise ConfigError("expected query_timeout_multiplier of at least 1 and leave_timeout_s above 0")
