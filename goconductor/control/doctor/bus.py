"""Whether the bus carries a message: sent to a topic of the doctor's own, and received again."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time

import msgspec

from goconductor.control.doctor.findings import Check, error, split_remedy
from goconductor.control.wording import spell
from goconductor.errors import ConfigurationError, GoConductorError
from goconductor.ports.bus import Bus, Delivery, Message
from goconductor.ports.health import ExaminableBus

TOPIC = "goconductor.doctor"
ROUND_TRIP_SECONDS = 15.0
"""Seconds that a message has to come back."""
AGAIN_SECONDS = 2.0
"""Seconds between two sendings: a bus may lose a message, and one sent while the subscription begins may be missed."""
CLOSE_SECONDS = 5.0
"""Seconds that the bus has to close after the check."""
STALE_SECONDS = 120.0
"""Seconds after which nobody waits for another doctor's message any more."""


class _Probe(msgspec.Struct, frozen=True):
    doctor: str
    sent_at: float


async def of_bus(bus: Bus, kind: str, *, setting: str = "bus", timeout_seconds: float = ROUND_TRIP_SECONDS) -> Check:
    """Open the bus, send a message, and wait for it; the bus is closed again. One without its tables is left as it is.

    Args:
        bus: not open.
        kind: its name in the settings.
        setting: where it stands there.
        timeout_seconds: for all of it.
    """
    began = time.monotonic()
    step = "open"
    try:
        async with asyncio.timeout(timeout_seconds):
            if isinstance(bus, ExaminableBus):
                health = await bus.examine()
                if health.missing_rights:
                    return Check.of(
                        "bus", [error(f"the bus {kind!a}: {each.what}", each.grant) for each in health.missing_rights]
                    )
                if health.absent:
                    return Check.skipped(
                        "bus", f"{kind} has no tables yet at {health.where}; the first process that uses it makes them"
                    )
            await bus.open()
            step = "carry a message: it was sent, and did not come back"
            await _round_trip(bus)
    except TimeoutError:
        what = f"the bus {kind!a} did not {step} within {timeout_seconds:g} s"
        return _broken(what, f"see that its server is up and reachable from here, and that {setting}.url is right")
    except ConfigurationError as problem:
        return _broken(f"the bus {kind!a} cannot be used: {problem}", f"correct {setting}.url or {setting}.options")
    except GoConductorError as problem:
        what, remedy = split_remedy(str(problem), f"start its server, or correct {setting}.url")
        return _broken(f"the bus {kind!a} cannot be reached: {what}", remedy)
    finally:
        with contextlib.suppress(GoConductorError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await bus.close()
    return Check.of("bus", saw=f"{kind} carried a message in {spell(time.monotonic() - began)}")


async def _round_trip(bus: Bus) -> None:
    me = secrets.token_hex(8)
    came = asyncio.Event()

    async def receive(delivery: Delivery) -> None:
        try:
            probe = msgspec.json.decode(delivery.message.payload, type=_Probe)
        except msgspec.DecodeError:
            delivery.acknowledge()
            return
        if probe.doctor != me and time.time() - probe.sent_at < STALE_SECONDS:
            delivery.give_back(0.2)  # it is from another doctor, which reads the same topic now
            return
        delivery.acknowledge()
        if probe.doctor == me:
            came.set()

    subscription = await bus.subscribe([TOPIC], TOPIC, receive, prefetch=10)
    try:
        while not came.is_set():
            await bus.send([Message(topic=TOPIC, key=me, payload=msgspec.json.encode(_Probe(me, time.time())))])
            await asyncio.wait([waiting := asyncio.ensure_future(came.wait())], timeout=AGAIN_SECONDS)
            waiting.cancel()
    finally:
        await subscription.stop()


def _broken(what: str, remedy: str) -> Check:
    return Check.of("bus", [error(what, remedy, unavailable=True)])
