import subprocess
import sys

HEAVY = (
    "grpc",
    "google.protobuf",
    "aiohttp",
    "zeroconf",
    "cryptography",
    "rich",
    "prometheus_client",
    "asyncio",
    "sqlite3",
)


def test_help_imports_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "crdtmesh.cli", "--help"], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}

    assert "click" in imported
    assert set() == {name for name in HEAVY if name in imported}


def test_an_unknown_command_names_the_nearest() -> None:
    ran = subprocess.run([sys.executable, "-m", "crdtmesh.cli", "membres"], capture_output=True, text=True, check=False)

    assert 2 == ran.returncode
    assert "did you mean 'members'" in ran.stderr


def test_an_unknown_option_names_the_nearest() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "crdtmesh.cli", "config", "show", "--grpc-prot", "1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 2 == ran.returncode
    assert "--grpc-port" in ran.stderr
