"""A store whose statements wait for locks as long as a busy machine needs to let them go."""

from __future__ import annotations

from typing import Any

import pytest

PATIENT: dict[str, Any] = {"statement_timeout_seconds": 300.0, "hot_timeout_seconds": 1_500.0, "lock_timeout_seconds": 300.0}
"""A fifth of a hot statement's limit is its limit for locks."""


@pytest.fixture
def patient_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts have a limit of their own for locks, which is no option."""
    monkeypatch.setattr("goconductor.stores.postgres.store.KEY_LOCK_SECONDS", 300.0)
