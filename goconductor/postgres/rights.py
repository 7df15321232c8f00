"""Which rights a role lacks on tables of ours, and the GRANT that helps: the server names the table alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from goconductor.errors import RightsError
from goconductor.ports.health import BusHealth, MissingRight
from goconductor.postgres.dialling import Address, Connection

Needs = Mapping[str, Sequence[str]]
"""The rights that a role needs, by the name of the table or sequence."""

SELECT, INSERT, UPDATE, DELETE = "SELECT", "INSERT", "UPDATE", "DELETE"
USAGE = "USAGE"
"""The right to a sequence."""

EXAMINE_SECONDS = 5.0
"""Seconds for connecting to each host, and for each statement of an examination."""

# The catalogue may be read without any right. What is not there is no matter of rights. An owner may have narrowed a right to
# change to the columns that we change.
_MISSING = """
    SELECT 'SCHEMA ' || quote_ident(nspname) AS thing, 'USAGE' AS privilege, 0 AS number
    FROM pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END || quote_ident(n.nspname) || '.' || quote_ident(c.relname),
        u.privilege, u.number
    FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u(name, privilege, number)
    JOIN pg_class AS c ON c.relname = u.name
    JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1
    WHERE NOT CASE c.relkind
        WHEN 'S' THEN has_sequence_privilege(c.oid, u.privilege)
        ELSE has_table_privilege(c.oid, u.privilege) OR u.privilege = 'UPDATE' AND has_any_column_privilege(c.oid, 'UPDATE') END
    ORDER BY number
"""
_ABSENT = """
    SELECT count(*) < cardinality($2::text[]) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = ANY ($2)
"""
_MAY_NOT_MAKE = """
    SELECT CASE WHEN to_regnamespace(quote_ident($1)) IS NULL THEN 'DATABASE ' || quote_ident(current_database())
        ELSE 'SCHEMA ' || quote_ident($1) END AS thing, 'CREATE' AS privilege
    WHERE NOT coalesce(
        has_schema_privilege(to_regnamespace(quote_ident($1)), 'CREATE'), has_database_privilege(current_database(), 'CREATE'))
"""


async def missing(connection: Connection, schema: str, needs: Needs) -> list[MissingRight]:
    """Find what the session's role lacks, one entry for each table.

    Args:
        connection: a session of the role, in no failed transaction.
        schema: where the tables are.
        needs: the rights, by table.
    """
    pairs = [(name, privilege) for name, privileges in needs.items() for privilege in privileges]
    rows = await connection.fetch(_MISSING, schema, [name for name, _ in pairs], [privilege for _, privilege in pairs])
    return await _missing_rights(connection, [(row["thing"], row["privilege"]) for row in rows])


async def examine_tables(address: Address, schema: str, needs: Needs) -> BusHealth:
    """Look at a bus's tables on a connection that is made for it; nothing is made or changed.

    Args:
        address: the database.
        schema: where the tables are, or are to be.
        needs: all tables and sequences, with the rights on each.

    Raises:
        as :meth:`goconductor.postgres.dialling.Address.dial`.
    """
    connection = await address.dial(timeout_seconds=EXAMINE_SECONDS, command_timeout_seconds=EXAMINE_SECONDS, durable=False)
    try:
        with address.meaning():
            absent = await connection.fetchval(_ABSENT, schema, [*needs])
            if absent:
                rows = await connection.fetch(_MAY_NOT_MAKE, schema)
                lacks = await _missing_rights(connection, [(row["thing"], row["privilege"]) for row in rows])
            else:
                lacks = await missing(connection, schema, needs)
            return BusHealth(where=f"{address.where}, schema {schema}", absent=absent, missing_rights=lacks)
    finally:
        connection.terminate()


def refusal(where: str, lacks: Sequence[MissingRight]) -> RightsError:
    """Return the error for rights that are missing.

    Args:
        where: the database.
        lacks: as :func:`missing` finds it; one at least.
    """
    what = " and ".join(each.what for each in lacks)
    return RightsError(f"PostgreSQL at {where}: {what}; as the owner: {', then '.join(each.grant for each in lacks)}")


async def _missing_rights(connection: Connection, lacks: Sequence[tuple[str, str]]) -> list[MissingRight]:
    if not lacks:
        return []
    role, quoted = await connection.fetchrow("SELECT current_user::text, quote_ident(current_user)") or ("", "")
    by_thing: dict[str, list[str]] = {}
    for thing, privilege in lacks:
        by_thing.setdefault(thing, []).append(privilege)
    return [
        MissingRight(
            what=f"the role {role!a} lacks {', '.join(privileges)} on {_lowered(thing)}",
            grant=f"GRANT {', '.join(privileges)} ON {thing} TO {quoted}",
        )
        for thing, privileges in by_thing.items()
    ]


def _lowered(thing: str) -> str:
    kind, _, name = thing.rpartition(" ")
    return f"the {kind.lower()} {name}" if kind else name
