"""What is taken of definitions."""

from __future__ import annotations

from goconductor.control.settings.sections import Section


class DefinitionSettings(Section):
    """What is registered."""

    strict: bool = False
    """Refuse to register a definition that could run, but that ``goconductor definition check`` refuses, such as one with a step
    before the pivot that nothing undoes and that does not say so. Without it, this is a warning in the log. It is about the
    definitions that this process registers: its own sagas, and those that come over REST or gRPC."""
