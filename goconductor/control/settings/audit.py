"""The audit log's settings."""

from __future__ import annotations

from goconductor.control.settings.sections import Section


class AuditSettings(Section):
    """What the audit log has beside requests that change something, which it always has."""

    starts: bool = False
    """Write a row of the audit log for each start of a saga, in the statement that starts it. Without it, only restarts, and
    schedules that are fired by hand, have a row."""
