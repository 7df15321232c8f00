"""A bus on Amazon Kinesis Data Streams, for whoever has streams, or more traffic than a database should carry.

**Streams.** Each topic has a stream of its own; topics of single processes (``short_lived_prefixes``) share one, and
``shared_streams`` lets others share. Every record has its topic inside, and who reads skips what is another's. A stream per
instance would cost too much and take half a minute to make; one stream for everything would have all participants share the
five reads a second that a shard allows. A stream is made when Kinesis says that there is none: what describes streams is rationed
for the whole account, so nobody asks before each send.

**Sending.** The key (the saga's id) is the partition key. Many messages travel in one request; of one that was taken in part only
the rest is sent again, with jitter.

**Taking.** Each (topic, group) has a lease for each shard, kept in PostgreSQL with the checkpoint. A subscription says every
``tick_seconds`` that it is there, renews its leases, takes free ones up to its share, and lets go what is beyond it
(``share.py``). The leases of a dead one end after ``lease_seconds``. A shard is read from its beginning once its parents are
drained. An iterator that has expired is replaced by one after the record read last.

**The checkpoint** is the last record before the first that is not done with, and the list of those done with beyond it. So who
takes a shard over gets only what is open, in whatever order it was acknowledged. It is written every ``tick_seconds``; what
was acknowledged later comes again after a crash.

**Giving back.** A log cannot put a record back. A short delay is waited for in memory, while the checkpoint waits. After
``LOCAL_FOR_SECONDS`` of that, and where we can never take it, a copy is written under another partition key, with the number of
deliveries, the time
before which it is not wanted and the group that wants it; the others skip it. So another instance gets it. What waits for its
time when a shard is handed over is copied as well.

**Topics of one process** are read from a minute before their subscription on: nobody else can have wanted older ones.
"""

from goconductor.buses.kinesis.bus import KinesisBus

__all__ = ["KinesisBus"]
