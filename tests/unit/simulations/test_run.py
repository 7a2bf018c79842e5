import pytest

from simulations.run import may_be_forged

REFUSED = "raised: n2: StreamError('actor shop/flag-1: a set expected, as node n1 has it, got a flag')"


@pytest.mark.parametrize("failure", ["liveness: not well within 60 s of the heal: a call is not answered", REFUSED])
def test_forged_bits_excuse_that_peace_does_not_come_and_that_hosts_are_refused(failure: str) -> None:
    assert may_be_forged(failure)


@pytest.mark.parametrize(
    "failure", ["raised: n2: KeyError('n1')", "no_lost_update: call 7 was lost, expected, as node n1 had it"]
)
def test_forged_bits_excuse_no_fault_of_the_code_and_no_loss(failure: str) -> None:
    assert not may_be_forged(failure)
