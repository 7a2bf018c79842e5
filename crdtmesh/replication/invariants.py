"""What must always hold of a shard, checked also where `assert` is compiled away."""


class InvariantBroken(Exception):
    """Our own code broke one of its rules; what would be acknowledged from here on is unknown."""


def check(claim: bool, what: str) -> None:
    """Stops when a claim is false.

    Args:
        claim: cheap to compute.
        what: the rule, as a sentence.

    Raises:
        InvariantBroken: the claim is false.
    """
    if not claim:
        raise InvariantBroken(what)
