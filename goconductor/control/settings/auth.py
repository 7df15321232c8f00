"""Whether the doors ask who is there, and what a door that listens beyond this machine must have."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from goconductor.control.settings.doors import GrpcSettings, RestSettings
from goconductor.control.settings.sections import Section, is_loopback

D = TypeVar("D", RestSettings, GrpcSettings)


class AuthSettings(Section):
    """Whether REST and gRPC ask who is there."""

    enabled: bool = False
    """Require an API key with each request over REST and gRPC, except for health. `goconductor key create` makes one. Both may
    then listen on other hosts than loopback."""
    requests_per_second: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    """Requests a second that a server accepts from one key, on average over some seconds; without it there is no limit."""
    metrics_open: bool = False
    """Answer ``/metrics`` of the REST server without a key too."""


def closed_or_on_loopback(section: str, door: D, auth: AuthSettings | None) -> D:
    """Refuse a door beyond loopback that asks nobody who is there, unless it is told to be so.

    Args:
        section: its section's name.
        door: its settings.
        auth: whether doors ask; None where those settings are wrong themselves.

    Raises:
        PydanticCustomError: it is open to everybody; names the remedies.
    """
    if auth is not None and not (auth.enabled or door.insecure or is_loopback(door.host)):
        problem = (
            "is not a loopback address, and everybody who reaches it could start sagas. Set auth.enabled to true, so that each "
            f"request needs an API key; or use 127.0.0.1 behind a proxy that authenticates; or set {section}.insecure to true"
        )
        raise PydanticCustomError("open_door", "{problem}", {"problem": problem, "key": "host"})
    return door
