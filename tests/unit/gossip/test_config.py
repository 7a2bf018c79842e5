from dataclasses import replace
from typing import Any

import pytest

from gossip.agent_config import AgentConfig
from gossip.config import LAN, LOCAL, WAN, SwimConfig
from gossip.errors import ConfigError
from gossip.identity import Endpoint
from gossip.security import Keyring


def test_presets_differ_where_the_networks_differ() -> None:
    assert (1.0, 5.0, 1.0) == (LAN.probe_interval_s, WAN.probe_interval_s, LOCAL.probe_interval_s)
    assert (0.5, 3.0, 0.2) == (LAN.probe_timeout_s, WAN.probe_timeout_s, LOCAL.probe_timeout_s)
    assert (4, 6, 3) == (LAN.suspicion_multiplier, WAN.suspicion_multiplier, LOCAL.suspicion_multiplier)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe_interval_s": 0}, "probe_interval_s above 0"),
        ({"probe_timeout_s": 2.0}, "must not exceed probe_interval_s"),
        ({"suspicion_multiplier": 0}, "suspicion_multiplier"),
        ({"packet_size_bytes_max": 100}, "packet_size_bytes_max"),
        ({"label": "x" * 256}, "label of at most"),
        ({"networks_allowed": ("10.0.0.0/33",)}, "networks_allowed"),
    ],
)
def test_options_out_of_range_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(LAN, **change)


def test_beyond_loopback_a_key_or_a_written_word_is_needed() -> None:
    bind = Endpoint("192.0.2.1", 7946)

    with pytest.raises(ConfigError, match="is_insecure=True"):
        AgentConfig(name="a", bind=bind)

    assert AgentConfig(name="a", bind=bind, is_insecure=True)
    assert AgentConfig(name="a", bind=bind, swim=SwimConfig(keyring=Keyring([bytes(32)])))


def test_binding_to_all_addresses_needs_one_to_announce() -> None:
    with pytest.raises(ConfigError, match="needs advertise"):
        AgentConfig(name="a", bind=Endpoint("0.0.0.0", 7946), is_insecure=True)


def test_a_bind_address_must_be_an_address() -> None:
    with pytest.raises(ConfigError, match="expected an IP address"):
        AgentConfig(name="a", bind=Endpoint("localhost", 7946))
