"""A bus on Amazon Kinesis Data Streams, for installations with streams, or with more traffic than a database should carry.

**Streams.** Each topic has a stream of its own. Topics of single processes (``short_lived_prefixes``) share one, and
``shared_streams`` lets others share. Every record has its topic inside, and a reader skips those of other topics. A stream per
instance would cost too much and take half a minute to make. With one stream for everything all participants would share the five
reads a second that a shard allows. A stream is created when Kinesis answers that there is none: requests about streams are
rationed for the whole account, so none is made before each send.

**Sending.** The key (the saga's id) is the partition key. Many messages travel in one request; of one that was accepted in part
only
the rest is sent again, with jitter.

**Taking.** Each (topic, group) has a lease for each shard, kept in PostgreSQL with the checkpoint. A subscription sends a
heartbeat every ``tick_seconds``, renews its leases, claims free ones up to its share, and releases those beyond it
(``assignment.py``). The leases of a dead one end after ``lease_seconds``. A shard is read from its beginning once its parents are
drained. An expired iterator is replaced by one after the record read last.

**The checkpoint** is the last record before the first open one, and the list of those done beyond it. So the next reader of a
shard gets only what is open, in whatever order it was acknowledged. It is written every ``tick_seconds``; what was acknowledged
later comes again after a crash.

**Giving back.** A log cannot put a record back. A short delay is spent in memory, while the checkpoint waits. After
``LOCAL_FOR_SECONDS`` of that, and where this process can never take the record, a copy is written under another partition key. It
has the number of deliveries, the time before which it is not due, and the group that it is for; other groups skip it. So another
instance gets it. What waits for its time when a shard is handed over is copied as well.

**Topics of one process** are read from a minute before their subscription on: nobody else can have wanted older ones.
"""

from goconductor.buses.kinesis.bus import KinesisBus

__all__ = ["KinesisBus"]
