"""Checks of the database: pure functions of one examination."""

from __future__ import annotations

from collections.abc import Iterator

from goconductor.control.doctor.findings import Check, Finding, error, warning
from goconductor.control.wording import spell
from goconductor.ports.health import LongTransaction, StoreHealth, TableHealth

VERSION_MIN, VERSION_MAX = 15, 18
"""The versions that the tests run on."""
WEAK_COMMITS = frozenset({"off", "local"})
"""Settings that acknowledge what a crash, or a failover to a synchronous standby, may lose."""
HEADROOM = 0.85
"""Part of all connections above which a restart of all services at once may find none left."""
SKEW_SECONDS = 2.0
"""Seconds by which two clocks may differ before that is a finding."""
PINNED_WARNING_SECONDS = 60.0
"""Age in seconds from which an open transaction is a warning."""
PINNED_ERROR_SECONDS = 3600.0
"""Age in seconds from which it is an error."""
DEAD_ROWS_MIN = 10_000
"""Number of dead rows below which a table is no finding."""
DEAD_SHARE = 0.5
"""Part of the live rows that the dead ones may be."""
HOT_TABLES = frozenset({"sagas", "saga_log", "leases", "start_keys", "participants"})


def of_health(health: StoreHealth) -> Iterator[Check]:
    """Yield the checks of one examination."""
    yield Check.of("version", _version(health), saw=f"PostgreSQL {shown_version(health.version)}")
    yield Check.of("schema", _schema(health), saw=f"at {health.revision or 'nothing'}, needed is {health.revision_needed}")
    yield Check.of("rights", _rights(health), saw="the role may do all that it needs on our tables")
    yield Check.of("commits", _commits(health), saw=_commits_seen(health))
    yield Check.of("connections", _connections(health), saw=f"{health.connections} of {health.connections_max} in use")
    yield Check.of("clock", _clock(health), saw=f"this machine is {_skew(health)}")
    yield Check.of("transactions", _transactions(health.transactions), saw=f"none open for {PINNED_WARNING_SECONDS:.0f} s")
    yield Check.of("vacuum", _tables(health.tables, health.now), saw=f"{len(health.tables)} tables")


def shown_version(number: int) -> str:
    """170002 → 17.2."""
    return f"{number // 10_000}.{number % 10_000}"


def _version(health: StoreHealth) -> Iterator[Finding]:
    major = health.version // 10_000
    if major < VERSION_MIN:
        yield error(f"PostgreSQL {shown_version(health.version)} is too old", f"upgrade it to {VERSION_MIN} or newer")
    elif major > VERSION_MAX:
        yield warning(
            f"PostgreSQL {shown_version(health.version)} is newer than what this version is tested on",
            f"use {VERSION_MIN} to {VERSION_MAX}, or a newer goconductor",
        )
    if health.encoding != "UTF8":
        yield error(f"the database is in {health.encoding}, not in UTF-8", "create one WITH ENCODING 'UTF8'")
    if health.read_only:
        yield error(
            "the database takes no writes: it is a standby, or default_transaction_read_only is on",
            "let database.url name the primary; with several hosts, add target_session_attrs=read-write",
        )


def _schema(health: StoreHealth) -> Iterator[Finding]:
    if health.revision is None:
        yield error(
            f"{health.where}: there are no tables of goconductor",
            "run `goconductor migrate`, or correct database.url or database.schema_name",
        )
    elif not health.revision_known and health.revision_suits:
        yield warning(f"the schema is at {health.revision}, newer than this code, which works on it", "upgrade goconductor here")
    elif not health.revision_known:
        yield error(f"the schema is at {health.revision}, which is newer than this code", "upgrade goconductor here")
    elif health.revision != health.revision_needed:
        yield error(f"the schema is at {health.revision}, this code needs {health.revision_needed}", "run `goconductor migrate`")


def _rights(health: StoreHealth) -> Iterator[Finding]:
    for each in health.missing_rights:
        yield error(each.what, f"as the owner: {each.grant}")


def _commits(health: StoreHealth) -> Iterator[Finding]:
    if health.synchronous_commit in WEAK_COMMITS:
        yield warning(
            f"synchronous_commit is {health.synchronous_commit} for this role, database or server. The saga log's own commits "
            "wait for the disk all the same; those of your services may be lost in a crash or a failover after they were "
            "acknowledged",
            "ALTER ROLE … or ALTER DATABASE … RESET synchronous_commit, or set it to on",
        )


def _commits_seen(health: StoreHealth) -> str:
    pooled = ", through a pooler that refuses settings at the start of a session" if health.pooled else ""
    return f"synchronous_commit is {health.synchronous_commit}{pooled}"


def _connections(health: StoreHealth) -> Iterator[Finding]:
    share = health.connections / max(1, health.connections_max)
    if share >= HEADROOM:
        yield warning(
            f"{health.connections} of {health.connections_max} connections of the whole server are in use",
            "raise max_connections, or run fewer processes: a participant holds up to 16",
        )


def _clock(health: StoreHealth) -> Iterator[Finding]:
    if abs(health.asked_at - health.now) > SKEW_SECONDS:
        yield warning(
            f"this machine's clock is {_skew(health)}",
            "let both machines keep their time by NTP; sagas go by the database's clock, but logs and traces will not fit",
        )


def _skew(health: StoreHealth) -> str:
    skew = health.asked_at - health.now
    return f"{spell(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the database's"


def _transactions(transactions: list[LongTransaction]) -> Iterator[Finding]:
    for each in transactions:
        if each.age_seconds < PINNED_WARNING_SECONDS or not each.pins:
            continue
        found = error if each.age_seconds >= PINNED_ERROR_SECONDS else warning
        if each.prepared:
            what = f"the prepared transaction {each.prepared!a} of user {each.user!a} has been open for {spell(each.age_seconds)}"
            remedy = f"COMMIT PREPARED or ROLLBACK PREPARED {each.prepared!a}, in its own database"
        else:
            who = f"{each.application or 'without a name'!a} of user {each.user!a}"
            what = f"pid {each.pid} ({who}, {each.state or 'unknown'}) has had a transaction open for {spell(each.age_seconds)}"
            remedy = f"let that program end it, or SELECT pg_terminate_backend({each.pid})"
        yield found(f"{what}: vacuum can remove nothing that died since, and every append becomes slower", remedy)


def _tables(tables: list[TableHealth], now: float) -> Iterator[Finding]:
    for table in tables:
        if not table.autovacuum and table.name in HOT_TABLES:
            yield warning(
                f"autovacuum is off for the table {table.name}",
                f"ALTER TABLE … {table.name} RESET (autovacuum_enabled), and `autovacuum = on` in the server's settings",
            )
        if table.dead_rows >= DEAD_ROWS_MIN and table.dead_rows > DEAD_SHARE * table.live_rows:
            last = "never" if table.vacuumed_at is None else f"{spell(max(0.0, now - table.vacuumed_at))} ago"
            yield warning(
                f"the table {table.name} has {table.dead_rows:,} dead rows beside {table.live_rows:,} living; "
                f"it was vacuumed {last}",
                f"look for long transactions, then VACUUM ANALYZE {table.name}; raise autovacuum_max_workers if it comes back",
            )
