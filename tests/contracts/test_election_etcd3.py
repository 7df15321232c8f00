"""The election by etcd with the library etcd3. It needs another protobuf than we, so it runs in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goconductor.elections.etcd import EtcdElection
from goconductor.engine.facts.clock import SystemClock
from goconductor.errors import ConfigurationError, PluginNotFoundError
from goconductor.stores.memory import MemoryStore

pytestmark = [pytest.mark.etcd, pytest.mark.postgres]

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / ".services" / "etcd3"


def environment(**more: str) -> dict[str, str]:
    assert (LIBRARY / "etcd3").is_dir(), "the library etcd3 is missing: run `make servers`"
    return {**os.environ, "PYTHONPATH": str(LIBRARY), **more}


def test_it_passes_the_contract_of_elections(etcd_endpoint: str, postgres_url: str) -> None:
    told = environment(
        GOCONDUCTOR_TEST_ETCD_CLIENT="etcd3", GOCONDUCTOR_TEST_ETCD_URL=etcd_endpoint, GOCONDUCTOR_TEST_POSTGRES_URL=postgres_url
    )
    quietly = ["--quiet", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]  # the old protobuf's, of itself
    command = [sys.executable, "-m", "pytest", *quietly, "tests/contracts/test_election_etcd.py"]
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 passed" in done.stdout


def test_it_uses_that_library_there_and_nothing_of_aetcd() -> None:
    script = (
        "import sys\n"
        "from goconductor.elections.etcd import EtcdElection\n"
        "from goconductor.stores.memory import MemoryStore\n"
        "EtcdElection(MemoryStore().terms, client='etcd3')\n"
        "import etcd3.etcdrpc\n"
        "print(etcd3.__version__, 'aetcd' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["0.12.0", "False"], done.stderr


def test_beside_a_newer_protobuf_it_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(LIBRARY)])  # behind our own protobuf
    with pytest.raises(ConfigurationError, match="protobuf<4"):
        EtcdElection(MemoryStore(SystemClock()).terms, client="etcd3")


def test_where_it_is_not_installed_the_remedy_is_told() -> None:
    with pytest.raises(PluginNotFoundError, match="pip install etcd3 'protobuf<4'"):
        EtcdElection(MemoryStore(SystemClock()).terms, client="etcd3")


def test_another_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean etcd3\?"):
        EtcdElection(MemoryStore(SystemClock()).terms, client="etcd-3")
