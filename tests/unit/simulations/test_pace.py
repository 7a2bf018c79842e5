"""How fast virtual time passes, as it is told."""

import json

from click.testing import CliRunner

from simulations.pace import _area, pace_command


def test_pace_is_told_with_what_takes_the_time() -> None:
    outcome = CliRunner().invoke(pace_command, ["--seconds", "1", "--runs", "1", "--json"])
    told = json.loads(outcome.stdout.splitlines()[-1])
    assert (5, 1, True) == (told["nodes"], len(told["paces"]), told["virtual_seconds_per_core_second"] > 0)
    assert {"crdtmesh.replication", "gossip", "simulations"} <= set(told["shares"])
    assert 0.95 < sum(told["shares"].values()) < 1.05


def test_file_belongs_to_a_package_of_ours_or_to_what_it_came_with() -> None:
    assert "crdtmesh.replication" == _area("/a/crdtmesh/replication/shard.py")
    assert "crdtmesh" == _area("/a/crdtmesh/engine.py")
    assert "gossip" == _area("/a/gossip/serf/codec.py")
    assert "built-in functions" == _area("~")
    assert "installed packages" == _area("/a/lib/python3.11/site-packages/google/x.py")
    assert "standard library" == _area("/a/lib/python3.11/heapq.py")


def test_run_of_no_length_is_refused() -> None:
    assert 2 == CliRunner().invoke(pace_command, ["--seconds", "0"]).exit_code
