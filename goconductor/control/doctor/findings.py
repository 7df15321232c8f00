"""The answers of the doctor: checks, each sound, skipped, or with findings that name their remedy."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field

from goconductor.control.models import Document
from goconductor.errors import without_passwords


class Severity(enum.StrEnum):
    """How bad it is."""

    WARNING = "warning"
    """Sagas go on; the problem gets worse as it grows, or deserves a look."""
    ERROR = "error"
    """Some or all sagas do not go on as they should."""


class CheckOutcome(enum.StrEnum):
    """What a check ended with."""

    SOUND = "sound"
    SKIPPED = "skipped"
    """The check was not possible, because of another check's finding."""
    WARNING = "warning"
    ERROR = "error"


class Finding(Document):
    """One thing that is wrong."""

    severity: Severity
    what: str = Field(description="what is wrong, with its numbers")
    remedy: str = Field(description="what to do about it")
    unavailable: Annotated[bool, Field(description="it cannot be reached at all")] = False


class Check(Document):
    """One thing that was looked at."""

    name: str
    outcome: CheckOutcome
    saw: Annotated[str, Field(description="what was seen, in a few words")] = ""
    findings: list[Finding] = Field(default_factory=list)

    @classmethod
    def of(cls, name: str, findings: Iterable[Finding] = (), *, saw: str = "") -> Self:
        """Make a check of its findings."""
        found = list(findings)
        worst = Severity.ERROR if any(each.severity is Severity.ERROR for each in found) else Severity.WARNING
        return cls(name=name, outcome=CheckOutcome(worst.value) if found else CheckOutcome.SOUND, saw=saw, findings=found)

    @classmethod
    def skipped(cls, name: str, why: str) -> Self:
        """Make a check that was not possible."""
        return cls(name=name, outcome=CheckOutcome.SKIPPED, saw=why)


class Diagnosis(Document):
    """All checks, in the order in which they were made."""

    healthy: bool = Field(description="no check found an error; there may be warnings")
    checks: list[Check]

    @classmethod
    def of(cls, checks: Iterable[Check]) -> Self:
        """Make the diagnosis of some checks."""
        made = list(checks)
        return cls(healthy=all(check.outcome is not CheckOutcome.ERROR for check in made), checks=made)

    @property
    def unavailable(self) -> bool:
        """Whether something could not be reached at all."""
        return any(finding.unavailable for check in self.checks for finding in check.findings)


def error(what: str, remedy: str, *, unavailable: bool = False) -> Finding:
    """Return a finding that stands in the way of sagas."""
    return Finding(
        severity=Severity.ERROR, what=without_passwords(what), remedy=without_passwords(remedy), unavailable=unavailable
    )


def warning(what: str, remedy: str) -> Finding:
    """Return a finding to look at."""
    return Finding(severity=Severity.WARNING, what=what, remedy=remedy)


def split_remedy(message: str, otherwise: str) -> tuple[str, str]:
    """Split one of our messages into problem and remedy: the remedy comes after the last semicolon or colon.

    Args:
        message: an error's text.
        otherwise: the remedy where the message has none.
    """
    what, mark, remedy = message.rpartition("; ")
    return (what, remedy) if mark else (message, otherwise)


def settings_refused(message: str) -> Diagnosis:
    """Return the diagnosis where there are no settings to check with: one finding for each fault.

    Args:
        message: the text of the :class:`ConfigurationError`.
    """
    lines = [line.strip().partition(". ")[2] for line in message.splitlines()[1:]] or [message]
    findings = [error(*split_remedy(line, "correct it; `goconductor config explain` shows all settings")) for line in lines]
    return Diagnosis.of([Check.of("settings", findings)])
