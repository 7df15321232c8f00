"""What the doctor reads from the database's health: every finding has its remedy, and soundness is said too."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor.control.doctor import Check, CheckOutcome, Severity, settings_refused
from goconductor.control.doctor.database import of_health
from goconductor.control.doctor.findings import split_remedy
from goconductor.ports.health import LongTransaction, MissingRight, StoreHealth, TableHealth

SOUND = StoreHealth(
    where="db.example/sagas, schema goconductor",
    version=170002,
    revision="0001",
    revision_needed="0001",
    now=1000.0,
    asked_at=1000.5,
    connections=20,
    connections_max=97,
    tables=[TableHealth(name="sagas", live_rows=1000, dead_rows=100, vacuumed_at=900.0)],
)


def checked(**changes: Any) -> dict[str, Check]:
    return {check.name: check for check in of_health(msgspec.structs.replace(SOUND, **changes))}


def test_a_healthy_database_has_no_finding_and_says_what_was_seen() -> None:
    checks = checked()
    assert {check.outcome for check in checks.values()} == {CheckOutcome.SOUND}
    assert {name: check.saw for name, check in checks.items()} == {
        "version": "PostgreSQL 17.2",
        "schema": "at 0001, needed is 0001",
        "rights": "the role may do all that it needs on our tables",
        "commits": "synchronous_commit is on",
        "connections": "20 of 97 in use",
        "clock": "this machine is 500 ms ahead of the database's",
        "transactions": "none open for 60 s",
        "vacuum": "1 tables",
    }


@pytest.mark.parametrize(
    ("changes", "check", "severity", "what", "remedy"),
    [
        ({"version": 140009}, "version", "error", "PostgreSQL 14.9 is too old", "upgrade it to 15"),
        ({"version": 190001}, "version", "warning", "PostgreSQL 19.1 is newer", "use 15 to 18"),
        ({"encoding": "LATIN1"}, "version", "error", "in LATIN1", "WITH ENCODING 'UTF8'"),
        ({"read_only": True}, "version", "error", "takes no writes", "target_session_attrs=read-write"),
        ({"revision": None}, "schema", "error", "no tables of goconductor", "goconductor migrate"),
        ({"revision": "0000"}, "schema", "error", "at 0000, this code needs 0001", "goconductor migrate"),
        ({"revision": "0099", "revision_known": False}, "schema", "error", "newer than this code", "upgrade goconductor"),
        (
            {"revision": "0099", "revision_known": False, "revision_suits": True},
            "schema",
            "warning",
            "newer than this code, which works on it",
            "upgrade goconductor",
        ),
        (
            {
                "missing_rights": [
                    MissingRight(what="the role 'clerk' lacks INSERT on g.sagas", grant="GRANT INSERT ON g.sagas TO clerk")
                ]
            },
            "rights",
            "error",
            "lacks INSERT on g.sagas",
            "as the owner: GRANT INSERT ON g.sagas TO clerk",
        ),
        ({"synchronous_commit": "off"}, "commits", "warning", "synchronous_commit is off", "RESET synchronous_commit"),
        ({"synchronous_commit": "local"}, "commits", "warning", "wait for the disk all the same", "RESET"),
        ({"connections": 90}, "connections", "warning", "90 of 97 connections", "raise max_connections"),
        ({"asked_at": 1010.0}, "clock", "warning", "10.0 s ahead of the database's", "NTP"),
        ({"asked_at": 900.0}, "clock", "warning", "1 min 40 s behind the database's", "NTP"),
        (
            {
                "transactions": [
                    LongTransaction(pid=7, age_seconds=90, state="idle in transaction", application="psql", user="ann")
                ]
            },
            "transactions",
            "warning",
            "pid 7 ('psql' of user 'ann', idle in transaction) has had a transaction open for 1 min 30 s",
            "pg_terminate_backend(7)",
        ),
        (
            {"transactions": [LongTransaction(pid=7, age_seconds=7200)]},
            "transactions",
            "error",
            "pid 7 ('without a name' of user '', unknown) has had a transaction open for 2 h",
            "pg_terminate_backend(7)",
        ),
        (
            {"transactions": [LongTransaction(pid=0, age_seconds=90, user="ann", prepared="gid-1")]},
            "transactions",
            "warning",
            "the prepared transaction 'gid-1' of user 'ann'",
            "ROLLBACK PREPARED 'gid-1'",
        ),
        (
            {"tables": [TableHealth(name="sagas", live_rows=10_000, dead_rows=20_000, vacuumed_at=940.0)]},
            "vacuum",
            "warning",
            "the table sagas has 20,000 dead rows beside 10,000 living; it was vacuumed 1 min ago",
            "VACUUM ANALYZE sagas",
        ),
        (
            {"tables": [TableHealth(name="leases", dead_rows=20_000)]},
            "vacuum",
            "warning",
            "it was vacuumed never",
            "VACUUM ANALYZE leases",
        ),
        (
            {"tables": [TableHealth(name="saga_log", autovacuum=False)]},
            "vacuum",
            "warning",
            "autovacuum is off for the table saga_log",
            "RESET (autovacuum_enabled)",
        ),
    ],
)
def test_what_is_wrong_is_found_and_has_its_remedy(
    changes: dict[str, Any], check: str, severity: str, what: str, remedy: str
) -> None:
    checks = checked(**changes)
    (finding,) = checks[check].findings
    assert (finding.severity, checks[check].outcome) == (severity, severity)
    assert what in finding.what
    assert remedy in finding.remedy
    assert {name for name, each in checks.items() if each.outcome is not CheckOutcome.SOUND} == {check}


@pytest.mark.parametrize(
    "changes",
    [
        {"transactions": [LongTransaction(pid=7, age_seconds=59)]},
        {"transactions": [LongTransaction(pid=7, age_seconds=7200, pins=False)]},
        {"tables": [TableHealth(name="sagas", live_rows=10, dead_rows=9_000)]},
        {"tables": [TableHealth(name="sagas", live_rows=1_000_000, dead_rows=20_000)]},
        {"tables": [TableHealth(name="dead_letters", autovacuum=False)]},
        {"asked_at": 1001.9},
    ],
    ids=str,
)
def test_what_does_no_harm_is_not_found(changes: dict[str, Any]) -> None:
    assert {check.outcome for check in checked(**changes).values()} == {CheckOutcome.SOUND}


def test_settings_that_cannot_be_used_are_a_finding_each() -> None:
    diagnosis = settings_refused("the settings cannot be used:\n  1. rest.port: is no number; write one\n  2. x: is odd")
    (check,) = diagnosis.checks
    assert not diagnosis.healthy
    assert [(finding.severity, finding.what, finding.remedy) for finding in check.findings] == [
        (Severity.ERROR, "rest.port: is no number", "write one"),
        (Severity.ERROR, "x: is odd", "correct it; `goconductor config explain` shows all settings"),
    ]


def test_a_message_is_parted_at_its_last_semicolon() -> None:
    assert split_remedy("a; b; do c", "else") == ("a; b", "do c")
    assert split_remedy("a", "else") == ("a", "else")
