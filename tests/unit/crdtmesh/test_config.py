from pathlib import Path

import pytest

from crdtmesh.config import NodeConfig, load
from crdtmesh.errors import ConfigError


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "crdtmesh.toml"
    file.write_text('name = "from-file"\ncluster = "from-file"\nsystem = "from-file"\n')

    config = load(
        file=file,
        environment={"CRDTMESH_CLUSTER": "from-variable", "CRDTMESH_SYSTEM": "from-variable"},
        flags={"system": "from-flag", "name": None},
    )

    assert ("from-file", "from-variable", "from-flag") == (config.name, config.cluster, config.system)


def test_spawn_variables_are_understood_and_ours_win() -> None:
    config = load(
        environment={"PROXY_GRPC_PORT": "1234", "PROXY_ACTOR_SYSTEM_NAME": "shop", "CRDTMESH_GRPC_PORT": "4321"}
    )

    assert (4321, "shop") == (config.grpc_port, config.system)


def test_a_spawn_user_brings_the_variables_of_his_proxy() -> None:
    config = load(
        environment={
            "PROXY_HTTP_PORT": "9002",
            "PROXY_UDS_ENABLED": "true",
            "PROXY_UDS_ADDRESS": "/shared/spawn.sock",
            "USER_FUNCTION_HOST": "app",
            "USER_FUNCTION_PORT": "8091",
            "PROXY_DATABASE_TYPE": "postgres",
        }
    )

    assert (9002, Path("/shared/spawn.sock")) == (config.http_port, config.http_socket_path)
    assert ("app", 8091) == (config.user_function_host, config.user_function_port)


@pytest.mark.parametrize(
    ("environment", "socket"),
    [
        ({"PROXY_UDS_ENABLED": "true"}, Path("/var/run/spawn.sock")),
        ({"PROXY_UDS_ENABLED": "false", "PROXY_UDS_ADDRESS": "/shared/spawn.sock"}, None),
        ({"PROXY_UDS_ADDRESS": "/shared/spawn.sock"}, None),
    ],
)
def test_spawns_socket_counts_when_it_is_enabled(environment: dict[str, str], socket: Path | None) -> None:
    assert socket == load(environment=environment).http_socket


def test_what_spawn_writes_for_this_machine_is_loopback() -> None:
    assert "127.0.0.1" == load(environment={"USER_FUNCTION_HOST": "0.0.0.0"}).user_function_host


@pytest.mark.parametrize(
    ("environment", "hint"),
    [({"CRDTMESH_GRPC_PROT": "1"}, "CRDTMESH_GRPC_PORT"), ({"CRDTMESH_NAMES": "a"}, "CRDTMESH_NAME")],
)
def test_an_unknown_variable_names_the_nearest(environment: dict[str, str], hint: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{hint}'"):
        load(environment=environment)


def test_an_unknown_key_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "crdtmesh.toml"
    file.write_text("gossip_prot = 7946\n")

    with pytest.raises(ConfigError, match="did you mean 'gossip_port'"):
        load(file=file)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(file=tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "flags",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "../etc"},
        {"cluster": "x" * 129},
        {"grpc_port": 65_536},
        {"bind": "localhost"},
        {"join": ("nowhere",)},
        {"join": ("host:0",)},
        {"actors": "no-colon"},
        {"drain_timeout_s": -1.0},
        {"socket": Path("/" + "x" * 107)},
        {"http_socket": Path("/" + "x" * 107)},
        {"http_port": -1},
        {"user_function_port": 0},
        {"callback_allow": ("app:8090",)},
        {"callback_allow": ("10.0.0.1/8",)},
        {"callback_allow": ("10.0.0.0/8:0",)},
        {"callback_allow": ("10.0.0.0/8:9-8",)},
    ],
)
def test_a_value_that_can_not_be_used_is_refused(flags: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        load(flags=flags)


@pytest.mark.parametrize(
    "variable", ["CRDTMESH_GRPC_PORT", "CRDTMESH_INSECURE", "CRDTMESH_DISCOVERY", "CRDTMESH_LOG_LEVEL"]
)
def test_a_variable_of_the_wrong_type_says_what_is_expected(variable: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable}.*expected"):
        load(environment={variable: "perhaps"})


def test_the_api_stays_on_loopback_when_peers_do_not() -> None:
    assert "127.0.0.1" == NodeConfig(bind="192.168.1.10").api_address
    assert "127.0.0.5" == NodeConfig(bind="127.0.0.5").api_address


def test_the_dump_shows_what_is_in_force(tmp_path: Path) -> None:
    dump = NodeConfig(data_dir=tmp_path).dump()

    assert str(tmp_path / "run" / "node.sock") == dump["socket"]
    assert "127.0.0.1" == dump["api_bind"]


def test_ttls_come_as_a_table_in_their_order_or_as_pairs(tmp_path: Path) -> None:
    file = tmp_path / "crdtmesh.toml"
    file.write_text('[ttl]\n"session/*" = "30m"\n"a=b" = "1s"\n')

    assert (("session/*", 1_800_000), ("a=b", 1_000)) == load(file=file).ttl_rules
    assert (("x", 5_000), ("y", 1_000)) == load(environment={"CRDTMESH_TTL": "x=5s, y=1s"}).ttl_rules


@pytest.mark.parametrize("rule", ["x", "x=", "x=5", "=5s", "x=0s"])
def test_a_ttl_that_is_none_is_refused_with_an_example(rule: str) -> None:
    with pytest.raises(ConfigError, match="--ttl or CRDTMESH_TTL"):
        NodeConfig(ttl=(rule,))


def test_durability_modes_come_as_a_table_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "crdtmesh.toml"
    file.write_text('[durability]\n"cache/*" = "none"\n"*" = "interval(50)"\n')

    assert (("cache/*", -1), ("*", 50)) == load(file=file).durability_rules


def test_a_durability_mode_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="--durability or CRDTMESH_DURABILITY"):
        NodeConfig(durability=("x=fast",))


def test_types_of_actors_come_as_a_table_or_as_rules_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "crdtmesh.toml"
    file.write_text('[types]\n"stock-*" = "PNCounter"\n"shop/list" = "ORSet"\n')
    assert (("stock-*", "PNCounter"), ("shop/list", "ORSet")) == load(file=file).type_rules
    assert (("a", "GSet"),) == load(environment={"CRDTMESH_TYPES": "a=GSet"}).type_rules
    with pytest.raises(ConfigError, match=r"types: .*expected one of .*PNCounter.*got 'PNCounte'"):
        NodeConfig(types=("stock=PNCounte",))
