"""Settings of gRPC's transport, the same on both sides where the two have to agree. Each was measured.

A peer that hangs is known after 15 seconds: ``keepalive_timeout_ms`` alone would not do, as pings have a time limit of their own.
Clients may ping as often as that, also while no call is open, or quiet streams of clients in other languages would be cut. Since
1.82 a server drops calls beyond a thousand that come at once, before Python sees them, unless it may keep more of them waiting.
``so_reuseport`` would let a second server take the port in silence.
"""

from __future__ import annotations

Options = list[tuple[str, int]]

REQUEST_ROOM_BYTES = 256 * 1024
"""Room in a request for all but the values that are kept, in bytes: names of sagas in bulk, labels, reasons."""

METADATA_BYTES = 16 * 1024
"""Room in a request's metadata, in bytes: of a token that is too large the gate says so, and not the transport."""

_ALIVE: Options = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


def server_options(*, payload_bytes_max: int) -> Options:
    """Return the options of a server.

    Args:
        payload_bytes_max: greatest size of a value that is kept, in bytes.
    """
    return [
        *_ALIVE,
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.server.max_pending_requests", 100_000),
        ("grpc.server.max_pending_requests_hard_limit", 200_000),
        ("grpc.so_reuseport", 0),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES),
        ("grpc.max_receive_message_length", payload_bytes_max + REQUEST_ROOM_BYTES),
        ("grpc.max_send_message_length", -1),
    ]


def client_options() -> Options:
    """Return the options of a client. A stream that is not read costs 60 KB without the probe, and 3.8 MB with it."""
    return [
        *_ALIVE,
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.max_receive_message_length", -1),
    ]
