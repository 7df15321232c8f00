"""A bus on Apache Kafka, for installations with a cluster, or with more traffic than a database should carry beside the saga log.

**Sending.** An idempotent producer with ``acks=all``; ``send`` returns when the brokers have accepted all of its messages, which
travel together. Those for one topic go to one partition, in turn: they are one request, and come back as one wave. Of many the
next partition gets a share (``messages_together``). So the messages of a saga are in no order, and nothing relies on one.

**Taking.** Each subscription has one consumer, polled by a thread of its own. Fetched messages wait in memory; when enough of
them wait, the partitions are paused, and resumed when there is room. The offset that is stored for a partition is that before its
first open message, so a crash repeats messages and loses none.

**Giving back.** A log cannot put a message back. A short delay (``LOCAL_SECONDS``; a participant without room) is spent in
memory. After ``LOCAL_FOR_SECONDS`` of that, and where this process can never take the message, a copy is written to *another*
partition of the topic. Its headers have the number of deliveries, the time before which it is not due, and the group that it is
for; other groups skip it.
Once the copy is acknowledged, the original is done. So another instance gets the message, nothing waits behind it, and a crash in
between costs a duplicate. The reader of a copy that is not due keeps it in memory until then. A message that waits and holds up
the stored offset for long is copied to the end of the log for that reason alone.

**Rebalancing** is cooperative. Before a partition goes, its deliveries may finish (``drain_seconds``). The others are copied as
above, and its offset is committed. A subscription that is paused for longer than a moment leaves the group, so that others get
its partitions.

**Group protocol.** ``auto`` takes the newer one (KIP-848) where the brokers have it *and* allow our session timeout. They refuse
less than 45 s unless ``group.consumer.min.session.timeout.ms`` is set, and the partitions of a dead process would wait as long.

**Topics** are created when they are absent, and again when they were deleted.

Not promised: more readers than partitions (those beyond idle), fairness between subscribers, order, or a give-back's
delay after a crash.
"""

from goconductor.buses.kafka.bus import KafkaBus

__all__ = ["KafkaBus"]
