"""An etcd of one member on loopback, from the machine's binary or the one that GOCONDUCTOR_TEST_ETCD names."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child

BINARY_VARIABLE = "GOCONDUCTOR_TEST_ETCD"


class EtcdServer(Child):
    """An etcd that we start and stop; a restart finds its data and its port again.

    Args:
        folder: its own, for data and log.
        tls: certificate, key and authority as PEM files, in this order; clients must then show a certificate as well.
        quota_bytes: how much it may store; 0 leaves it to etcd.
    """

    def __init__(self, folder: Path, *, tls: tuple[Path, Path, Path] | None = None, quota_bytes: int = 0) -> None:
        self.port, self._health_port = free_port(), free_port()
        self._data = folder / "data"
        scheme = "https" if tls else "http"
        self.endpoint = f"{scheme}://{LOOPBACK}:{self.port}"
        peer = f"http://{LOOPBACK}:{free_port()}"
        certificates = (
            [f"--cert-file={tls[0]}", f"--key-file={tls[1]}", f"--trusted-ca-file={tls[2]}", "--client-cert-auth"] if tls else []
        )
        super().__init__(
            "etcd",
            folder=folder,
            command=[
                _binary(),
                f"--data-dir={self._data}",
                "--name=only",
                f"--listen-client-urls={self.endpoint}",
                f"--advertise-client-urls={self.endpoint}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=only={peer}",
                f"--listen-metrics-urls=http://{LOOPBACK}:{self._health_port}",
                f"--quota-backend-bytes={quota_bytes}",
                *certificates,
            ],
            ready=self._healthy,
        )

    def forget(self) -> None:
        """Remove all data of a stopped server, as if its disk were lost: revisions begin again at 1."""
        shutil.rmtree(self._data)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self._health_port}/health", timeout=2.0) as answer:
                return b'"true"' in answer.read()
        except (urllib.error.URLError, OSError):
            return False


def _binary() -> str:
    found = shutil.which(os.environ.get(BINARY_VARIABLE) or "etcd")
    if found is None:
        raise ConfigurationError(f"there is no etcd: apt-get install etcd-server, brew install etcd, or set {BINARY_VARIABLE}")
    return found
