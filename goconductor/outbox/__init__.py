"""The outbox: sagas that start together with a service's own data, where the saga log is in another database.

::

    outbox = Outbox(SHOP_URL, sagas=[order])
    shop = Participant("shop", outboxes=[outbox])

    async with sessions.begin() as session:
        session.add(Order(number="17"))
        key = await outbox.start(order, Wish("17"), key="17", transaction=session)

A start is a row in a small table of the service's own database, written in the service's own transaction. The service's
participant reads the table and starts the sagas: it is a door, in which a request is a row.

**A saga is started once.** A row is locked, its saga is started under the row's key, and then the row is deleted; all in one
transaction of the service's database. Where a process dies in between, the row is free again. Whoever reads it next starts the
same saga under the same key, finds the one that is there, and deletes the row. Nobody waits for another's row (``SKIP LOCKED``),
and a row of a dead process is free as soon as the server has noticed that its connection has ended.

**A row that cannot be started** holds up no other one. Where another time may be better (no process has registered its definition
yet) it is tried again at growing pauses; where nothing would help (the input does not fit, the key has started a saga with other
input) it is refused. Either way it is kept, with the reason.

**At the speed of a notification.** Who writes a row notifies who reads, by the server and with the commit. Notifications are
serialised by the server, so a process that writes many leaves some out: after rows were found the reader looks again at
once. Losing one costs latency, nothing else, since the reader also looks by the clock.

The idea is the transactional outbox (Richardson, *Microservices Patterns*, 2018), with the start key as the idempotent receiver.
"""

from typing import TYPE_CHECKING

from goconductor.outbox.outbox import Outbox
from goconductor.outbox.written import WrittenStart
from goconductor.public import lazily, publish

if TYPE_CHECKING:
    from goconductor.outbox.migrating import include_object, starts_table

__all__ = ["Outbox", "WrittenStart", "include_object", "starts_table"]

__getattr__ = lazily(
    __name__,
    {"include_object": "goconductor.outbox.migrating", "starts_table": "goconductor.outbox.migrating"},
)

publish(__name__)
