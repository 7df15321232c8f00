"""How sessions on the saga log are set up."""

from __future__ import annotations

from functools import partial

from goconductor.postgres.setup import Limits, Setup
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.database.rights import explained

SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
}
"""Of each session. Plans are pinned: a young table without statistics would otherwise get a sequential scan and a quadratic
join, and only a nested loop over the sorted input locks the rows in the order of their keys."""


def set_up(address: Address, limits: Limits, *, connect_timeout_seconds: float) -> Setup:
    """Return how a session on the saga log is set up: pinned plans, and JSON as the bytes that were written.

    Args:
        address: the database.
        limits: of the session's statements.
        connect_timeout_seconds: bounds the attempt at each host.
    """
    return Setup(
        address=address,
        limits=limits,
        settings=SETTINGS,
        connect_timeout_seconds=connect_timeout_seconds,
        prepare=_give_json_as_bytes,
        explain=partial(explained, address),
    )


async def _give_json_as_bytes(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda data: b"\x01" + data,
        decoder=lambda data: data[1:],
    )
    await connection.set_type_codec(
        "json", schema="pg_catalog", format="binary", encoder=lambda data: data, decoder=lambda data: data
    )
