"""A bus on NATS JetStream, for installations that have it. The server may lose messages that it has acknowledged; see the docs.

**One stream** with *interest* retention holds the messages of all topics, each topic under a subject of its own: a message stays
until every group of its topic has acknowledged it. A group of a topic is a durable pull consumer.

**A topic without a group** would lose its messages, since nobody is interested. So a sender that does not know a topic asks
a second, small stream whether a group has ever subscribed to it; if none has, it makes a *waiting* consumer, which nobody
reads and which keeps the messages. The first group deletes the waiting consumer, after it has made its own, which begins with
all that is there. Both look again after they wrote, so that in no order of their steps a message is without a consumer. The
group makes its consumer, marks the topic, and removes the waiting one. The sender reads the mark, makes the waiting one, and
reads the mark again.

**Names.** A topic is one token of a subject and part of a consumer's name, where ``.`` has a meaning: it is written ``=`` there.

**Sending** asks for every acknowledgement at once, not one after the other. Each message has a ``Nats-Msg-Id`` of its own,
under which it is sent again if a broken connection hides its fate; the stream drops the repetition.

**Receiving** keeps one pull request per topic at the server, for as many messages as there is room. A paused subscription
ends its request, so that others get the messages. NATS does not notice that a consumer's process died: what it had in hand
comes again after ``visibility_seconds``.

**Reconnecting** is ours, not the driver's: it would give up for good when it is refused once.
"""

from goconductor.buses.nats.bus import NatsBus

__all__ = ["NatsBus"]
