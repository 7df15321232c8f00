"""The meaning of PostgreSQL's errors, by their SQLSTATE.

Few errors are final. An error about *values* (classes 22 and 23) would come again with the same values. One about *rights, names
or tables* needs a person who mends it. All others pass: a server that restarts, a standby that was promoted or demoted, a switch
that was turned for a while. An error that passes is *unavailable*, and the call is tried again.

Some errors mean that this very session will never do, although another one may: its server takes no writes (any more). Such a
session is dropped and a new one dialled, which looks for a server that does.

PgBouncer 1.18 gives one SQLSTATE, 08P01, for all its errors: that it refuses our settings (*unsupported startup parameter*),
which stays so, and that its server is away (*server login has been failing*), which passes. Its text is always English.
"""

from __future__ import annotations

from enum import Enum

READ_ONLY = ("25006", "0A000")
"""SQLSTATEs of a server that takes no writes. 0A000 is also *cannot access temporary or unlogged relations during recovery*; its
text is in the server's language, so it is not compared. Our statements use no feature that a server of a supported version
lacks."""

READ_ONLY_REMEDY = (
    "the server takes no writes: name the primary in the URL, or several hosts, or lift default_transaction_read_only for role, "
    "database or server"
)

_FULL = {
    "for role": "raise this role's limit (ALTER ROLE … CONNECTION LIMIT), or run fewer processes under it",
    "for database": "raise this database's limit (ALTER DATABASE … CONNECTION LIMIT), or run fewer processes on it",
    "clients already": "raise max_connections, or run fewer processes",
    "slots are reserved": "raise max_connections, or run fewer processes",
}
"""The remedy by the server's text. All of these errors have one SQLSTATE."""
_FULL_OTHERWISE = "raise max_connections, or the CONNECTION LIMIT of this role or database, or run fewer processes"


class Meaning(Enum):
    """What an error asks for."""

    UNAVAILABLE = "try again"
    READ_ONLY = "try again, on another session"
    FULL = "try again; too many connections"
    REFUSED = "mend names or passwords"
    RIGHTS = "grant a right"
    POOLED = "a pooler stands in between"
    UNFIT = "mend the tables"
    VALUES = "never with these values"


_BY_STATE = {
    **dict.fromkeys(("08P01", "26000", "42P05"), Meaning.POOLED),
    **dict.fromkeys(READ_ONLY, Meaning.READ_ONLY),
    "53300": Meaning.FULL,
    "42501": Meaning.RIGHTS,
    "42704": Meaning.REFUSED,
    **dict.fromkeys(("42P01", "42703"), Meaning.UNFIT),
}
_BY_CLASS = {
    "22": Meaning.VALUES,
    "23": Meaning.VALUES,
    "28": Meaning.REFUSED,
    "3D": Meaning.REFUSED,
    "3F": Meaning.UNFIT,
    "08": Meaning.UNAVAILABLE,
    "25": Meaning.UNAVAILABLE,
    "40": Meaning.UNAVAILABLE,
    "53": Meaning.UNAVAILABLE,
    "55": Meaning.UNAVAILABLE,
    "57": Meaning.UNAVAILABLE,
    "58": Meaning.UNAVAILABLE,
    "XX": Meaning.UNAVAILABLE,
}


def full_remedy(text: str) -> str:
    """Return the remedy where there is no connection left.

    Args:
        text: the server's text, perhaps in another language.
    """
    remedy = next((remedy for words, remedy in _FULL.items() if words in text), _FULL_OTHERWISE)
    return f"{remedy}. The page on PostgreSQL's failover and connections has how many each process holds"


def meaning_of(sqlstate: str, text: str = "") -> Meaning | None:
    """Return what an error means; None for one that is a bug of ours, as a syntax error would be.

    Args:
        sqlstate: five characters; empty where the connection broke off.
        text: the text beside it.
    """
    if not sqlstate or (sqlstate == "08P01" and "unsupported" not in text):
        return Meaning.UNAVAILABLE
    return _BY_STATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2])
