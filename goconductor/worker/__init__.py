"""A remote worker: runs steps of sagas in a process that reaches neither the database nor the bus, but a server's gRPC port.

::

    worker = Worker("localhost:50051", participant="payments")

    @worker.step(timeout="10s")
    async def charge(order_id: str, amount_cents: int) -> str: ...

    @charge.compensation
    async def refund(order_id: str, receipt: Annotated[str | None, Output]) -> None: ...

    worker.run()
"""

from goconductor.public import publish
from goconductor.worker.worker import Worker

__all__ = ["Worker"]

publish(__name__)
