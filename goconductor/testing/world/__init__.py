"""Several services in one process, under a clock that is moved by hand."""

from goconductor.testing.world.contexts import step_context
from goconductor.testing.world.world import StandsStillError, World, WorldConductor, WorldHandle

__all__ = ["StandsStillError", "World", "WorldConductor", "WorldHandle", "step_context"]
