"""All SQL of the bus, as constants. The schema is the session's ``search_path``.

Statements that lock several rows name them in the order of the key, by sorted arrays and plans pinned to nested loops. So two
batches never wait for one another crosswise; taking never waits at all.
"""

from __future__ import annotations

ADVISORY_KEY = 0x676F636F6E642E62
"""Lock held while the schema or the set of queues changes, which is rare; no other code of ours uses the one-integer form."""

LOCK = f"SELECT pg_advisory_xact_lock({ADVISORY_KEY})"

EXISTS = "SELECT to_regclass('messages') IS NOT NULL AND to_regclass('queues') IS NOT NULL"

NEEDS = {
    "queues": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "messages": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "message_ids": ("USAGE",),
}
"""The tables and the sequence, with the rights that a role needs on each once they are there."""

TABLES = """
CREATE TABLE IF NOT EXISTS queues (
    queue_id       int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic          text NOT NULL,
    consumer_group text NOT NULL,   -- '': nobody has subscribed yet
    read_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic, consumer_group)
);
-- Logged on purpose: a number is never given twice, so that a late acknowledgement cannot meet a younger message.
CREATE SEQUENCE IF NOT EXISTS message_ids;
CREATE UNLOGGED TABLE IF NOT EXISTS messages (
    queue_id   int NOT NULL,
    message_id bigint NOT NULL DEFAULT nextval('message_ids'),
    visible_at timestamptz NOT NULL DEFAULT now(),
    deliveries int NOT NULL DEFAULT 0,
    taker      int NOT NULL DEFAULT 0,  -- the backend of the session that has it in hand
    message    bytea NOT NULL,      -- MessagePack: topic, key, payload, headers
    PRIMARY KEY (queue_id, message_id)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_threshold = -1,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE messages ALTER COLUMN message SET STORAGE EXTERNAL;
"""

# Answers how many queues each topic has: none yet means that its messages were not written.
_SEND = """
WITH sent AS (
    INSERT INTO messages (queue_id, message)
    SELECT queue.queue_id, sending.message
    FROM unnest($1::text[], $2::bytea[]) sending (topic, message) JOIN queues queue ON queue.topic = sending.topic
)
SELECT one.topic, (SELECT count(*) FROM queues queue WHERE queue.topic = one.topic) AS queues{also}
FROM unnest($3::text[]) one (topic)
"""
SEND = _SEND.format(also="")
SEND_AND_HINT = _SEND.format(also=", pg_notify(current_schema(), $4)")
"""Its commit takes the notifications' lock; messages are unlogged, so it does not hold it while a disk writes."""

# The three below run under LOCK.
ADD_UNCLAIMED = """
INSERT INTO queues (topic, consumer_group)
SELECT one.topic, '' FROM unnest($1::text[]) one (topic) WHERE NOT EXISTS (SELECT FROM queues queue WHERE queue.topic = one.topic)
"""
CLAIM = "UPDATE queues SET consumer_group = $2, read_at = now() WHERE topic = ANY ($1::text[]) AND consumer_group = ''"
ADD_GROUP = """
INSERT INTO queues (topic, consumer_group) SELECT unnest($1::text[]), $2 ON CONFLICT (topic, consumer_group) DO NOTHING
"""

READING = """
UPDATE queues SET read_at = now() WHERE topic = ANY ($1::text[]) AND consumer_group = $2 RETURNING queue_id
"""

QUEUES = "SELECT queue_id FROM queues WHERE topic = ANY ($1::text[]) AND consumer_group = $2"

# Lateral, so that each queue is read along the key from its oldest message and no further than there is room. Those that are
# done with go in the same statement, since they have mostly gathered when there is a look for more. They go first: to delete may
# wait, in the order of the key, and a waiting transaction must not hold what it has taken. The last argument names what we have
# left to others.
TAKE = """
WITH acknowledged AS (
    DELETE FROM messages USING unnest($5::int[], $6::bigint[]) done (queue_id, message_id)
    WHERE messages.queue_id = done.queue_id AND messages.message_id = done.message_id
    RETURNING messages.message_id
), due AS MATERIALIZED (
    SELECT one.queue_id, oldest.message_id
    FROM unnest($1::int[], $2::bigint[]) one (queue_id, floor) CROSS JOIN LATERAL (
        SELECT message_id FROM messages
        WHERE messages.queue_id = one.queue_id AND messages.message_id > one.floor AND visible_at <= now()
        AND message_id <> ALL ($7::bigint[])
        ORDER BY message_id LIMIT $3 FOR UPDATE SKIP LOCKED
    ) oldest
    WHERE (SELECT count(*) FROM acknowledged) >= 0
    LIMIT $3
)
UPDATE messages SET visible_at = now() + make_interval(secs => $4), deliveries = deliveries + 1, taker = pg_backend_pid()
FROM due WHERE messages.queue_id = due.queue_id AND messages.message_id = due.message_id
RETURNING messages.queue_id, messages.message_id, messages.deliveries, messages.message
"""

# What is in hand is among the oldest. The sessions are only asked for if somebody else has something in hand.
RECLAIM = """
WITH left_behind AS MATERIALIZED (
    SELECT one.queue_id, oldest.message_id
    FROM unnest($1::int[], $2::bigint[]) one (queue_id, floor) CROSS JOIN LATERAL (
        SELECT message_id, visible_at, taker FROM messages
        WHERE messages.queue_id = one.queue_id AND messages.message_id > one.floor
        ORDER BY message_id LIMIT 2000
    ) oldest
    WHERE oldest.visible_at > now() AND oldest.taker <> 0 AND oldest.taker <> pg_backend_pid()
    AND oldest.taker <> ALL (ARRAY(SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL))
), free AS MATERIALIZED (
    SELECT messages.queue_id, messages.message_id, messages.taker
    FROM messages JOIN left_behind USING (queue_id, message_id) FOR UPDATE OF messages SKIP LOCKED
)
UPDATE messages SET visible_at = now(), taker = 0
FROM free WHERE messages.queue_id = free.queue_id AND messages.message_id = free.message_id
"""

# No living message of the queue is at or below its floor, save those whose senders have not committed yet: hence the margin,
# and hence floors are believed for a short time only.
FLOORS = """
SELECT one.queue_id, coalesce(
    (SELECT message_id FROM messages WHERE messages.queue_id = one.queue_id ORDER BY message_id LIMIT 1),
    pg_sequence_last_value('message_ids'), 0
) - 5000 AS floor
FROM unnest($1::int[]) one (queue_id)
"""

ACKNOWLEDGE = """
DELETE FROM messages USING unnest($1::int[], $2::bigint[]) done (queue_id, message_id)
WHERE messages.queue_id = done.queue_id AND messages.message_id = done.message_id
"""

# The number of deliveries shows whether it is still ours to give.
GIVE_BACK = """
UPDATE messages SET visible_at = now() + make_interval(secs => given.delay_seconds), taker = 0
FROM unnest($1::int[], $2::bigint[], $3::int[], $4::float8[]) given (queue_id, message_id, deliveries, delay_seconds)
WHERE messages.queue_id = given.queue_id AND messages.message_id = given.message_id AND messages.deliveries = given.deliveries
"""

# Bounded: a backlog of millions is counted as "at least" the bound. What is in hand is ready in the future, so it waits for 0 s.
LAG = """
SELECT
    (SELECT count(*) FROM (SELECT FROM messages WHERE messages.queue_id = queue.queue_id LIMIT $3) counted) AS messages,
    coalesce((
        SELECT greatest(0, extract(epoch FROM now() - min(visible_at)))
        FROM (SELECT visible_at FROM messages WHERE messages.queue_id = queue.queue_id ORDER BY message_id LIMIT 100) oldest
    ), 0)::float8 AS oldest_seconds
FROM queues queue WHERE queue.topic = $1 AND queue.consumer_group IN ($2, '')
"""

FORGET = "DELETE FROM queues WHERE read_at < now() - make_interval(secs => $1)"

# By its physical place, since no index leads to it; a full scan, once an hour, of a table that is nearly empty in good times.
DROP_OLD = """
DELETE FROM messages WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM messages WHERE visible_at < now() - make_interval(secs => $1) LIMIT 10000 FOR UPDATE SKIP LOCKED
))
"""

HINT = "SELECT pg_notify(current_schema(), $1)"
