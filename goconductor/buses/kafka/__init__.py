"""A bus on Apache Kafka, for whoever has a cluster, or more traffic than a database should carry beside the saga log.

**Sending.** An idempotent producer with ``acks=all``; ``send`` returns when the brokers have taken all of its messages, which
travel together. The key chooses the partition, so the messages of one saga stay in order.

**Taking.** One consumer for each subscription, polled by a thread of its own. What it fetches waits in memory; when enough
waits, the partitions are paused, and resumed when there is room. The offset that is stored for a partition is that before its
first message which is not done with, so a crash repeats messages and loses none.

**Giving back.** A log cannot put a message back. A short delay (``LOCAL_SECONDS``; a participant without room) is waited for
in memory. After ``LOCAL_FOR_SECONDS`` of that, and where we can never take it, a copy is written to *another* partition of the
topic; its headers have the number of deliveries, the time before which it is not wanted, and the group that wants it: the
others skip it.
Once the copy is acknowledged, the original is done with. So another instance gets the message, nothing waits behind it, and a
crash in between costs a duplicate. Who reads a copy before its time keeps it in memory until then. A message that waits and
holds up the stored offset for long is copied to the end of the log for that reason alone.

**Rebalancing** is cooperative. Before a partition goes, its deliveries may finish (``drain_seconds``); those that do not are
copied as above, and its offset is committed. A subscription that is paused for longer than a moment leaves the group, so that
others get its partitions.

**Group protocol.** ``auto`` takes the newer one (KIP-848) where the brokers have it *and* allow our session timeout: they
refuse less than 45 s unless ``group.consumer.min.session.timeout.ms`` is set, and for so long the partitions of a dead process
would wait.

**Topics** are made when they are absent, and again when they were deleted.

Not promised: more readers than partitions (those beyond idle), fairness between subscribers (the keys decide), or a give-back's
delay after a crash.
"""

from goconductor.buses.kafka.bus import KafkaBus

__all__ = ["KafkaBus"]
