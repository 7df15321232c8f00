"""What is taken of definitions."""

from __future__ import annotations

from goconductor.control.settings.sections import Section


class DefinitionSettings(Section):
    """What is registered."""

    strict: bool = False
    """Refuse to register what ``goconductor definition check`` refuses though it can run, such as a step before the pivot that
    nothing undoes and that does not say so. Without it, this is a warning in the log. It is about what this process registers:
    its own sagas, and what its doors are given."""
