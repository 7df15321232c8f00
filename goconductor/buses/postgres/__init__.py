"""A bus on PostgreSQL, for installations without a broker. The database may be another than the saga log's.

**It may lose everything.** Messages are in an UNLOGGED table: a commit waits for no disk, and a crash of the server (or of one of
its backends) or a failover empties it. That is allowed: the saga log is the truth, and the sweep sends again what is missing. A
crash of a *client* loses nothing.

**Queues.** One queue belongs to a topic and a consumer group; ``send`` writes one row into each queue of the topic. A topic
that nobody subscribed to has one queue without a group; the first group that subscribes takes it over with what is in it.
Groups (a logged table) outlive the server's crash. After ``retention_seconds`` without a reader a
queue is forgotten, and a message that nobody took is dropped. So a group that never returns costs nothing for ever.

**Taking.** ``FOR UPDATE SKIP LOCKED`` in batches, which sets ``visible_at`` some seconds ahead: after that, the messages of a
process that is dead or too slow go to others. Messages in hand of a session that has ended are taken back within a second or two:
``taker`` is its backend. Only ``visible_at``, ``deliveries`` and ``taker`` change and no index has them, so taking is a HOT
update, and the one index has one entry per message. The price: each look passes over rows that are in hand or delayed. Therefore
a look that found nothing is followed by a wait of at least ten times its duration.

**Giving back.** Other processes find a message that was given back a moment earlier than this one, and are notified when it is
due. Otherwise a full instance would take it again and again, and one that has room would never see it. A message that this
process can never take is left to others for half a minute.

**Order** is that of sending, roughly; nothing relies on it.

**Batches.** Sends have no timer: what arrives while a statement is in flight is the next batch. A look that left room is followed
by a pause of some milliseconds. Acknowledgements wait for the next look, which takes them along, or a little longer for others.

**Waking.** Polling is the truth: every few milliseconds while there is work, backing off to ``poll_interval_seconds``. NOTIFY is
a hint only. Its commit takes a lock of the whole server, so hints are few: at most ``hints_per_second_max`` a second by a process
(ten times as many while all processes together send few), and none if a subscription of the same bus object can take the
messages. While there are few, the hint goes with the messages, in one statement; else a separate connection notifies of all
topics that have news. Without hints the polling remains. Where that statement fails (the server's queue of notifications is full,
or somebody holds its lock) the messages are written without a hint, and so are those of the next minute.

The connections are ordinary sessions; a *transaction* pooler between would break them and refuses their settings.
"""

from goconductor.buses.postgres.bus import PostgresBus

__all__ = ["PostgresBus"]
