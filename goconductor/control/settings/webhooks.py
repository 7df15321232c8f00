"""Whether the ends of sagas are told to endpoints over HTTP, to which ones, and how often they are tried."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.networks import IPvAnyNetwork

from goconductor.control.settings.sections import Hosts, Section, listed
from goconductor.webhooks.address import Rules

PAUSES_SECONDS = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Eleven pauses, of which each is longer than the one before: some three days together."""
PAUSES_MAX = 50
"""Greatest number of pauses."""
PAUSE_SECONDS_MAX = 30 * 86_400.0
"""Longest pause, in seconds."""

_Pause = Annotated[float, Field(gt=0, le=PAUSE_SECONDS_MAX, allow_inf_nan=False)]


def _some(pauses: tuple[float, ...]) -> tuple[float, ...]:
    if len(pauses) > PAUSES_MAX:
        raise ValueError(f"has {len(pauses)} pauses; give at most {PAUSES_MAX}")
    return pauses


class WebhookSettings(Section):
    """Whether the ends of sagas are told to endpoints."""

    enabled: bool = False
    """Tell them, while this process leads, and let endpoints be registered. Run ``goconductor migrate`` once with it: that builds
    an index on the log, which takes some 70 bytes of write-ahead log for each event. Needs the extra ``system``."""
    hosts: Hosts = ()
    """The hosts that may be called: ``api.example.com``, ``*.example.com``. Without any, every host with a public address. A port
    other than 80 and 443 is named with it: ``api.example.com:8443``. In a variable, with commas in between."""
    networks: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(listed)] = ()
    """Address ranges that may be called although they are not public: ``10.1.0.0/16``."""
    plaintext: bool = False
    """Allow ``http://`` too: everybody on the way reads what is sent."""
    concurrency: Annotated[int, Field(ge=1, le=100)] = 4
    """Attempts at one endpoint at one time. At one that fails there is one."""
    timeout_seconds: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = 20.0
    """Time limit of an attempt, in seconds."""
    pauses_seconds: Annotated[tuple[_Pause, ...], BeforeValidator(listed), AfterValidator(_some)] = PAUSES_SECONDS
    """Seconds between the attempts of a delivery. Where the last one fails it is a dead letter. In a variable, with commas in
    between."""
    kept_days: Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)] = 30.0
    """Days after which a delivery that was not taken is removed: a dead letter, or one that waits for a paused endpoint."""

    @property
    def rules(self) -> Rules:
        """What they allow."""
        return Rules(enabled=self.enabled, hosts=self.hosts, networks=self.networks, plaintext=self.plaintext)
