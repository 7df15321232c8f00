"""Names of topics: one per participant for its steps, one per instance for replies to it."""

from __future__ import annotations

PREFIX = "goconductor"


def steps_topic(participant: str) -> str:
    """Return the topic on which a participant gets its steps."""
    return f"{PREFIX}.steps.{participant}"


def replies_topic(instance: str) -> str:
    """Return the topic on which one instance learns of the end of sagas that it waits for."""
    return f"{PREFIX}.replies.{instance}"
