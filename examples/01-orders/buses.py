"""The bus between the services: PostgreSQL, which is there anyway, or a broker that the demo starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KINDS = ("postgres", "kafka")


@contextmanager
def bus(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """Settings of the bus, whose server runs meanwhile.

    Args:
        kind: one of ``KINDS``.
        folder: where its data go; what an earlier run left there is removed.
    """
    if kind == "kafka":
        from tests.servers.kafka import KafkaServer  # noqa: PLC0415  (it comes with the sources, not with the package)

        shutil.rmtree(folder, ignore_errors=True)
        with KafkaServer(folder) as server:
            yield {"kind": kind, "url": server.url}
    else:
        yield {"kind": kind}
