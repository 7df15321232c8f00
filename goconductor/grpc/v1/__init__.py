"""The services and messages of version 1, and the code that ``make proto`` writes of them."""

from goconductor.grpc.v1 import (
    dataflows_pb2,
    definitions_pb2,
    flows_pb2,
    keys_pb2,
    operations_pb2,
    sagas_pb2,
    schedules_pb2,
    secrets_pb2,
    webhooks_pb2,
    workers_pb2,
)

SERVICES = tuple(
    service
    for file in (
        *(sagas_pb2, definitions_pb2, schedules_pb2, webhooks_pb2, dataflows_pb2),
        *(flows_pb2, operations_pb2, workers_pb2, keys_pb2, secrets_pb2),
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)
"""The descriptors of all services."""
