"""Who is in the mesh: a gossip agent, read as peers to link to and starts to believe.

Glue. Decides which members are nodes of this mesh (they carry a `mesh` tag with our cluster's hash); the rest of a Serf
cluster is shown and left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Collection, Iterator
from typing import Final

import gossip
from crdtmesh.config import NodeConfig, how_to_set, split_address
from crdtmesh.edge.cluster import MemberView
from crdtmesh.errors import ConfigError, StartError
from crdtmesh.links import PeerAddress
from crdtmesh.mesh_tag import TAG, MeshTag, decode
from crdtmesh.observability import logs
from crdtmesh.remembered import RememberedPeers
from crdtmesh.security import NodeSecurity

_LOG: Final = logging.getLogger(__name__)

# An address of the multicast range of mDNS: asking the kernel for the way there sends nothing.
_PROBE_ADDRESSES: Final = {4: ("224.0.0.251", 5353), 6: ("ff02::fb", 5353)}


# A conflict is reported with each probe while it lasts; one that was silent for so long is over.
CONFLICT_SHOWN_S: Final = 60.0
# Names in conflict that are shown at once. Who forges many of them is seen by the counter.
CONFLICTS_MAX: Final = 16
CONFLICTS_LOGGED_PER_S: Final = 0.1


class Membership:
    """The gossip agent of one node.

    Args:
        config: of the node.
        tag: what this node tells of itself.
        security: its keys.
        on_change: called after each change of the table.
    """

    def __init__(
        self, config: NodeConfig, tag: MeshTag, security: NodeSecurity, *, on_change: Callable[[], None]
    ) -> None:
        self._config = config
        self._security = security
        self._tag = tag
        self._on_change = on_change
        # Who looks for nobody is not to find those of the last run either.
        self._remembered = None if config.discovery == "none" else RememberedPeers(config.data_path)
        self._agent = gossip.Agent(_agent_config(config, tag, security.keyring, self._remembered))
        self._reader: asyncio.Task[None] | None = None
        self._conflicts: dict[str, tuple[str, float]] = {}
        self._conflict_limit = logs.RateLimit(CONFLICTS_LOGGED_PER_S)

    async def start(self) -> None:
        """Binds, announces this node, and begins to look for others.

        Raises:
            StartError: the port is taken, or discovery can't start.
        """
        events = self._agent.events()
        try:
            await self._agent.start()
        except gossip.PortTaken as error:
            raise StartError(f"{error}; set another by {how_to_set('gossip_port')}") from None
        except gossip.GossipError as error:
            raise StartError(str(error)) from None
        self._reader = asyncio.create_task(self._read(events), name="membership")
        self._on_change()

    async def leave(self) -> None:
        """Tells the others that this node departs by itself, and forgets them."""
        await self._agent.leave()
        if self._remembered is not None:
            await self._remembered.forget()

    async def aclose(self) -> None:
        """Leaves, and closes the sockets."""
        if self._reader is None:
            await self._agent.close()
            return
        await self._agent.leave()
        await self._agent.close()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader

    @property
    def address(self) -> str:
        """host:port that others use."""
        return str(self._agent.local.endpoint)

    def peers(self) -> dict[str, PeerAddress]:
        """The other nodes of this mesh that are not known to be gone, and where their links listen."""
        return {
            member.name: PeerAddress(member.endpoint.host, tag.link_port, tag.start_id)
            for member, tag in self._present()
            if member.name != self._config.name
        }

    def has(self, name: str) -> bool:
        """Whether a member of that name is in the table, in whatever state."""
        return any(member.name == name for member in self._agent.members())

    def starts(self) -> dict[str, str]:
        """Which start of each node is live, this one included; start ids in hex."""
        return {member.name: tag.start_id.hex() for member, tag in self._present()}

    def members(self, linked: Collection[str]) -> list[MemberView]:
        """The whole table, foreign members too.

        Args:
            linked: names of the nodes to which a link is up.
        """
        views = []
        for member in sorted(self._agent.members(), key=lambda member: member.name):
            tags = member.tags
            tag = decode(tags.get(TAG, ""))
            views.append(
                MemberView(
                    name=member.name,
                    state=member.state.name.lower(),
                    address=str(member.endpoint),
                    incarnation=member.incarnation,
                    tags=tags,
                    linked=member.name in linked,
                    start_id=tag.start_id.hex() if tag is not None else "",
                )
            )
        return views

    def warnings(self) -> list[str]:
        """What an operator should look at."""
        since_s = time.monotonic() - CONFLICT_SHOWN_S
        return [
            f"the name {name!r} is used by {other} too; start one of the two with another --name"
            for name, (other, seen_s) in sorted(self._conflicts.items())
            if seen_s > since_s
        ]

    def counters(self) -> dict[str, int]:
        """What happened since the start, under the names that status shows."""
        counters = self._agent.counters
        return {
            "gossip.packets_received": counters.packets_received,
            "gossip.packets_sent": counters.packets_sent,
            "gossip.refutations": counters.refutations,
            "gossip.name_conflicts": counters.name_conflicts,
            "gossip.events_dropped": counters.events_dropped,
            **{f"gossip.rejected.{reason.value}": count for reason, count in counters.rejected.items()},
            **{f"gossip.probe.{outcome.value}": count for outcome, count in counters.probes.items()},
            **{f"gossip.member.{change.value}": count for change, count in counters.changes.items()},
        }

    def _present(self) -> Iterator[tuple[gossip.Member, MeshTag]]:
        for member in self._agent.members():
            tag = decode(member.tags.get(TAG, "")) if member.is_present else None
            if tag is not None and tag.cluster == self._tag.cluster:
                yield member, tag

    async def _read(self, events: gossip.EventStream) -> None:
        async for event in events:
            if isinstance(event, gossip.MemberEvent):
                level = logging.WARNING if event.change is gossip.MemberChange.DIED else logging.INFO
                logs.event(_LOG, level, f"member.{event.change.value}", member=event.member.name)
                self._remember()
                self._on_change()
            elif isinstance(event, gossip.NameConflict):
                is_ours = event.claimant == self._agent.local.endpoint
                self._conflict(event.name, str(event.holder if is_ours else event.claimant))
            elif isinstance(event, gossip.KeyringChanged):
                self._security.keys_changed()

    def _remember(self) -> None:
        if self._remembered is not None:
            own = self._config.name
            self._remembered.note((each.name, str(each.endpoint)) for each, _ in self._present() if each.name != own)

    def _conflict(self, name: str, other: str) -> None:
        now_s = time.monotonic()
        if len(self._conflicts) >= CONFLICTS_MAX:
            over_s = now_s - CONFLICT_SHOWN_S
            self._conflicts = {name: seen for name, seen in self._conflicts.items() if seen[1] > over_s}
        if name in self._conflicts or len(self._conflicts) < CONFLICTS_MAX:
            self._conflicts[name] = (other, now_s)
        if self._conflict_limit():
            logs.event(_LOG, logging.ERROR, "member.name_conflict", name=name, other=other)


def _agent_config(
    config: NodeConfig, tag: MeshTag, keyring: gossip.Keyring | None, remembered: RememberedPeers | None = None
) -> gossip.AgentConfig:
    bind = ipaddress.ip_address(config.bind)
    advertise = config.advertise or (_guess_address(bind.version) if bind.is_unspecified else None)
    discoveries: tuple[gossip.Discovery, ...] = ()
    if config.discovery == "mdns":
        interfaces = () if bind.is_unspecified else ("127.0.0.1",) if bind.is_loopback else (config.bind,)
        discoveries = (gossip.MdnsDiscovery(interfaces),)
    contacts = tuple(gossip.Endpoint(*split_address("join", address)) for address in config.join)
    if config.discovery == "dns":
        discoveries, contacts = (gossip.DnsDiscovery(contacts),), ()
    if remembered is not None:
        discoveries = (*discoveries, remembered)
    try:
        return gossip.AgentConfig(
            name=config.name,
            bind=gossip.Endpoint(config.bind, config.gossip_port),
            advertise=gossip.Endpoint(advertise, 0) if advertise is not None else None,
            cluster=config.cluster,
            tags={TAG: tag.encode()},
            join=contacts,
            discoveries=discoveries,
            is_insecure=config.insecure,
            # The label is bound into each sealed packet: a key that two clusters share by mistake does not join them.
            swim=dataclasses.replace(
                gossip.LAN,
                keyring=keyring,
                label=_label(config) if keyring is not None else "",
                networks_allowed=config.gossip_allow,
            ),
            serf=gossip.SerfConfig(),
        )
    except gossip.ConfigError as error:
        raise ConfigError(str(error)) from None


def _label(config: NodeConfig) -> str:
    return config.cluster if config.gossip_label is None else config.gossip_label


def _guess_address(version: int) -> str:
    """The address of the interface that leads to the local network."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(_PROBE_ADDRESSES[version])
            return str(probe.getsockname()[0])
        except OSError:
            raise ConfigError(
                f"advertise: no network found to guess an address from; set it by {how_to_set('advertise')}"
            ) from None
