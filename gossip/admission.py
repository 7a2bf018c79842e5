"""Who may enter the table, and which incarnations are believed.

There is no authentication by node on this wire: whoever can send a valid packet may claim anything. These checks
bound what such a claim can do: bad versions would break real agents, a flood of names would fill memory, an
incarnation far ahead would take its owner's means to refute.
"""

import ipaddress

from gossip.codec import encode
from gossip.config import to_ns
from gossip.errors import RejectReason
from gossip.identity import INCARNATION_CLAIM_MAX, INCARNATION_MAX, Endpoint
from gossip.kernel import Kernel
from gossip.members import Member
from gossip.messages import Alive, Dead, MemberState, Suspect
from gossip.outputs import NameConflict
from gossip.versions import are_compatible, are_sane


class Admission:
    """The checks that every claim passes before the rules see it.

    Args:
        kernel: shared state; refusals are reported through it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._config = kernel.config
        self._tell_again_ns = 0
        self._networks = tuple(ipaddress.ip_network(network) for network in kernel.config.networks_allowed)

    def allows_alive(self, claim: Alive, endpoint: Endpoint, known: Member | None, source: Endpoint) -> bool:
        """Whether a node may be announced like this: versions, address, room, a free name, a plausible incarnation."""
        reject, config = self._kernel.reject, self._config
        if not are_sane(claim.versions) or not are_compatible(config.versions.wire, claim.versions):
            reject(RejectReason.VERSION, source, f"{claim.node[:64]!r} announces versions {claim.versions.hex()}")
            return False
        if not claim.port or not self._is_allowed_host(endpoint.host):
            reject(RejectReason.ADDRESS, source, f"{claim.node[:64]!r} announces {endpoint}")
            return False
        if known is None:
            if len(self._kernel.members) >= config.members_max:
                reject(RejectReason.MEMBERS_FULL, source, f"{len(self._kernel.members)} members")
                return False
            return self._is_plausible(claim.incarnation, INCARNATION_CLAIM_MAX, source)
        if known.endpoint != endpoint and not self._is_reclaimable(known):
            self.report_conflict(claim, endpoint, known)
            return False
        return self._is_plausible(claim.incarnation, self._limit(known), source)

    def report_conflict(self, claim: Alive, endpoint: Endpoint, known: Member) -> None:
        """Reports a second node of one name, here and to the member that holds the name.

        Nobody passes the claim of the second one on, so its holder would never hear of it. One packet per probe
        interval is enough for that, and no more than was sent to us.
        """
        kernel = self._kernel
        kernel.emit(NameConflict(claim.node, known.endpoint, endpoint))
        if known.is_present and kernel.now_ns >= self._tell_again_ns:
            self._tell_again_ns = kernel.now_ns + to_ns(self._config.probe_interval_s)
            kernel.send(known.endpoint, [encode(claim)])

    def allows_accusation(self, claim: Suspect | Dead, known: Member, source: Endpoint) -> bool:
        """Whether the incarnation of an accusation is plausible."""
        limit = INCARNATION_CLAIM_MAX if known.name == self._kernel.name else self._limit(known)
        return self._is_plausible(claim.incarnation, limit, source)

    def _is_allowed_host(self, host: str) -> bool:
        return not self._networks or any(ipaddress.ip_address(host) in network for network in self._networks)

    def _is_reclaimable(self, known: Member) -> bool:
        """Whether another address may take the name: the holder left, or has been dead for long enough."""
        if known.state is not MemberState.DEAD:
            return known.state is MemberState.LEFT
        reclaim_s = self._config.dead_reclaim_s
        return reclaim_s is not None and self._kernel.now_ns - known.changed_ns >= to_ns(reclaim_s)

    def _limit(self, known: Member) -> int:
        return min(known.incarnation + self._config.incarnation_jump_max, INCARNATION_MAX)

    def _is_plausible(self, incarnation: int, limit: int, source: Endpoint) -> bool:
        if incarnation > limit:
            self._kernel.reject(RejectReason.INCARNATION, source, f"incarnation {incarnation} above {limit}")
            return False
        return True
