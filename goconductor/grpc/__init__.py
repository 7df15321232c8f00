"""The gRPC door: what REST answers, over gRPC, with the same names and the same kinds of errors; and a client of it.

::

    async with Client("127.0.0.1:50051") as client:
        saga = await client.start("order", {"sku": "tea", "quantity": 2}, key="order-17", wait_seconds=60)
        print(saga.status, saga.output)
"""

from goconductor.grpc.client import Client
from goconductor.grpc.flow import Flow
from goconductor.public import publish

__all__ = ["Client", "Flow"]

publish(__name__)
