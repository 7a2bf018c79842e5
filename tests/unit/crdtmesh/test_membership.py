"""What a node's settings become in its gossip agent."""

from pathlib import Path
from typing import Any

import pytest

import gossip
from crdtmesh.config import NodeConfig
from crdtmesh.errors import ConfigError
from crdtmesh.membership import _agent_config
from crdtmesh.mesh_tag import MeshTag

TAG = MeshTag(cluster="c", start_id=bytes(16), link_port=1, grpc_port=2)


def made(keyring: gossip.Keyring | None = None, **settings: Any) -> gossip.AgentConfig:
    return _agent_config(NodeConfig(name="a", identity_dir=Path("/nowhere"), **settings), TAG, keyring)


def test_sealed_packets_are_bound_to_the_clusters_name_and_plain_ones_have_no_label() -> None:
    keyring = gossip.Keyring([bytes(32)])

    assert ("home", keyring) == ((found := made(keyring, cluster="home").swim).label, found.keyring)
    assert ("", None) == ((found := made(cluster="home").swim).label, found.keyring)


def test_another_label_or_none_can_be_set_for_sealed_packets() -> None:
    keyring = gossip.Keyring([bytes(32)])

    assert ["", "of-all"] == [made(keyring, gossip_label=label).swim.label for label in ("", "of-all")]


def test_members_may_be_confined_to_networks() -> None:
    assert ("10.0.0.0/8", "fd00::/8") == made(gossip_allow=("10.0.0.0/8", "fd00::/8")).swim.networks_allowed
    with pytest.raises(ConfigError, match="network"):
        made(gossip_allow=("10.0.0.0/99",))
