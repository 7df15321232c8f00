"""A bus on Amazon SQS, for installations in AWS without a broker of their own.

**Queues.** Each topic has a queue, made when it is first sent to or read; its first group reads that one, so that what waits for
a group needs no other place, and one send is one message. Each further group has a queue of its own and is written down in
the tags of the topic's queue. Senders read the tags every ``groups_cache_seconds`` and send to each of those queues; a
new group's first ``subscribe`` waits that long, so that nothing sent afterwards misses it. Two groups that come to a new topic
at the same moment are put in order by the time in their tags.

**Sending.** What is sent while requests are on their way travels in the next ones, ten messages in each. Of a batch that was
taken in part only the rest is sent again, with jitter.

**Taking** is by long polls, one per topic, and several at once while there is much. What is in hand stays invisible to others:
its visibility is extended until it is settled. A pause asks no more; what a poll still brings goes back at once.

**Giving back** sets the visibility to the delay, in whole seconds, rounded up. What was received ``deliveries_max`` times goes
to the queue ``<prefix>-dead``: its receivers raised, or their processes died. SQS counts what was only given back as well. So
such a message is written anew at half of that, with its count inside, and the old one is deleted.

**Short-lived topics**, those of one process, have no waiting place: a message to a process that is gone is dropped, and the queue
is deleted when its process stops reading. Each subscription to such a topic also looks for queues whose process died.

**FIFO** queues keep the messages of one key in order, and hold the later ones back until the earlier is settled.
"""

from goconductor.buses.sqs.bus import SqsBus

__all__ = ["SqsBus"]
