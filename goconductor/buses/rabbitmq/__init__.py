"""A bus on RabbitMQ, for installations that have one.

**Topology.** One durable direct exchange takes every message under its topic. Each group of a topic has a quorum queue bound
to it. What is published to a topic without a group goes to the *waiting* exchange and its queue of that topic. The first group
that comes rejects what waits there, and the waiting queue's dead-letter exchange is the first exchange again. So it reaches every
group that is bound by then. Exchanges do not expire, so there is none per topic; queues do.

**Sending** waits for the publisher's confirm of each message, pipelined. Messages are mandatory: one without a queue comes back,
its topic's waiting queue is made, and it is sent again. So a topic needs no preparation, and one that has a group costs no
further round trip.

**Receiving** uses one channel per subscription, with the prefetch as its limit; what comes beyond it (many topics) waits in the
process. A paused subscription has cancelled its consumers, so that others get the messages.

**Giving back.** At once: the broker requeues and counts. Later: RabbitMQ has no delay. So the message is published to a queue
whose messages expire after the delay and then go back to the group's queue, and only then acknowledged. There is one such queue
per delay of the series 10, 20, 50, 100 ms …; a delay is rounded up to it. The number of deliveries is in a header. This is
published on the connection for sending: an alarm of the broker stops each connection that publishes (``publishing.py``).

**Nothing is dropped silently.** A message that the broker has delivered too often (it kills its consumers), or that nobody took
for ``retention_seconds``, goes to the dead-letter exchange and its queue ``goconductor.dead``, for an operator to look at.

**Reconnecting** is ours, not the driver's: a new connection, the topology declared again, consumers started again. What was in
hand comes again from the broker; settling the old delivery then changes nothing.
"""

from goconductor.buses.rabbitmq.bus import RabbitmqBus

__all__ = ["RabbitmqBus"]
