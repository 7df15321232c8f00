"""The table of dead letters."""

from __future__ import annotations

import msgspec

from goconductor.ports.store import DeadLetter
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.database.notes import changed
from goconductor.stores.postgres.log.rows import texts_of

LETTER = """letter_id, topic, payload, reason, headers, extract(epoch FROM at)::float8 AS at
    FROM goconductor.dead_letters"""


def letter_of(row: Row) -> DeadLetter:
    """Read a row of dead letters."""
    return DeadLetter(
        topic=row["topic"],
        payload=row["payload"],
        reason=row["reason"],
        headers=texts_of(row["headers"]),
        at=row["at"],
        letter_id=row["letter_id"],
    )


class DeadLetterTable:
    """Dead letters, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def put(self, letter: DeadLetter) -> None:
        """Keep a letter. A NUL, which PostgreSQL's text cannot hold, is replaced in the reason."""
        statement = "INSERT INTO goconductor.dead_letters (topic, payload, reason, headers) VALUES ($1, $2, $3, $4)"
        async with self._sessions.use() as connection:
            await connection.execute(
                self._address.sql(statement),
                _text(letter.topic),
                letter.payload,
                _text(letter.reason),
                msgspec.json.encode({_text(name): _text(value) for name, value in letter.headers.items()}),
            )

    async def newest(self, *, limit: int = 100, before: int | None = None) -> list[DeadLetter]:
        statement = (
            f"SELECT {LETTER} WHERE letter_id < coalesce($2::bigint, 9223372036854775807) ORDER BY letter_id DESC LIMIT $1"
        )
        async with self._sessions.use() as connection:
            return [letter_of(row) for row in await connection.fetch(self._address.sql(statement), limit, before)]

    async def get(self, letter_id: int) -> DeadLetter | None:
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(f"SELECT {LETTER} WHERE letter_id = $1"), letter_id)
        return letter_of(row) if row else None

    async def drop(self, letter_id: int) -> bool:
        statement = "DELETE FROM goconductor.dead_letters WHERE letter_id = $1 RETURNING letter_id"
        return bool(await changed(self._sessions, self._address, statement, letter_id))


def _text(text: str) -> str:
    """Return what PostgreSQL's text can hold: a dead letter is kept whatever is in it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
