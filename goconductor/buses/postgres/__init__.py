"""A bus on PostgreSQL, for whoever has no broker and wants none. The database may be another than the saga log's.

**It may lose everything.** Messages lie in an UNLOGGED table: a commit waits for no disk, and a crash of the server (or of
one of its backends) or a failover empties it. That is allowed: the saga log is the truth, and the sweep sends again what
is missing. A crash of a *client* loses nothing.

**Queues.** One queue belongs to a topic and a consumer group; ``send`` writes one row into each queue of the topic. A topic
that nobody subscribed to has one queue without a group; the first group that subscribes takes it over with what is in it.
Groups (a logged table) outlive the server's crash. A queue that nobody read for ``retention_seconds`` is forgotten, and a
message that nobody took for so long is dropped, so that a group that never returns costs nothing for ever.

**Taking.** ``FOR UPDATE SKIP LOCKED`` in batches, which sets ``visible_at`` so many seconds ahead: who dies, or is too slow,
is overtaken. What a session has in hand that has ended is taken back within a second or two: ``taker`` is its backend. Only
``visible_at``, ``deliveries`` and ``taker`` change and no index knows them, so taking is a HOT update, and the one index has
one entry per message. The price: rows in hand or delayed are passed over by each look; a look that found
nothing is therefore followed by a wait of ten times its duration at least. Acknowledging deletes, in batches.

**Giving back.** Others find what was given back a moment earlier than we do, and hear of it when its time has come. Otherwise
an instance that is full takes it again and again, and one that has room never sees it. What was passed on, since we can never
take it, is left to others for half a minute.

**Order** is that of sending, roughly; nothing relies on it.

**Batches.** Sends have no timer: what arrives while a statement is in flight is the next batch. A look that left room is followed
by a pause of some milliseconds; acknowledgements wait for the next look, which takes them along, or somewhat longer for others.

**Waking.** Polling is the truth: every few milliseconds while there is work, backing off to ``poll_interval_seconds``. NOTIFY is
a hint only. Its commit takes a lock of the whole server: so little is said, at most ``hints_per_second_max`` times a second by a
process (ten times as often while all together say little), and nothing if a subscription of the same bus object can take the
messages. While all together say little the hint goes with the messages, in one statement; else a separate connection says which
topics have news, for all that was sent meanwhile. Without hints the polling remains: where that statement fails (the server's
queue of notifications is full, or somebody holds its lock) the messages are written without, and for a minute none goes along.

The connections are ordinary sessions; a *transaction* pooler between would break them and refuses their settings.
"""

from goconductor.buses.postgres.bus import PostgresBus

__all__ = ["PostgresBus"]
