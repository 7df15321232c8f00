"""The services and messages of version 1, and the code that ``make proto`` writes of them."""

from goconductor.grpc.v1 import sagas_pb2

SERVICES = tuple(sagas_pb2.DESCRIPTOR.services_by_name.values())
"""The descriptors of all services."""
