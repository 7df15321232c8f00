"""A role with exactly the rights that we say are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from goconductor.stores.postgres.database.rights import NEEDS


@asynccontextmanager
async def clerk(postgres_url: str) -> AsyncIterator[tuple[str, str]]:
    """The role's name and URL, on a database that is migrated; it may use the saga log's tables, and make nothing."""
    owner = await asyncpg.connect(postgres_url, ssl=False)
    try:
        database = await owner.fetchval("SELECT current_database()")
        role = f"clerk_{database}"
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'; GRANT USAGE ON SCHEMA goconductor TO {role}")
        for table, rights in NEEDS.items():
            await owner.execute(f"GRANT {', '.join(rights)} ON goconductor.{table} TO {role}")
        try:
            yield role, f"postgresql://{role}:clerk@{postgres_url.rpartition('@')[2]}"
        finally:
            await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    finally:
        await owner.close()
