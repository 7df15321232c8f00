"""For the tests of sagas: ours, and those of our users."""

from goconductor.testing.scenario import Scenario, timer

__all__ = ["Scenario", "timer"]
