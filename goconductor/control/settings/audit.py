"""The audit log's settings."""

from __future__ import annotations

from goconductor.control.settings.sections import Section


class AuditSettings(Section):
    """What the audit log has beside requests that change something, which it always has."""

    starts: bool = False
    """Note who starts each saga, in the statement that starts it; that costs a row for each. Without it, only restarts and the
    fires of schedules by hand are noted, which are requests."""
