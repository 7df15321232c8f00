"""The saga store on PostgreSQL; ``migrate`` makes its tables."""

from goconductor.stores.postgres.database.revisions import migrate
from goconductor.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore", "migrate"]
